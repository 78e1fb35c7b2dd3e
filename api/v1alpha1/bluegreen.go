// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/util/intstr"

// BlueGreenStrategy runs the new version at full size beside the old one and
// moves all traffic at once.
type BlueGreenStrategy struct {
	// activeService is the Service that users reach; it is switched to the new
	// version at promotion.
	ActiveService string `json:"activeService"`
	// previewService is the Service that points at the new version before it is
	// promoted.
	// +optional
	PreviewService string `json:"previewService,omitempty"`
	// previewReplicaCount is the number of pods of the new version before
	// promotion. Default: spec.replicas.
	// +optional
	PreviewReplicaCount *int32 `json:"previewReplicaCount,omitempty"`
	// autoPromotionEnabled promotes the new version without being told to, as
	// soon as it is available and its analysis has passed. Default true.
	// +optional
	AutoPromotionEnabled *bool `json:"autoPromotionEnabled,omitempty"`
	// autoPromotionSeconds is how long the new version waits before it promotes
	// itself, in seconds. Default 0: no wait.
	// +optional
	AutoPromotionSeconds int32 `json:"autoPromotionSeconds,omitempty"`
	// maxUnavailable is how many pods may be missing while pods are restarted,
	// as a number or a percentage. Default 25%.
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// scaleDownDelaySeconds is how long the old version keeps its pods after
	// promotion, in seconds. Default 30.
	// +optional
	ScaleDownDelaySeconds *int32 `json:"scaleDownDelaySeconds,omitempty"`
	// scaleDownDelayRevisionLimit is how many old versions may keep pods at the
	// same time during that delay. Default: all.
	// +optional
	ScaleDownDelayRevisionLimit *int32 `json:"scaleDownDelayRevisionLimit,omitempty"`
	// prePromotionAnalysis must pass before the active Service is switched.
	// +optional
	PrePromotionAnalysis *RolloutAnalysis `json:"prePromotionAnalysis,omitempty"`
	// antiAffinity keeps pods of the new version away from those of the old one.
	// +optional
	AntiAffinity *AntiAffinity `json:"antiAffinity,omitempty"`
	// postPromotionAnalysis runs after the switch; when it fails the active
	// Service goes back to the old version.
	// +optional
	PostPromotionAnalysis *RolloutAnalysis `json:"postPromotionAnalysis,omitempty"`
	// previewMetadata is put on the pods of the new version until promotion.
	// +optional
	PreviewMetadata *PodTemplateMetadata `json:"previewMetadata,omitempty"`
	// activeMetadata is put on the pods that the active Service points at.
	// +optional
	ActiveMetadata *PodTemplateMetadata `json:"activeMetadata,omitempty"`
	// abortScaleDownDelaySeconds is how long the new version keeps its pods
	// after an abort, in seconds. Zero keeps them for good. Default 30.
	// +optional
	AbortScaleDownDelaySeconds *int32 `json:"abortScaleDownDelaySeconds,omitempty"`
}

// AntiAffinity keeps pods of a new version off the nodes of the stable one.
type AntiAffinity struct {
	// preferredDuringSchedulingIgnoredDuringExecution makes it a preference.
	// +optional
	PreferredDuringSchedulingIgnoredDuringExecution *PreferredDuringSchedulingIgnoredDuringExecution `json:"preferredDuringSchedulingIgnoredDuringExecution,omitempty"`
	// requiredDuringSchedulingIgnoredDuringExecution makes it a must.
	// +optional
	RequiredDuringSchedulingIgnoredDuringExecution *RequiredDuringSchedulingIgnoredDuringExecution `json:"requiredDuringSchedulingIgnoredDuringExecution,omitempty"`
}

// PreferredDuringSchedulingIgnoredDuringExecution is how strong the preference is.
type PreferredDuringSchedulingIgnoredDuringExecution struct {
	// weight of the preference, 1 to 100.
	Weight int32 `json:"weight"`
}

// RequiredDuringSchedulingIgnoredDuringExecution has no settings.
type RequiredDuringSchedulingIgnoredDuringExecution struct{}

// PodTemplateMetadata is labels and annotations put on pods in place, without
// restarting them.
type PodTemplateMetadata struct {
	// labels to set.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// annotations to set.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

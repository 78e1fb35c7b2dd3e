// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/util/intstr"

// CanaryStrategy gives a new version a growing share of the traffic, or of the
// pods where there is no traffic routing.
type CanaryStrategy struct {
	// canaryService is the Service that points at the new version. Required with
	// trafficRouting, except with Istio subsets and with pingPong.
	// +optional
	CanaryService string `json:"canaryService,omitempty"`
	// stableService is the Service that points at the stable version. Required
	// with trafficRouting, except with Istio subsets and with pingPong.
	// +optional
	StableService string `json:"stableService,omitempty"`
	// steps are done in order. Without steps the new version replaces the old
	// one like a rolling update.
	// +optional
	Steps []CanaryStep `json:"steps,omitempty"`
	// trafficRouting splits requests by weight in a mesh or ingress. Without it
	// the weight is approximated by the ratio of pods.
	// +optional
	TrafficRouting *RolloutTrafficRouting `json:"trafficRouting,omitempty"`
	// maxUnavailable is how many pods may be missing during an update without
	// trafficRouting, as a number or a percentage rounded down. Default 25%.
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// maxSurge is how many pods above spec.replicas may exist during an update
	// without trafficRouting, as a number or a percentage rounded up. Default
	// 25%. It cannot be zero when maxUnavailable is.
	// +optional
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`
	// analysis measures in the background for as long as the canary is live and
	// aborts when it fails.
	// +optional
	Analysis *RolloutAnalysisBackground `json:"analysis,omitempty"`
	// onAbort is what is done, beside taking the traffic away, when a revision is
	// aborted. Default: nothing.
	// +optional
	OnAbort *OnAbort `json:"onAbort,omitempty"`
	// antiAffinity keeps pods of the new version away from those of the old one.
	// +optional
	AntiAffinity *AntiAffinity `json:"antiAffinity,omitempty"`
	// canaryMetadata is put on the pods of the new version while it is a canary.
	// +optional
	CanaryMetadata *PodTemplateMetadata `json:"canaryMetadata,omitempty"`
	// stableMetadata is put on the pods of the stable version.
	// +optional
	StableMetadata *PodTemplateMetadata `json:"stableMetadata,omitempty"`
	// scaleDownDelaySeconds is how long the old version keeps its pods after
	// promotion, in seconds. Only with trafficRouting and without
	// dynamicStableScale. Default 30.
	// +optional
	ScaleDownDelaySeconds *int32 `json:"scaleDownDelaySeconds,omitempty"`
	// scaleDownDelayRevisionLimit is how many old versions may keep pods at the
	// same time during that delay. Default: all.
	// +optional
	ScaleDownDelayRevisionLimit *int32 `json:"scaleDownDelayRevisionLimit,omitempty"`
	// abortScaleDownDelaySeconds is how long the canary keeps its pods after an
	// abort, in seconds. Only with trafficRouting. Zero keeps them for good.
	// Default 30.
	// +optional
	AbortScaleDownDelaySeconds *int32 `json:"abortScaleDownDelaySeconds,omitempty"`
	// dynamicStableScale shrinks the stable version as the canary takes over its
	// traffic. Only with trafficRouting. Default false: stable stays at full
	// size, so that an abort is instant.
	// +optional
	DynamicStableScale bool `json:"dynamicStableScale,omitempty"`
	// pingPong names two Services that take turns at being the stable one, in
	// place of canaryService and stableService.
	// +optional
	PingPong *PingPongSpec `json:"pingPong,omitempty"`
	// minPodsPerReplicaSet is the smallest size, in pods, of a version that has
	// any; spec.replicas caps it. Only with trafficRouting. Default 1.
	// +optional
	MinPodsPerReplicaSet *int32 `json:"minPodsPerReplicaSet,omitempty"`
	// replicaProgressThreshold lets a step go on before every pod of the canary
	// is available. Default: all must be.
	// +optional
	ReplicaProgressThreshold *ReplicaProgressThreshold `json:"replicaProgressThreshold,omitempty"`
}

// PingPongSpec names two Services that take turns at being the stable one.
type PingPongSpec struct {
	// pingService is the first Service.
	PingService string `json:"pingService"`
	// pongService is the second Service.
	PongService string `json:"pongService"`
}

// ReplicaProgressThreshold says how many canary pods are enough to go on.
type ReplicaProgressThreshold struct {
	// type is Percent or Pods.
	Type ReplicaProgressThresholdType `json:"type"`
	// value is a percentage of the canary's pods, or a number of pods.
	Value int32 `json:"value"`
}

// ReplicaProgressThresholdType is the unit of a ReplicaProgressThreshold.
type ReplicaProgressThresholdType string

// The units of a ReplicaProgressThreshold.
const (
	ProgressTypePercentage ReplicaProgressThresholdType = "Percent"
	ProgressTypePods       ReplicaProgressThresholdType = "Pods"
)

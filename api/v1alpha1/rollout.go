// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Rollout keeps a set of pods running and replaces their version gradually,
// under the gates that its strategy names.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.HPAReplicas,selectorpath=.status.selector
// +kubebuilder:resource:path=rollouts,shortName=ro
// +kubebuilder:printcolumn:name="Desired",type=integer,JSONPath=`.spec.replicas`,description="Number of pods asked for"
// +kubebuilder:printcolumn:name="Current",type=integer,JSONPath=`.status.replicas`,description="Number of pods that exist, of every version"
// +kubebuilder:printcolumn:name="Up-to-date",type=integer,JSONPath=`.status.updatedReplicas`,description="Number of pods of the newest version"
// +kubebuilder:printcolumn:name="Available",type=integer,JSONPath=`.status.availableReplicas`,description="Number of pods that have been ready for minReadySeconds"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the Rollout was created"
type Rollout struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what should run and how to get there.
	Spec RolloutSpec `json:"spec"`
	// status is what was seen and decided last. Only the controller writes it,
	// except for the fields by which people promote, abort and retry.
	// +optional
	Status RolloutStatus `json:"status,omitzero"`
}

// RolloutList is a list of Rollouts.
//
// +kubebuilder:object:root=true
type RolloutList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Rollout `json:"items"`
}

// RolloutSpec says what should run and how a new version replaces the old one.
type RolloutSpec struct {
	// replicas is the number of pods that should run. Default 1.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// selector finds the pods of this Rollout; the labels of the pod template
	// must match it. Required unless workloadRef is set. It cannot be changed.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
	// template is the pod to run. A change to it starts a new revision. It must
	// be left out when workloadRef is set.
	// +optional
	Template corev1.PodTemplateSpec `json:"template,omitzero"`
	// workloadRef takes the pod template from another object instead, usually a
	// Deployment that is being taken over.
	// +optional
	WorkloadRef *ObjectRef `json:"workloadRef,omitempty"`
	// minReadySeconds is how long a pod must have been ready, in seconds, before
	// it counts as available. Default 0.
	// +optional
	MinReadySeconds int32 `json:"minReadySeconds,omitempty"`
	// strategy is how a new version replaces the old one. Exactly one of its
	// fields is set.
	// +optional
	Strategy RolloutStrategy `json:"strategy,omitempty"`
	// revisionHistoryLimit is how many old ReplicaSets are kept, scaled to
	// zero, for an undo. Default 10.
	// +optional
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`
	// paused holds the steps where they are. Scaling still happens, and the
	// background analysis still measures and may abort. Default false.
	// +optional
	Paused bool `json:"paused,omitempty"`
	// progressDeadlineSeconds is how long, in seconds, a revision may go without
	// progress before the Rollout is reported as Degraded. Time spent paused
	// does not count. Default 600.
	// +optional
	ProgressDeadlineSeconds *int32 `json:"progressDeadlineSeconds,omitempty"`
	// progressDeadlineAbort aborts the revision when the progress deadline
	// passes, instead of only reporting it. Default false.
	// +optional
	ProgressDeadlineAbort bool `json:"progressDeadlineAbort,omitempty"`
	// restartAt asks for every pod created before this time to be replaced, a
	// few at a time.
	// +optional
	RestartAt *metav1.Time `json:"restartAt,omitempty"`
	// analysis limits how many finished AnalysisRuns and Experiments are kept.
	// +optional
	Analysis *AnalysisRunStrategy `json:"analysis,omitempty"`
	// rollbackWindow lets a return to a recent revision skip steps and analysis.
	// +optional
	RollbackWindow *RollbackWindowSpec `json:"rollbackWindow,omitempty"`
}

// RollbackWindowSpec says which earlier revisions count as recent.
type RollbackWindowSpec struct {
	// revisions is how many revisions back a fast return may go. Default 0: none.
	// +optional
	Revisions int32 `json:"revisions,omitempty"`
}

// AnalysisRunStrategy limits the finished AnalysisRuns and Experiments kept.
type AnalysisRunStrategy struct {
	// successfulRunHistoryLimit is how many Successful ones are kept. Default 5.
	// +optional
	SuccessfulRunHistoryLimit *int32 `json:"successfulRunHistoryLimit,omitempty"`
	// unsuccessfulRunHistoryLimit is how many that ended Failed, Error or
	// Inconclusive are kept. Default 5.
	// +optional
	UnsuccessfulRunHistoryLimit *int32 `json:"unsuccessfulRunHistoryLimit,omitempty"`
}

// ObjectRef names the workload whose pod template a Rollout uses.
type ObjectRef struct {
	// apiVersion is the group and version of the workload, such as "apps/v1".
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
	// kind is Deployment, ReplicaSet or PodTemplate.
	// +optional
	Kind string `json:"kind,omitempty"`
	// name is the workload's name, in the Rollout's namespace.
	// +optional
	Name string `json:"name,omitempty"`
	// scaleDown says what becomes of a referenced Deployment's own pods: never
	// (kept), onsuccess (scaled to zero once the Rollout is healthy) or
	// progressively (scaled down as the Rollout's pods become available).
	// Default never.
	// +optional
	ScaleDown string `json:"scaleDown,omitempty"`
}

// The values of ObjectRef.ScaleDown.
const (
	ScaleDownNever         = "never"
	ScaleDownOnSuccess     = "onsuccess"
	ScaleDownProgressively = "progressively"
)

// RolloutStrategy is how a new version replaces the old one: one of the two.
type RolloutStrategy struct {
	// blueGreen runs the new version at full size beside the old one and moves
	// all traffic at once.
	// +optional
	BlueGreen *BlueGreenStrategy `json:"blueGreen,omitempty"`
	// canary gives the new version a growing share of the traffic or the pods.
	// +optional
	Canary *CanaryStrategy `json:"canary,omitempty"`
}

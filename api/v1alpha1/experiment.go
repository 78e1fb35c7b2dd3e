// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Experiment runs several versions side by side for a while and measures them.
// It has no status subresource.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=experiments,shortName=exp
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.phase`,description="Phase of the Experiment"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the Experiment was created"
type Experiment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what runs and what is measured.
	Spec ExperimentSpec `json:"spec"`
	// status is how far it has come.
	// +optional
	Status ExperimentStatus `json:"status,omitzero"`
}

// ExperimentList is a list of Experiments.
//
// +kubebuilder:object:root=true
type ExperimentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Experiment `json:"items"`
}

// ExperimentSpec is what runs and what is measured.
type ExperimentSpec struct {
	// templates are the versions to run. Their names must differ.
	Templates []TemplateSpec `json:"templates"`
	// duration is how long it runs once all pods are available, such as "30m".
	// Left out: until its required analyses are done, or until it is told to
	// stop.
	// +optional
	Duration DurationString `json:"duration,omitempty"`
	// progressDeadlineSeconds is how long, in seconds, the pods may take to
	// become available. Default 600.
	// +optional
	ProgressDeadlineSeconds *int32 `json:"progressDeadlineSeconds,omitempty"`
	// terminate ends it early.
	// +optional
	Terminate bool `json:"terminate,omitempty"`
	// analyses are run beside it. Their names must differ.
	// +optional
	Analyses []ExperimentAnalysisTemplateRef `json:"analyses,omitempty"`
	// scaleDownDelaySeconds is how long it keeps its pods after it has ended, in
	// seconds. Default 30.
	// +optional
	ScaleDownDelaySeconds *int32 `json:"scaleDownDelaySeconds,omitempty"`
	// dryRun lists metrics that are measured and do not decide.
	// +optional
	DryRun []DryRun `json:"dryRun,omitempty"`
	// measurementRetention says how many measurements of a metric are kept.
	// Default 10 for each.
	// +optional
	MeasurementRetention []MeasurementRetention `json:"measurementRetention,omitempty"`
	// analysisRunMetadata is put on the AnalysisRuns.
	// +optional
	AnalysisRunMetadata *AnalysisRunMetadata `json:"analysisRunMetadata,omitempty"`
}

// TemplateSpec is one version that an Experiment runs.
type TemplateSpec struct {
	// name of the version within the Experiment.
	Name string `json:"name"`
	// replicas is its number of pods. Default 1.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// minReadySeconds is how long a pod must have been ready, in seconds, before
	// it counts as available. Default 0.
	// +optional
	MinReadySeconds int32 `json:"minReadySeconds,omitempty"`
	// selector finds its pods; the labels of its pod template must match it.
	Selector *metav1.LabelSelector `json:"selector"`
	// template is the pod to run.
	Template corev1.PodTemplateSpec `json:"template"`
	// service asks for a Service in front of it.
	// +optional
	Service *TemplateService `json:"service,omitempty"`
}

// TemplateService asks for a Service in front of one version.
type TemplateService struct {
	// name of the Service. Default: the name of the version's ReplicaSet.
	// +optional
	Name string `json:"name,omitempty"`
}

// ExperimentAnalysisTemplateRef is one analysis of an Experiment.
type ExperimentAnalysisTemplateRef struct {
	// name of this analysis within the Experiment.
	Name string `json:"name"`
	// templateName is the AnalysisTemplate to run.
	TemplateName string `json:"templateName"`
	// clusterScope looks for a ClusterAnalysisTemplate instead. Default false.
	// +optional
	ClusterScope bool `json:"clusterScope,omitempty"`
	// args are handed to the template.
	// +optional
	Args []Argument `json:"args,omitempty"`
	// requiredForCompletion keeps the Experiment running until this analysis is
	// done. Default false.
	// +optional
	RequiredForCompletion bool `json:"requiredForCompletion,omitempty"`
}

// ExperimentStatus is how far an Experiment has come.
type ExperimentStatus struct {
	// phase is Pending, Running, Successful, Failed, Error or Inconclusive.
	// +optional
	Phase AnalysisPhase `json:"phase,omitempty"`
	// message says why.
	// +optional
	Message string `json:"message,omitempty"`
	// availableAt is when all its pods were available; duration counts from
	// there.
	// +optional
	AvailableAt *metav1.Time `json:"availableAt,omitempty"`
	// conditions are the state in a form that tools read.
	// +optional
	Conditions []ExperimentCondition `json:"conditions,omitempty"`
	// templateStatuses are the states of the versions.
	// +optional
	TemplateStatuses []TemplateStatus `json:"templateStatuses,omitempty"`
	// analysisRuns are the states of the analyses.
	// +optional
	AnalysisRuns []ExperimentAnalysisRunStatus `json:"analysisRuns,omitempty"`
}

// ExperimentConditionType names a condition of an Experiment.
type ExperimentConditionType string

// ExperimentCondition is one aspect of an Experiment's state.
type ExperimentCondition struct {
	// type of the condition.
	Type ExperimentConditionType `json:"type"`
	// status is True, False or Unknown.
	Status corev1.ConditionStatus `json:"status"`
	// lastUpdateTime is when the condition was written last.
	LastUpdateTime metav1.Time `json:"lastUpdateTime"`
	// lastTransitionTime is when status changed last.
	LastTransitionTime metav1.Time `json:"lastTransitionTime"`
	// reason for the status, in one word.
	Reason string `json:"reason"`
	// message for people.
	Message string `json:"message"`
}

// TemplateStatus is the state of one version of an Experiment.
type TemplateStatus struct {
	// name of the version.
	Name string `json:"name"`
	// replicas is the number of pods that exist.
	Replicas int32 `json:"replicas"`
	// updatedReplicas is the number of pods of the right template.
	UpdatedReplicas int32 `json:"updatedReplicas"`
	// readyReplicas is the number of ready pods.
	ReadyReplicas int32 `json:"readyReplicas"`
	// availableReplicas is the number of pods ready for minReadySeconds.
	AvailableReplicas int32 `json:"availableReplicas"`
	// collisionCount is the number of hash collisions met so far.
	// +optional
	CollisionCount *int32 `json:"collisionCount,omitempty"`
	// message says why it is in its status.
	// +optional
	Message string `json:"message,omitempty"`
	// status is Progressing, Running, Successful, Failed or Error.
	// +optional
	Status TemplateStatusCode `json:"status,omitempty"`
	// lastTransitionTime is when status changed last.
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
	// serviceName is the Service in front of it.
	// +optional
	ServiceName string `json:"serviceName,omitempty"`
	// podTemplateHash of its ReplicaSet.
	// +optional
	PodTemplateHash string `json:"podTemplateHash,omitempty"`
}

// TemplateStatusCode is the state of one version of an Experiment.
type TemplateStatusCode string

// The states of a version of an Experiment.
const (
	TemplateStatusProgressing TemplateStatusCode = "Progressing"
	TemplateStatusRunning     TemplateStatusCode = "Running"
	TemplateStatusSuccessful  TemplateStatusCode = "Successful"
	TemplateStatusFailed      TemplateStatusCode = "Failed"
	TemplateStatusError       TemplateStatusCode = "Error"
)

// ExperimentAnalysisRunStatus is the state of one analysis of an Experiment.
type ExperimentAnalysisRunStatus struct {
	// name of the analysis.
	Name string `json:"name"`
	// analysisRun is the AnalysisRun.
	AnalysisRun string `json:"analysisRun"`
	// phase of it.
	Phase AnalysisPhase `json:"phase"`
	// message it gives.
	// +optional
	Message string `json:"message,omitempty"`
}

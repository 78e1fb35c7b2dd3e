// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// RolloutAnalysis says which templates a Rollout measures with, and with which
// arguments.
type RolloutAnalysis struct {
	// templates are combined into one AnalysisRun.
	// +optional
	Templates []AnalysisTemplateRef `json:"templates,omitempty"`
	// args are handed to the templates; those no template declares are ignored.
	// +optional
	Args []AnalysisRunArgument `json:"args,omitempty"`
	// dryRun lists metrics that are measured and do not decide.
	// +optional
	DryRun []DryRun `json:"dryRun,omitempty"`
	// measurementRetention says how many measurements of a metric are kept.
	// Default 10 for each.
	// +optional
	MeasurementRetention []MeasurementRetention `json:"measurementRetention,omitempty"`
	// analysisRunMetadata is put on the AnalysisRun.
	// +optional
	AnalysisRunMetadata AnalysisRunMetadata `json:"analysisRunMetadata,omitempty"`
}

// RolloutAnalysisBackground is an analysis that runs beside the steps.
type RolloutAnalysisBackground struct {
	RolloutAnalysis `json:",inline"`
	// startingStep is the index of the step, from 0, at which it starts. Default
	// 0.
	// +optional
	StartingStep *int32 `json:"startingStep,omitempty"`
}

// AnalysisTemplateRef names a template.
type AnalysisTemplateRef struct {
	// templateName is the AnalysisTemplate, in the same namespace.
	// +optional
	TemplateName string `json:"templateName"`
	// clusterScope looks for a ClusterAnalysisTemplate instead. Default false.
	// +optional
	ClusterScope bool `json:"clusterScope,omitempty"`
}

// AnalysisRunArgument is an argument that a Rollout hands to a template: a value
// or where to take it from.
type AnalysisRunArgument struct {
	// name of the argument, as the template declares it.
	Name string `json:"name"`
	// value of the argument.
	// +optional
	Value string `json:"value,omitempty"`
	// valueFrom is where the value comes from when it is not written here.
	// +optional
	ValueFrom *ArgumentValueFrom `json:"valueFrom,omitempty"`
}

// ArgumentValueFrom is where a Rollout takes an argument's value from: one of
// the two.
type ArgumentValueFrom struct {
	// podTemplateHashValue is the pod-template hash of a version: Stable, or
	// Latest for the canary.
	// +optional
	PodTemplateHashValue *ValueFromPodTemplateHash `json:"podTemplateHashValue,omitempty"`
	// fieldRef is a field of the Rollout.
	// +optional
	FieldRef *FieldRef `json:"fieldRef,omitempty"`
}

// FieldRef points at a field of an object.
type FieldRef struct {
	// fieldPath of the field, such as metadata.labels['team']. In a Rollout's
	// analysis metadata.labels['rollouts-pod-template-hash'] is the canary's
	// hash. A path that leads nowhere is an error, never an empty string.
	FieldPath string `json:"fieldPath"`
}

// ValueFromPodTemplateHash says whose pod-template hash is meant.
type ValueFromPodTemplateHash string

// The versions whose hash an argument can take.
const (
	// Stable is the stable version.
	Stable ValueFromPodTemplateHash = "Stable"
	// Latest is the newest version, the canary.
	Latest ValueFromPodTemplateHash = "Latest"
)

// AnalysisRunMetadata is labels and annotations put on AnalysisRuns.
type AnalysisRunMetadata struct {
	// labels to set.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// annotations to set.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// DryRun picks metrics that are measured and do not decide.
type DryRun struct {
	// metricName is a regular expression (RE2) over names of metrics.
	MetricName string `json:"metricName"`
}

// MeasurementRetention says how many measurements of some metrics are kept.
type MeasurementRetention struct {
	// metricName is a regular expression (RE2) over names of metrics.
	MetricName string `json:"metricName"`
	// limit is the number of measurements kept for each. Default 10.
	Limit int32 `json:"limit"`
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AnalysisTemplate is a set of metrics that AnalysisRuns in its namespace are
// made from.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=analysistemplates,shortName=at
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the template was created"
type AnalysisTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is measured and how it is judged.
	Spec AnalysisTemplateSpec `json:"spec"`
}

// AnalysisTemplateList is a list of AnalysisTemplates.
//
// +kubebuilder:object:root=true
type AnalysisTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []AnalysisTemplate `json:"items"`
}

// ClusterAnalysisTemplate is a set of metrics that AnalysisRuns in every
// namespace are made from.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=clusteranalysistemplates,shortName=cat,scope=Cluster
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the template was created"
type ClusterAnalysisTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is measured and how it is judged.
	Spec AnalysisTemplateSpec `json:"spec"`
}

// ClusterAnalysisTemplateList is a list of ClusterAnalysisTemplates.
//
// +kubebuilder:object:root=true
type ClusterAnalysisTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ClusterAnalysisTemplate `json:"items"`
}

// AnalysisTemplateSpec is what is measured and how it is judged.
type AnalysisTemplateSpec struct {
	// metrics to measure. Their names must differ.
	// +optional
	Metrics []Metric `json:"metrics,omitempty"`
	// args that the metrics use as {{args.name}}. One without a value must be
	// handed in.
	// +optional
	Args []Argument `json:"args,omitempty"`
	// dryRun lists metrics that are measured and do not decide.
	// +optional
	DryRun []DryRun `json:"dryRun,omitempty"`
	// measurementRetention says how many measurements of a metric are kept.
	// Default 10 for each.
	// +optional
	MeasurementRetention []MeasurementRetention `json:"measurementRetention,omitempty"`
	// templates whose metrics are added to this one's.
	// +optional
	Templates []AnalysisTemplateRef `json:"templates,omitempty"`
}

// Argument is an argument that metrics use as {{args.name}}.
type Argument struct {
	// name of the argument.
	Name string `json:"name"`
	// value of the argument; in a template, its default.
	// +optional
	Value *string `json:"value,omitempty"`
	// valueFrom is where the value comes from when it is not written here.
	// +optional
	ValueFrom *ValueFrom `json:"valueFrom,omitempty"`
}

// ValueFrom is where an argument's value comes from: one of the two.
type ValueFrom struct {
	// secretKeyRef is a key of a Secret in the run's namespace. Its value is
	// never shown.
	// +optional
	SecretKeyRef *SecretKeyRef `json:"secretKeyRef,omitempty"`
	// fieldRef is a field of the Rollout.
	// +optional
	FieldRef *FieldRef `json:"fieldRef,omitempty"`
}

// SecretKeyRef is a key of a Secret.
type SecretKeyRef struct {
	// name of the Secret.
	Name string `json:"name"`
	// key in it.
	Key string `json:"key"`
}

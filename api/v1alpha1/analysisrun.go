// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AnalysisRun measures metrics and comes to a verdict. It has no status
// subresource.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=analysisruns,shortName=ar
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.phase`,description="Phase of the run"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the run was created"
type AnalysisRun struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is measured and how it is judged.
	Spec AnalysisRunSpec `json:"spec"`
	// status is what was measured and judged so far.
	// +optional
	Status AnalysisRunStatus `json:"status,omitzero"`
}

// AnalysisRunList is a list of AnalysisRuns.
//
// +kubebuilder:object:root=true
type AnalysisRunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []AnalysisRun `json:"items"`
}

// AnalysisRunSpec is what is measured and how it is judged.
type AnalysisRunSpec struct {
	// metrics to measure. Their names must differ.
	Metrics []Metric `json:"metrics"`
	// args that the metrics use as {{args.name}}.
	// +optional
	Args []Argument `json:"args,omitempty"`
	// terminate ends the run early. What has been measured decides.
	// +optional
	Terminate bool `json:"terminate,omitempty"`
	// dryRun lists metrics that are measured and do not decide.
	// +optional
	DryRun []DryRun `json:"dryRun,omitempty"`
	// measurementRetention says how many measurements of a metric are kept.
	// Default 10 for each.
	// +optional
	MeasurementRetention []MeasurementRetention `json:"measurementRetention,omitempty"`
	// ttlStrategy says when a finished run is deleted. Default: never.
	// +optional
	TTLStrategy *TTLStrategy `json:"ttlStrategy,omitempty"`
}

// TTLStrategy says when a finished run is deleted.
type TTLStrategy struct {
	// secondsAfterCompletion is how long any finished run is kept, in seconds.
	// +optional
	SecondsAfterCompletion *int32 `json:"secondsAfterCompletion,omitempty"`
	// secondsAfterFailure is how long a run that ended Failed, Error or
	// Inconclusive is kept, in seconds; it wins over secondsAfterCompletion.
	// +optional
	SecondsAfterFailure *int32 `json:"secondsAfterFailure,omitempty"`
	// secondsAfterSuccess is how long a Successful run is kept, in seconds; it
	// wins over secondsAfterCompletion.
	// +optional
	SecondsAfterSuccess *int32 `json:"secondsAfterSuccess,omitempty"`
}

// AnalysisRunStatus is what was measured and judged so far.
type AnalysisRunStatus struct {
	// phase is Pending, Running, Successful, Failed, Error or Inconclusive.
	Phase AnalysisPhase `json:"phase"`
	// message says why.
	// +optional
	Message string `json:"message,omitempty"`
	// metricResults are the results of the metrics.
	// +optional
	MetricResults []MetricResult `json:"metricResults,omitempty"`
	// startedAt is when measuring began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// runSummary counts the metrics that decide, by phase.
	// +optional
	RunSummary RunSummary `json:"runSummary,omitzero"`
	// dryRunSummary counts the metrics that do not decide, by phase.
	// +optional
	DryRunSummary *RunSummary `json:"dryRunSummary,omitempty"`
	// completedAt is when the run ended.
	// +optional
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`
}

// AnalysisPhase is the phase of a run, a metric or a measurement.
type AnalysisPhase string

// RunSummary counts metrics by phase.
type RunSummary struct {
	// count of all of them.
	// +optional
	Count int32 `json:"count,omitempty"`
	// successful is how many are Successful.
	// +optional
	Successful int32 `json:"successful,omitempty"`
	// failed is how many are Failed.
	// +optional
	Failed int32 `json:"failed,omitempty"`
	// inconclusive is how many are Inconclusive.
	// +optional
	Inconclusive int32 `json:"inconclusive,omitempty"`
	// error is how many ended in Error.
	// +optional
	Error int32 `json:"error,omitempty"`
}

// MetricResult is the result of one metric so far.
type MetricResult struct {
	// name of the metric.
	Name string `json:"name"`
	// phase of the metric.
	Phase AnalysisPhase `json:"phase"`
	// measurements, oldest first. Only the last ones are kept.
	// +optional
	Measurements []Measurement `json:"measurements,omitempty"`
	// message says why it is in that phase.
	// +optional
	Message string `json:"message,omitempty"`
	// count of measurements that came about: successful, failed and
	// inconclusive.
	// +optional
	Count int32 `json:"count,omitempty"`
	// successful is how many measurements were Successful.
	// +optional
	Successful int32 `json:"successful,omitempty"`
	// failed is how many measurements were Failed.
	// +optional
	Failed int32 `json:"failed,omitempty"`
	// inconclusive is how many measurements were Inconclusive.
	// +optional
	Inconclusive int32 `json:"inconclusive,omitempty"`
	// error is how many measurements did not come about.
	// +optional
	Error int32 `json:"error,omitempty"`
	// consecutiveError is how many in a row did not come about, up to now.
	// +optional
	ConsecutiveError int32 `json:"consecutiveError,omitempty"`
	// dryRun is true when the metric does not decide.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`
	// metadata is what the provider and the judge note about the metric.
	// +optional
	Metadata map[string]string `json:"metadata,omitempty"`
	// consecutiveSuccess is how many in a row were Successful, up to now.
	// +optional
	ConsecutiveSuccess int32 `json:"consecutiveSuccess,omitempty"`
}

// Measurement is one measurement.
type Measurement struct {
	// phase of the measurement.
	Phase AnalysisPhase `json:"phase"`
	// message says why.
	// +optional
	Message string `json:"message,omitempty"`
	// startedAt is when it began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// finishedAt is when it ended.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// value that was measured, as text.
	// +optional
	Value string `json:"value,omitempty"`
	// metadata is what the provider and the judge note about it.
	// +optional
	Metadata map[string]string `json:"metadata,omitempty"`
	// resumeAt is when to look at it again, for measurements that take time.
	// +optional
	ResumeAt *metav1.Time `json:"resumeAt,omitempty"`
}

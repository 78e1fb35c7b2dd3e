// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/util/intstr"

// Metric is something to measure and the rule it is judged by.
type Metric struct {
	// name of the metric.
	Name string `json:"name"`
	// interval between measurements, such as "60s", on a fixed schedule from the
	// first one. Left out: one measurement.
	// +optional
	Interval DurationString `json:"interval,omitempty"`
	// initialDelay before the first measurement, such as "60s". Default 0.
	// +optional
	InitialDelay DurationString `json:"initialDelay,omitempty"`
	// count is the number of measurements. Default, and the meaning of 0: one
	// without an interval, and no end with one.
	// +optional
	Count *intstr.IntOrString `json:"count,omitempty"`
	// successCondition is an expr-lang expression over result that is true for a
	// good measurement.
	// +optional
	SuccessCondition string `json:"successCondition,omitempty"`
	// failureCondition is an expr-lang expression over result that is true for a
	// bad measurement; it wins over successCondition. A measurement that is
	// neither is Inconclusive.
	// +optional
	FailureCondition string `json:"failureCondition,omitempty"`
	// failureLimit is how many measurements may fail; one more fails the metric.
	// -1 means any number, and is for metrics with consecutiveSuccessLimit.
	// Default 0.
	// +optional
	FailureLimit *intstr.IntOrString `json:"failureLimit,omitempty"`
	// inconclusiveLimit is how many measurements may be inconclusive; one more
	// ends the metric as Inconclusive. Left out while both conditions are given:
	// an inconclusive measurement counts towards neither verdict.
	// +optional
	InconclusiveLimit *intstr.IntOrString `json:"inconclusiveLimit,omitempty"`
	// consecutiveErrorLimit is how many measurements in a row may not come
	// about. What happens then is onError. Default 4.
	// +optional
	ConsecutiveErrorLimit *intstr.IntOrString `json:"consecutiveErrorLimit,omitempty"`
	// consecutiveSuccessLimit passes the metric after this many good
	// measurements in a row. Default 0: not used.
	// +optional
	ConsecutiveSuccessLimit *intstr.IntOrString `json:"consecutiveSuccessLimit,omitempty"`
	// provider is where the measurement comes from. Exactly one is set.
	Provider MetricProvider `json:"provider"`

	// abortCondition is an expr-lang expression over result that fails the
	// metric at once when it is true, whatever the limits. Not an Argo Rollouts
	// field.
	// +optional
	AbortCondition string `json:"abortCondition,omitempty"`
	// onNoData says what a measurement is when the provider answers with no
	// data: inconclusive, success, failure or error. Default inconclusive. Not
	// an Argo Rollouts field.
	// +optional
	OnNoData NoDataPolicy `json:"onNoData,omitempty"`
	// onError says what too many errors in a row do: hold keeps the run going
	// until the provider answers again, abort ends it as Error. Default hold.
	// Not an Argo Rollouts field.
	// +optional
	OnError ErrorPolicy `json:"onError,omitempty"`
	// maxHold is how long the metric may hold a Rollout without a verdict before
	// it pauses and people are told, such as "45m". Default: the larger of 30m
	// and 3 * count * interval. Not an Argo Rollouts field.
	// +optional
	MaxHold DurationString `json:"maxHold,omitempty"`
}

// NoDataPolicy says what a measurement without data is.
//
// +kubebuilder:validation:Enum=inconclusive;success;failure;error
type NoDataPolicy string

// The values of Metric.OnNoData.
const (
	// NoDataInconclusive holds the gate.
	NoDataInconclusive NoDataPolicy = "inconclusive"
	// NoDataSuccess counts as a success, but not as the one that passing needs.
	NoDataSuccess NoDataPolicy = "success"
	// NoDataFailure counts as a failure.
	NoDataFailure NoDataPolicy = "failure"
	// NoDataError counts as an error of the provider.
	NoDataError NoDataPolicy = "error"
)

// ErrorPolicy says what too many errors in a row do.
//
// +kubebuilder:validation:Enum=hold;abort
type ErrorPolicy string

// The values of Metric.OnError.
const (
	// ErrorHold keeps the run going until the provider answers again.
	ErrorHold ErrorPolicy = "hold"
	// ErrorAbort ends the metric as Error.
	ErrorAbort ErrorPolicy = "abort"
)

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package analysis judges measurements: what one reading is, what the readings
// of a metric add up to, and what the metrics of a run mean together. It also
// says when to measure next. It never takes a measurement, knows no clock and
// no API: time comes in as an argument, and all memory is in [State], which is
// written to the run's status and read back after a restart.
package analysis

import (
	"time"

	"sluice.dev/sluice/internal/condition"
)

// A Phase is the state of a measurement, a metric or a run.
type Phase string

// The phases, with the words of the API.
const (
	Pending      Phase = "Pending"
	Running      Phase = "Running"
	Successful   Phase = "Successful"
	Failed       Phase = "Failed"
	Error        Phase = "Error"
	Inconclusive Phase = "Inconclusive"
)

// Completed reports whether p is an end.
func (p Phase) Completed() bool {
	return p == Successful || p == Failed || p == Error || p == Inconclusive
}

// Semantics is the set of rules that a run is judged by.
type Semantics string

// The sets of rules. The zero value is Guide.
const (
	// Guide is the default: no data is not an error, an error is not a verdict,
	// and the band between the conditions holds.
	Guide Semantics = "guide"
	// Argo is the rules of Argo Rollouts, exactly.
	Argo Semantics = "argo"
)

// The values of Metric.OnNoData. The zero value lets a condition that handles
// absence decide, and is inconclusive otherwise.
const (
	NoDataInconclusive = "inconclusive"
	NoDataSuccess      = "success"
	NoDataFailure      = "failure"
	NoDataError        = "error"
)

// Defaults of a rule.
const (
	// DefaultRetry is the wait after a first error, and between the
	// measurements of a metric without an interval.
	DefaultRetry = 10 * time.Second
	// DefaultErrorLimit is how many errors in a row are tolerated.
	DefaultErrorLimit = 4
	// MinMaxHold is the smallest default of Metric.MaxHold.
	MinMaxHold = 30 * time.Minute
	// MaxWindow is the largest number of readings that a window holds.
	MaxWindow = 1_000
)

// A Metric is the rule for one metric.
type Metric struct {
	Name string
	// Interval between measurements; 0 means one measurement.
	Interval time.Duration
	// InitialDelay before the first one, from the start of the run.
	InitialDelay time.Duration
	// Count of readings that decide; 0 means one without an interval, and no
	// end with one.
	Count int
	// Success, Failure and Abort are the conditions; nil where not given.
	Success, Failure, Abort *condition.Condition
	// FailureLimit is how many readings may fail; negative means any number.
	FailureLimit int
	// InconclusiveLimit is how many may be inconclusive; nil means that the
	// band holds instead of deciding.
	InconclusiveLimit *int
	// ErrorLimit is how many errors in a row are tolerated.
	ErrorLimit int
	// SuccessLimit passes the metric after so many successes in a row; 0 means
	// that it is not used.
	SuccessLimit int
	// OnNoData is one of the NoData values, or empty.
	OnNoData string
	// AbortOnError ends the metric as Error when ErrorLimit is exceeded;
	// otherwise it holds.
	AbortOnError bool
	// MaxHold bounds a hold; 0 means the larger of MinMaxHold and 3 × Count ×
	// Interval.
	MaxHold time.Duration
	// DryRun metrics are measured and never delay or decide.
	DryRun bool
}

// A Termination says who asked a run to end early.
type Termination string

// The terminations.
const (
	// NotTerminated is a run that nobody asked to end.
	NotTerminated Termination = ""
	// ByController is a run that the rollout has moved on from.
	ByController Termination = "controller"
	// ByPerson is a run that somebody ended by hand.
	ByPerson Termination = "person"
)

// A Run is the rule for one analysis run.
type Run struct {
	// UID seeds the jitter, so that the same run waits the same after a restart
	// and two runs do not wait the same.
	UID       string
	Semantics Semantics
	Metrics   []Metric
	// Background runs measure until they are terminated.
	Background bool
	Terminate  Termination
	// Reason says why it was terminated.
	Reason string
	// Retry is the base of the back-off; 0 means DefaultRetry.
	Retry time.Duration
}

func (r Run) argo() bool { return r.Semantics == Argo }

func (r Run) retry() time.Duration {
	if r.Retry > 0 {
		return r.Retry
	}
	return DefaultRetry
}

// lenient reports whether the band, no data and errors hold m instead of
// deciding: the deviations D2, D3, D4 and D8 apply to it.
func (r Run) lenient(m Metric) bool { return !r.argo() && !m.DryRun }

// endless reports whether m measures until the run ends, whatever its count.
func (r Run) endless(m Metric) bool {
	return r.lenient(m) && r.Background && m.Interval > 0
}

// need is how many readings m must have before it can pass; 0 means that no
// number is enough.
func (m Metric) need() int {
	if m.Count <= 0 && m.Interval <= 0 {
		return 1
	}
	return max(m.Count, 0)
}

// window is how many of the last readings are remembered.
func (m Metric) window() int {
	n := m.need()
	if n == 0 {
		n = m.SuccessLimit
	}
	return min(n, MaxWindow)
}

// budgetWindow is how many of the last conclusive readings FailureLimit applies
// to once it slides. It is never too small for the limit to be exceeded: a guard
// that cannot fail is none.
func (m Metric) budgetWindow() int {
	if m.need() == 0 {
		return 0
	}
	return min(max(m.need(), m.FailureLimit+1), MaxWindow)
}

// HoldLimit is how long m may hold a rollout before people are asked.
func (m Metric) HoldLimit() time.Duration {
	if m.MaxHold > 0 {
		return m.MaxHold
	}
	return max(MinMaxHold, 3*time.Duration(m.need())*m.Interval)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"math"
	"time"

	"sluice.dev/sluice/internal/condition"
)

// An Observation is what a provider answered: a value, no data, or a failure.
type Observation struct {
	// Value is what the conditions see as result.
	Value any
	// NoData names the query that returned nothing; empty where Value is data.
	NoData string
	// Failure is the error, if there is no answer.
	Failure *Failure
}

// A Failure is a measurement that could not be taken.
type Failure struct {
	// Reason is the kind of failure, in one word.
	Reason string
	// Status is the HTTP status, 0 where there was none.
	Status int
	// Message is for people; it holds no secret.
	Message string
	// Throttled is an answer that asks to come back later (429): it waits for
	// RetryAfter and is not a consecutive error.
	Throttled  bool
	RetryAfter time.Duration
	// Denied is 401 and 403: named at once and retried at the interval.
	Denied bool
}

// Reasons of a measurement beside those of a Failure.
const (
	ReasonNoData         = "NoData"
	ReasonBand           = "Band"
	ReasonAbortCondition = "AbortCondition"
	ReasonCondition      = "ConditionError"
)

// A Measurement is one judged observation.
type Measurement struct {
	Phase Phase
	// Reason is one word on the phase; empty where the phase says it all.
	Reason string
	// Message is for people.
	Message string
	// Started and Finished are set by the caller.
	Started, Finished time.Time

	// assumed is a success or failure that stands for no data.
	assumed bool
	aborts  bool
	failure *Failure
}

// Assess judges one observation, made at the time at, by the rule m.
func (r Run) Assess(m Metric, o Observation, at time.Time) Measurement {
	if o.Failure != nil {
		x := Measurement{Phase: Error, Reason: o.Failure.Reason, Message: o.Failure.Message}
		if !r.argo() { // where one error is like another
			x.failure = o.Failure
		}
		return x
	}
	if r.argo() {
		return m.assessValue(o.Value, at)
	}
	if o.NoData != "" || absent(o.Value) {
		return m.assessAbsence(o, at)
	}
	if m.Abort != nil && !m.DryRun {
		holds, err := m.Abort.Eval(o.Value, at)
		if err != nil {
			return conditionError("abortCondition", err)
		}
		if holds {
			return aborted()
		}
	}
	return m.assessValue(o.Value, at)
}

// assessValue is the rule for a value: failure wins over success, and with both
// conditions given there is a band between them.
func (m Metric) assessValue(value any, at time.Time) Measurement {
	return m.decide(func(c *condition.Condition) (bool, error) { return c.Eval(value, at) })
}

func (m Metric) decide(eval func(*condition.Condition) (bool, error)) Measurement {
	var succeeds, fails bool
	var err error
	if m.Success != nil {
		if succeeds, err = eval(m.Success); err != nil {
			return conditionError("successCondition", err)
		}
	}
	if m.Failure != nil {
		if fails, err = eval(m.Failure); err != nil {
			return conditionError("failureCondition", err)
		}
	}
	switch {
	case fails:
		return Measurement{Phase: Failed}
	case m.Success == nil || succeeds:
		return Measurement{Phase: Successful}
	case m.Failure == nil:
		return Measurement{Phase: Failed}
	default:
		return Measurement{
			Phase: Inconclusive, Reason: ReasonBand,
			Message: "in the band: neither successCondition nor failureCondition holds",
		}
	}
}

// assessAbsence is the rule for no data: inconclusive, unless the metric says
// otherwise or its conditions handle absence themselves. It is never an error
// of the condition.
func (m Metric) assessAbsence(o Observation, at time.Time) Measurement {
	silent := Measurement{Phase: Inconclusive, Reason: ReasonNoData, Message: o.NoData}
	if silent.Message == "" {
		silent.Message = "the query returned no data"
	}
	switch m.OnNoData {
	case NoDataSuccess:
		silent.Phase, silent.assumed = Successful, true
	case NoDataFailure:
		silent.Phase, silent.assumed = Failed, true
	case NoDataError:
		silent.Phase = Error
	case "":
		if d, ok := m.handleAbsence(o, at); ok {
			return d
		}
	}
	return silent
}

// handleAbsence lets the conditions that say themselves what no data means
// decide, and reports whether they do.
func (m Metric) handleAbsence(o Observation, at time.Time) (d Measurement, ok bool) {
	eval := func(c *condition.Condition) (bool, error) { return c.EvalAbsent(o.Value, at) }
	if m.Abort != nil && !m.DryRun && m.Abort.HandlesAbsence() {
		if holds, err := eval(m.Abort); err == nil && holds {
			return aborted(), true
		}
	}
	if !m.handlesAbsence() {
		return d, false
	}
	d = m.decide(eval)
	return d, d.Phase == Successful || d.Phase == Failed
}

// handlesAbsence reports whether every condition that m has says itself what no
// data means.
func (m Metric) handlesAbsence() bool {
	if m.Success == nil && m.Failure == nil {
		return false
	}
	return (m.Success == nil || m.Success.HandlesAbsence()) && (m.Failure == nil || m.Failure.HandlesAbsence())
}

func aborted() Measurement {
	return Measurement{Phase: Failed, Reason: ReasonAbortCondition, Message: "abortCondition holds", aborts: true}
}

func conditionError(field string, err error) Measurement {
	return Measurement{Phase: Error, Reason: ReasonCondition, Message: field + ": " + err.Error()}
}

// absent reports whether v is no data: nil, NaN, an empty list, or a list of
// nothing but NaN.
func absent(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case float64:
		return math.IsNaN(v)
	case []float64:
		for _, x := range v {
			if !math.IsNaN(x) {
				return false
			}
		}
		return true
	case []any:
		for _, x := range v {
			if x != nil {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"slices"
	"strings"
	"time"
)

// A State is all that is known of a run. The zero value is a run that has not
// started.
type State struct {
	Phase   Phase
	Message string
	// StartedAt is in whole seconds; the schedule is kept by the results.
	StartedAt, CompletedAt time.Time
	// Results are in the order of the run's metrics.
	Results []Result
}

// A Result is all that is known of a metric.
type Result struct {
	Name    string
	Phase   Phase
	Message string
	DryRun  bool
	// Count is the number of readings: Successful, Failed and Inconclusive.
	// Errors are none.
	Count, Successful, Failed, Inconclusive, Error int
	ConsecutiveError, ConsecutiveSuccess           int
	Memory
}

// A Memory is what a metric must remember beyond its counters.
type Memory struct {
	// Anchor is the first tick of the schedule; Next is when to measure next.
	Anchor, Next time.Time
	// Last is the phase of the latest measurement.
	Last Phase
	// Recent holds the last readings, oldest first, one letter each: S, F and
	// I, and s and f for those that onNoData made. Conclusive holds the last
	// ones that are not I.
	Recent, Conclusive string
	// Assumed is how many successes stand for no data.
	Assumed int
	// Throttled is how many answers in a row asked to come back later.
	Throttled int
	// PassedAt is when the metric first passed.
	PassedAt time.Time
	// HoldSince is when it began to hold; zero while it does not. HoldCause is
	// what it holds for: it changes when the message must.
	HoldSince time.Time
	HoldCause string
}

// The letters of a window.
const (
	letterSuccess        = 'S'
	letterAssumedSuccess = 's'
	letterFailure        = 'F'
	letterAssumedFailure = 'f'
	letterInconclusive   = 'I'
)

// Result returns the result of the metric called name, or nil.
func (s State) Result(name string) *Result {
	for i := range s.Results {
		if s.Results[i].Name == name {
			return &s.Results[i]
		}
	}
	return nil
}

// clone returns a copy that shares nothing with s.
func (s State) clone() State {
	s.Results = slices.Clone(s.Results)
	return s
}

// begin fills in a fresh state, or the results that an older one lacks.
func (s State) begin(now time.Time, run Run) State {
	s = s.clone()
	if s.StartedAt.IsZero() {
		s.StartedAt = now.Truncate(time.Second) // as it is stored
	}
	results := make([]Result, len(run.Metrics))
	for i, m := range run.Metrics {
		if old := s.Result(m.Name); old != nil {
			results[i] = *old
		} else {
			results[i] = Result{Name: m.Name, Phase: Pending}
		}
		r := &results[i]
		r.DryRun = m.DryRun
		switch {
		case !r.Next.IsZero() || (trial{run, m, r}).ended():
		case r.measured():
			r.Next = now // what was stored says no more
		default:
			r.Anchor = now.Add(m.InitialDelay)
			r.Next = r.Anchor
		}
	}
	s.Results = results
	return s
}

func (r *Result) measured() bool { return r.Count+r.Error > 0 }

// proven is the number of successes that stand on data.
func (r *Result) proven() int { return r.Successful - r.Assumed }

// conclusive reports whether the latest measurement was.
func (r *Result) conclusive() bool { return r.Last == Successful || r.Last == Failed }

// tally counts a measurement.
func (r *Result) tally(m Metric, t Measurement) {
	r.Last = t.Phase
	if t.Phase == Error {
		r.Error++
		if t.failure != nil && t.failure.Throttled {
			r.Throttled++
			return
		}
		r.Throttled = 0
		r.ConsecutiveError++
		r.ConsecutiveSuccess = 0
		return
	}
	r.Count++
	r.ConsecutiveError, r.Throttled = 0, 0
	letter := letterInconclusive
	switch t.Phase {
	case Successful:
		letter = letterSuccess
		r.Successful++
		r.ConsecutiveSuccess++
		if t.assumed {
			letter = letterAssumedSuccess
			r.Assumed++
		}
	case Failed:
		letter = letterFailure
		if t.assumed {
			letter = letterAssumedFailure
		}
		r.Failed++
		r.ConsecutiveSuccess = 0
	default:
		r.Inconclusive++
		r.ConsecutiveSuccess = 0
	}
	r.Recent = push(r.Recent, letter, m.window())
	if letter != letterInconclusive {
		r.Conclusive = push(r.Conclusive, letter, m.budgetWindow())
	}
}

// push appends letter to window and keeps the last size.
func push(window string, letter rune, size int) string {
	window += string(letter)
	return window[max(0, len(window)-size):]
}

func failures(window string) int {
	return strings.Count(window, string(letterFailure)) + strings.Count(window, string(letterAssumedFailure))
}

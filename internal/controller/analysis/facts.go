// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	judge "sluice.dev/sluice/internal/analysis"
)

// Facts is what a Rollout acts on of one of its runs.
type Facts struct {
	Phase   v1alpha1.AnalysisPhase
	Message string
	// Trusted says that the status was written by this controller for this run:
	// it was not filled in before the run was started.
	Trusted bool
	// GuardReady says that every metric that decides has a successful reading
	// and a conclusive one last; GuardWhy which one does not, and why.
	GuardReady bool
	GuardWhy   string
	// Hold says which metric holds, of those that do the one whose time is up
	// first; HoldUntil when that is. Both are empty when none does.
	Hold      string
	HoldUntil time.Time
	// Failed is the metric that made the run Failed or Error; nil if it is
	// neither.
	Failed *v1alpha1.MetricResult
}

// FactsOf reads the facts of run from its status alone.
func FactsOf(run *v1alpha1.AnalysisRun, semantics judge.Semantics) Facts {
	f := Facts{Phase: run.Status.Phase, Message: run.Status.Message, Trusted: Trusted(run)}
	results := run.Status.MetricResults
	rule := judge.Run{Semantics: semantics}
	for i := range results {
		rule.Metrics = append(rule.Metrics, judge.Metric{Name: results[i].Name, DryRun: results[i].DryRun})
		if !results[i].DryRun {
			f.add(&results[i])
		}
	}
	switch {
	case semantics == judge.Argo:
		f.GuardReady = true
	case len(results) < len(run.Spec.Metrics):
		f.GuardWhy = "nothing is measured yet"
	default:
		f.GuardReady, f.GuardWhy = judge.Guard(rule, stateOf(run))
	}
	return f
}

// add takes down what one metric that decides adds to the facts.
func (f *Facts) add(r *v1alpha1.MetricResult) {
	until, err := time.Parse(time.RFC3339, r.Metadata[judge.KeyHoldUntil])
	if err == nil && !f.Phase.Completed() && (f.Hold == "" || until.Before(f.HoldUntil)) {
		f.Hold, f.HoldUntil = fmt.Sprintf("metric %q: %s", r.Name, r.Message), until
	}
	ended := f.Phase == v1alpha1.AnalysisPhaseFailed || f.Phase == v1alpha1.AnalysisPhaseError
	if f.Failed == nil && ended && r.Phase == f.Phase {
		f.Failed = r
	}
}

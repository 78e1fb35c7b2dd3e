// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"strconv"
	"strings"
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
	// and a conclusive one last, which is not from before nobody was there to
	// measure; GuardWhy which one does not, and why.
	GuardReady bool
	GuardWhy   string
	// Hold says which metric holds, of those that do the one whose time is up
	// first; HoldUntil when that is. Both are empty when none does.
	Hold      string
	HoldUntil time.Time
	// Failed is the metric that made the run Failed or Error; nil if it is
	// neither.
	Failed *v1alpha1.MetricResult
	// Limit is how many failed measurements that metric was allowed.
	Limit int32
}

// FactsOf reads the facts of run from its status alone, as they are at now.
func FactsOf(run *v1alpha1.AnalysisRun, semantics judge.Semantics, now time.Time) Facts {
	f := Facts{Phase: run.Status.Phase, Message: run.Status.Message, Trusted: Trusted(run)}
	results := run.Status.MetricResults
	rule := judge.Run{Semantics: semantics}
	for i := range results {
		rule.Metrics = append(rule.Metrics, judge.Metric{Name: results[i].Name, DryRun: results[i].DryRun})
		if !results[i].DryRun {
			f.add(&results[i])
		}
	}
	if f.Failed != nil {
		f.Limit = failureLimit(run, f.Failed)
	}
	switch {
	case semantics == judge.Argo:
		f.GuardReady = true
	case len(results) < len(run.Spec.Metrics):
		f.GuardWhy = "nothing is measured yet"
	default:
		f.GuardReady, f.GuardWhy = judge.Guard(rule, stateOf(run))
	}
	if name := overdue(run, now); f.GuardReady && semantics != judge.Argo && name != "" {
		f.GuardReady, f.GuardWhy = false, fmt.Sprintf("metric %q was to be measured again by now", name)
	}
	return f
}

// grace is what a reading may take to arrive and to be stored.
const grace = 5 * time.Second

// overdue is a metric that two readings are missing of, because the controller
// was away or the provider does not answer: what it said last is about a canary
// that nobody has looked at since. It is empty when there is none.
func overdue(run *v1alpha1.AnalysisRun, now time.Time) string {
	results := run.Status.MetricResults
	for i := range results {
		r := &results[i]
		if r.DryRun || r.Phase.Completed() || len(r.Measurements) == 0 || i >= len(run.Spec.Metrics) {
			continue
		}
		interval, err := time.ParseDuration(string(run.Spec.Metrics[i].Interval))
		last := r.Measurements[len(r.Measurements)-1].FinishedAt
		if err == nil && last != nil && now.Sub(last.Time) > 2*interval+grace {
			return r.Name
		}
	}
	return ""
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

// failureLimit is the limit that r was judged by. It is recorded with the
// result, with arguments filled in; a run of another controller has it in its
// spec alone.
func failureLimit(run *v1alpha1.AnalysisRun, r *v1alpha1.MetricResult) int32 {
	for part := range strings.FieldsSeq(r.Metadata[KeyLimits]) {
		if text, ok := strings.CutPrefix(part, "failureLimit="); ok {
			if n, err := strconv.ParseInt(text, 10, 32); err == nil {
				return int32(n)
			}
		}
	}
	for i := range run.Spec.Metrics {
		m := &run.Spec.Metrics[i]
		if m.Name != r.Name || m.FailureLimit == nil {
			continue
		}
		text := m.FailureLimit.String()
		for _, arg := range run.Spec.Args {
			if arg.Value != nil {
				text = strings.ReplaceAll(text, "{{args."+arg.Name+"}}", *arg.Value)
			}
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32); err == nil {
			return int32(n)
		}
	}
	return 0
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// KeyAttempt is the annotation of an AnalysisRun that says which attempt of its
// Rollout started it.
const KeyAttempt = v1alpha1.SluicePrefix + "attempt"

// Objects are what a Record is made of. What belongs to another Rollout or
// another attempt is left out.
type Objects struct {
	Rollout     *v1alpha1.Rollout
	ReplicaSets []*appsv1.ReplicaSet
	Runs        []*v1alpha1.AnalysisRun
	// Totals are what was counted over the whole attempt; see Countable.
	Totals []Total
}

// A Total is what the queries of a metric have counted between two times, or why
// they could not be asked.
type Total struct {
	Countable
	Counts   map[string]float64
	From, To time.Time
	Problem  string
}

// A Countable is a metric whose queries count the canary's requests.
type Countable struct{ Run, Metric string }

// Build makes the record of attempt, which is one of those in the Rollout's
// status, as it is at now.
func Build(o Objects, attempt *v1alpha1.RolloutAttempt, now time.Time) Record {
	r := Record{
		Version: Version, Namespace: o.Rollout.Namespace, Rollout: o.Rollout.Name, UID: string(o.Rollout.UID),
		Revision: attempt.Revision, Attempt: attempt.Attempt, Outcome: cmp.Or(attempt.Outcome, InProgress),
		Reason: attempt.Reason, Message: strings.TrimPrefix(attempt.Message, "RolloutAborted: "),
		StartedAt: attempt.StartedAt.UTC(), RecordedAt: now.UTC().Truncate(time.Millisecond),
		StartedBy: Starter{Name: attempt.StartedBy, Manager: attempt.Manager, Retry: attempt.Attempt > 1},
	}
	if attempt.EndedAt != nil {
		r.EndedAt = attempt.EndedAt.UTC()
	}
	r.Change = change(o.ReplicaSets, attempt)
	r.Timeline = timeline(attempt)
	for _, k := range attempt.Skipped {
		r.Skipped = append(r.Skipped, Skip{Step: int(k.Step), What: k.What, By: k.By, At: utc(k.At)})
	}
	for _, run := range RunsOf(o.Rollout, o.Runs, attempt) {
		r.Runs = append(r.Runs, runOf(run))
	}
	r.Runs = append([]Run{}, r.Runs...)
	r.Requests = requests(&r, o.Totals)
	r.Missing = missing(o, attempt, &r)
	r.Verdict = sentences(&r, attempt.Verdict)
	return r
}

// RunsOf are the analysis runs that attempt started, in the order in which they
// began.
func RunsOf(ro *v1alpha1.Rollout, runs []*v1alpha1.AnalysisRun, attempt *v1alpha1.RolloutAttempt) []*v1alpha1.AnalysisRun {
	var out []*v1alpha1.AnalysisRun
	for _, run := range runs {
		if metav1.IsControlledBy(run, ro) && startedBy(run, attempt) {
			out = append(out, run)
		}
	}
	slices.SortFunc(out, func(a, b *v1alpha1.AnalysisRun) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Gated reports whether something could judge attempt: ro has an analysis, or
// attempt had one of runs.
func Gated(ro *v1alpha1.Rollout, runs []*v1alpha1.AnalysisRun, attempt *v1alpha1.RolloutAttempt) bool {
	if s := &ro.Spec.Strategy; s.BlueGreen != nil {
		return true
	} else if c := s.Canary; c != nil {
		judges := func(step v1alpha1.CanaryStep) bool {
			return step.Analysis != nil || step.Experiment != nil || step.Plugin != nil
		}
		if c.Analysis != nil || slices.ContainsFunc(c.Steps, judges) {
			return true
		}
	}
	return len(RunsOf(ro, runs, attempt)) > 0
}

// startedBy reports whether attempt started run. Runs carry the attempt; the
// hash and the time tell apart what was released twice.
func startedBy(run *v1alpha1.AnalysisRun, attempt *v1alpha1.RolloutAttempt) bool {
	if run.Labels[v1alpha1.LabelPodTemplateHash] != attempt.Hash {
		return false
	}
	n, err := strconv.Atoi(run.Annotations[KeyAttempt])
	if err != nil {
		n = 1 // another controller's
	}
	if n != int(attempt.Attempt) {
		return false
	}
	// Creation times are whole seconds.
	created := run.CreationTimestamp.Time
	if created.Before(attempt.StartedAt.Truncate(time.Second)) {
		return false
	}
	return attempt.EndedAt == nil || !created.After(attempt.EndedAt.Add(time.Second))
}

func utc(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// timeline is what happened, with the step and the weight at each moment.
func timeline(a *v1alpha1.RolloutAttempt) []Event {
	full := float64(v1alpha1.DefaultMaxTrafficWeight)
	if a.MaxWeight > 0 {
		full = float64(a.MaxWeight)
	}
	events := make([]Event, 0, len(a.Marks)+1)
	now := Event{}
	var last *Event
	for _, m := range a.Marks {
		now.At, now.Kind, now.Text = m.At.UTC(), m.Kind, m.Text
		switch m.Kind {
		case v1alpha1.MarkStep:
			now.Step = int(m.Value)
		case v1alpha1.MarkWeight:
			now.Weight = float64(m.Value) * 100 / full
		case v1alpha1.MarkHold:
			if m.Text == "" {
				now.Kind = "HoldOver"
			}
		}
		events = append(events, now)
	}
	if a.EndedAt != nil {
		now.At, now.Kind, now.Text = a.EndedAt.UTC(), a.Outcome, a.Reason
		last = &now
	}
	if last != nil {
		events = append(events, *last)
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	return events
}

// missing says what the record lacks.
func missing(o Objects, a *v1alpha1.RolloutAttempt, r *Record) []string {
	var out []string
	if a.Dropped > 0 {
		out = append(out, fmt.Sprintf("The timeline lacks its oldest %s: there was no room for them.", counted(int(a.Dropped), "entry", "entries")))
	}
	if find(o.ReplicaSets, a.Stable) == nil {
		out = append(out, fmt.Sprintf("What changed is not known: the ReplicaSet of the stable revision %s was gone.", a.Stable))
	}
	if find(o.ReplicaSets, a.Hash) == nil {
		out = append(out, fmt.Sprintf("What was released is not known: the ReplicaSet of %s was gone.", a.Hash))
	}
	if v := a.Verdict; v != nil && v.Run != "" && !slices.ContainsFunc(r.Runs, func(x Run) bool { return x.Name == v.Run }) {
		out = append(out, fmt.Sprintf("The AnalysisRun %s, which decided, was deleted before this record was made.", v.Run))
	}
	for _, t := range o.Totals {
		if t.Problem != "" {
			out = append(out, fmt.Sprintf("The requests that the canary served could not be counted: %s.", strings.TrimSuffix(t.Problem, ".")))
		}
	}
	return append(out, unlisted(r)...)
}

// unlisted says what is missing of the runs that are on record.
func unlisted(r *Record) []string {
	var out []string
	for i := range r.Runs {
		run := &r.Runs[i]
		if !r.EndedAt.IsZero() && run.CompletedAt.IsZero() {
			out = append(out, fmt.Sprintf("The AnalysisRun %s had not ended when this record was made.", run.Name))
		}
		for j := range run.Metrics {
			if m := &run.Metrics[j]; m.Dropped > 0 {
				out = append(out, fmt.Sprintf("%s of metric %s in %s are counted and not listed: there was no room for them.", plural(m.Dropped, "reading"), m.Name, run.Name))
			}
		}
	}
	return out
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"fmt"

	"sluice.dev/sluice/api/v1alpha1"
)

// Derive returns what happened between two states of a Rollout beyond the
// events that the decision names: steps that were completed, and what became of
// analysis runs.
func Derive(before, after *v1alpha1.Rollout) []Event {
	return append(steps(before, after), runs(before, after)...)
}

// steps are the steps that were completed. One that somebody skipped was not.
func steps(before, after *v1alpha1.Rollout) []Event {
	b, a := &before.Status, &after.Status
	canary := after.Spec.Strategy.Canary
	if canary == nil || b.CurrentStepIndex == nil || a.CurrentStepIndex == nil || a.Abort || !climbed(b, a) {
		return nil
	}
	skipped := skips(b.Sluice, a.Sluice)
	all := int32(len(canary.Steps))
	var out []Event
	for i := *b.CurrentStepIndex; i < min(*a.CurrentStepIndex, all); i++ {
		if !skipped[i] {
			out = append(out, Event{
				Reason:  v1alpha1.EventRolloutStepCompleted,
				Message: fmt.Sprintf("Rollout step %d/%d completed (%s)", i+1, all, what(&canary.Steps[i])),
			})
		}
	}
	return out
}

// climbed reports whether b and a are the same attempt at a revision that is
// not stable yet.
func climbed(b, a *v1alpha1.RolloutStatus) bool {
	same := b.CurrentPodHash == a.CurrentPodHash && attempt(b) == attempt(a) && b.CurrentStepHash == a.CurrentStepHash
	return same && b.StableRS != "" && b.StableRS != b.CurrentPodHash
}

// skips are the steps that somebody skipped since b.
func skips(b, a *v1alpha1.SluiceStatus) map[int32]bool {
	out := map[int32]bool{}
	if a == nil {
		return out
	}
	from := 0
	if b != nil {
		from = min(len(b.Skipped), len(a.Skipped))
	}
	for _, k := range a.Skipped[from:] {
		out[k.Step] = true
	}
	return out
}

func what(s *v1alpha1.CanaryStep) string {
	switch {
	case s.SetWeight != nil:
		return fmt.Sprintf("setWeight: %d", *s.SetWeight)
	case s.Pause != nil:
		return "pause"
	case s.Analysis != nil:
		return "analysis"
	}
	return "step"
}

func attempt(st *v1alpha1.RolloutStatus) int32 {
	if st.Sluice == nil {
		return 0
	}
	return st.Sluice.Attempt
}

// runs are the phases that analysis runs came to. A run that aborted the
// rollout has failed, whatever its own status says so far.
func runs(before, after *v1alpha1.Rollout) []Event {
	b, a := &before.Status, &after.Status
	var out []Event
	verdict := blamed(a)
	if verdict != "" && !b.Abort {
		out = append(out, ran(verdict, v1alpha1.AnalysisPhaseFailed, a.Sluice.Verdict.Message))
	}
	for _, pair := range [][2]*v1alpha1.RolloutAnalysisRunStatus{
		{b.Canary.CurrentStepAnalysisRunStatus, a.Canary.CurrentStepAnalysisRunStatus},
		{b.Canary.CurrentBackgroundAnalysisRunStatus, a.Canary.CurrentBackgroundAnalysisRunStatus},
	} {
		if is := pair[1]; came(pair[0], is) && is.Name != verdict {
			out = append(out, ran(is.Name, is.Status, is.Message))
		}
	}
	return out
}

// blamed is the run that aborted the rollout.
func blamed(a *v1alpha1.RolloutStatus) string {
	if a.Sluice == nil || a.Sluice.Verdict == nil || !a.Abort {
		return ""
	}
	return a.Sluice.Verdict.Run
}

// came reports whether a run came to a phase that people are told.
func came(was, is *v1alpha1.RolloutAnalysisRunStatus) bool {
	if is == nil || is.Status == "" || is.Status == v1alpha1.AnalysisPhasePending {
		return false
	}
	return was == nil || was.Name != is.Name || was.Status != is.Status
}

func ran(name string, phase v1alpha1.AnalysisPhase, message string) Event {
	text := fmt.Sprintf("Analysis run %s is %s", name, phase)
	if message != "" {
		text += ": " + message
	}
	return Event{Reason: v1alpha1.EventAnalysisRunPrefix + string(phase), Message: text, Run: name}
}

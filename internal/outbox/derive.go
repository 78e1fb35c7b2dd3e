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
	if canary == nil || b.CurrentStepIndex == nil || a.CurrentStepIndex == nil || a.Abort ||
		b.CurrentPodHash != a.CurrentPodHash || attempt(b) != attempt(a) || b.CurrentStepHash != a.CurrentStepHash {
		return nil
	}
	if promoted := a.StableRS != b.StableRS; b.StableRS == "" || b.StableRS == b.CurrentPodHash && !promoted {
		return nil
	}
	skipped := map[int32]bool{}
	if a.Sluice != nil {
		from := 0
		if b.Sluice != nil {
			from = min(len(b.Sluice.Skipped), len(a.Sluice.Skipped))
		}
		for _, k := range a.Sluice.Skipped[from:] {
			skipped[k.Step] = true
		}
	}
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
	verdict := ""
	if a.Sluice != nil && a.Sluice.Verdict != nil && a.Abort && a.Sluice.Verdict.Run != "" {
		verdict = a.Sluice.Verdict.Run
		if !b.Abort {
			out = append(out, ran(verdict, v1alpha1.AnalysisPhaseFailed, a.Sluice.Verdict.Message))
		}
	}
	for _, pair := range [][2]*v1alpha1.RolloutAnalysisRunStatus{
		{b.Canary.CurrentStepAnalysisRunStatus, a.Canary.CurrentStepAnalysisRunStatus},
		{b.Canary.CurrentBackgroundAnalysisRunStatus, a.Canary.CurrentBackgroundAnalysisRunStatus},
	} {
		was, is := pair[0], pair[1]
		if is == nil || is.Name == verdict || is.Status == "" || is.Status == v1alpha1.AnalysisPhasePending ||
			was != nil && was.Name == is.Name && was.Status == is.Status {
			continue
		}
		out = append(out, ran(is.Name, is.Status, is.Message))
	}
	return out
}

func ran(name string, phase v1alpha1.AnalysisPhase, message string) Event {
	text := fmt.Sprintf("Analysis run %s is %s", name, phase)
	if message != "" {
		text += ": " + message
	}
	return Event{Reason: v1alpha1.EventAnalysisRunPrefix + string(phase), Message: text, Run: name}
}

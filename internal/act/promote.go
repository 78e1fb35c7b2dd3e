// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package act

import (
	"fmt"

	"sluice.dev/sluice/api/v1alpha1"
)

// How says how far a promotion goes.
type How int

// The ways to promote.
const (
	// Next ends the current pause, or skips the current step.
	Next How = iota
	// SkipStep skips the current step.
	SkipStep
	// SkipAll skips the steps that are left.
	SkipAll
	// Full skips the steps, pauses and analyses that are left.
	Full
)

// Promote lets a Rollout go on. It refuses what cannot have the effect that the
// person wants: a promotion of an aborted revision would lie in wait and take
// effect, past every gate, at the next retry.
func Promote(ro *v1alpha1.Rollout, how How) (Plan, error) {
	if ro.Status.Abort {
		return Plan{}, refuse("rollout '%s' is aborted and cannot be promoted: retry it first, or undo it", ro.Name)
	}
	switch how {
	case SkipStep, SkipAll:
		return promoteSkip(ro, how)
	case Full:
		return promoteFull(ro), nil
	case Next:
	}
	return promoteNext(ro), nil
}

func promoteSkip(ro *v1alpha1.Rollout, how How) (Plan, error) {
	if ro.Spec.Strategy.Canary == nil {
		return Plan{}, refuse("rollout '%s' has no canary strategy and so no steps to skip: promote it without the flag", ro.Name)
	}
	if len(ro.Spec.Strategy.Canary.Steps) == 0 {
		return Plan{}, refuse("rollout '%s' has no steps to skip", ro.Name)
	}
	index := int32(len(ro.Spec.Strategy.Canary.Steps))
	if how == SkipStep {
		index = following(ro)
	}
	return Plan{
		Patches: []Patch{onStatus(fmt.Sprintf(`{"status":{"currentStepIndex":%d}}`, index))},
		Message: fmt.Sprintf("rollout '%s' promoted", ro.Name),
	}, nil
}

func promoteFull(ro *v1alpha1.Rollout) Plan {
	p := Plan{Message: fmt.Sprintf("rollout '%s' fully promoted", ro.Name)}
	if ro.Status.CurrentPodHash != ro.Status.StableRS {
		status := onStatus(`{"status":{"promoteFull":true}}`)
		status.Fallback = []byte(`{"spec":{"paused":false},"status":{"promoteFull":true}}`)
		p.Patches = append(p.Patches, status)
	} else {
		p.Note = "the newest revision is the stable one already"
	}
	return unpause(ro, p)
}

// promoteNext clears a pause or moves the step index, never both: a step that
// is paused ends when the pause does. Only an inconclusive gate needs both,
// because it would be measured again.
func promoteNext(ro *v1alpha1.Rollout) Plan {
	p := Plan{Message: fmt.Sprintf("rollout '%s' promoted", ro.Name)}
	const unified = `{"spec":{"paused":false},"status":{"pauseConditions":null}}`
	canary := ro.Spec.Strategy.Canary
	steps := canary != nil && len(canary.Steps) > 0
	switch {
	case steps && inconclusive(ro):
		p.Patches = append(p.Patches, Patch{
			Subresource: "status", Type: Merge,
			Body:     fmt.Appendf(nil, `{"status":{"pauseConditions":null, "controllerPause":false, "currentStepIndex":%d}}`, following(ro)),
			Fallback: []byte(unified),
		})
	case len(ro.Status.PauseConditions) > 0:
		return clearPause(ro, p)
	case steps:
		p.Patches = append(p.Patches, Patch{
			Subresource: "status", Type: Merge,
			Body:     fmt.Appendf(nil, `{"status":{"pauseConditions":null, "currentStepIndex":%d}}`, following(ro)),
			Fallback: fmt.Appendf(nil, `{"spec":{"paused":false},"status":{"pauseConditions":null, "currentStepIndex":%d}}`, following(ro)),
		})
	}
	if settled(ro) && !ro.Spec.Paused {
		p.Note = "the newest revision is the stable one already"
	}
	return unpause(ro, p)
}

// clearPause ends the controller's pause, and a person's before it. The other
// way round, Argo Rollouts forgets that the step was resumed if it looks between
// the two patches, and pauses it again.
func clearPause(ro *v1alpha1.Rollout, p Plan) Plan {
	p = unpause(ro, p)
	p.Patches = append(p.Patches, Patch{
		Subresource: "status", Type: Merge,
		Body:     []byte(`{"status":{"pauseConditions":null}}`),
		Fallback: []byte(`{"spec":{"paused":false},"status":{"pauseConditions":null}}`),
	})
	return p
}

func unpause(ro *v1alpha1.Rollout, p Plan) Plan {
	if ro.Spec.Paused {
		p.Patches = append(p.Patches, onSpec(`{"spec":{"paused":false}}`))
	}
	return p
}

// inconclusive reports whether the Rollout is paused because the analysis of
// its step could not decide.
func inconclusive(ro *v1alpha1.Rollout) bool {
	run := ro.Status.Canary.CurrentStepAnalysisRunStatus
	return run != nil && run.Status == v1alpha1.AnalysisPhaseInconclusive &&
		len(ro.Status.PauseConditions) > 0 && ro.Status.ControllerPause
}

// following is the index of the step after the current one; the number of
// steps when there is none.
func following(ro *v1alpha1.Rollout) int32 {
	var index int32
	if ro.Status.CurrentStepIndex != nil {
		index = *ro.Status.CurrentStepIndex
	}
	if int(index) < len(ro.Spec.Strategy.Canary.Steps) {
		index++
	}
	return index
}

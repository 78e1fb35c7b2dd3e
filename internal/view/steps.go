// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/api/v1alpha1"
)

// progress is the steps in words and the index of the current one.
func progress(ro *v1alpha1.Rollout) ([]Step, int) {
	canary := ro.Spec.Strategy.Canary
	if canary == nil || len(canary.Steps) == 0 {
		return nil, 0
	}
	steps := make([]Step, len(canary.Steps))
	for i := range canary.Steps {
		steps[i] = Step{Text: stepText(&canary.Steps[i])}
	}
	return steps, current(ro)
}

// current is the index of the current step; the number of steps when all are
// done.
func current(ro *v1alpha1.Rollout) int {
	canary := ro.Spec.Strategy.Canary
	if canary == nil {
		return 0
	}
	if ro.Status.CurrentStepIndex != nil {
		return min(max(int(*ro.Status.CurrentStepIndex), 0), len(canary.Steps))
	}
	if settled(ro) {
		return len(canary.Steps)
	}
	return 0
}

func settled(ro *v1alpha1.Rollout) bool {
	return ro.Status.CurrentPodHash != "" && ro.Status.CurrentPodHash == ro.Status.StableRS
}

func stepText(s *v1alpha1.CanaryStep) string {
	switch {
	case s.SetWeight != nil:
		return fmt.Sprintf("%d%%", *s.SetWeight)
	case s.Pause != nil:
		if d, ok := pauseLength(s.Pause); ok {
			return duration.HumanDuration(d)
		}
		return "pause"
	case s.Analysis != nil:
		return "analysis"
	case s.Experiment != nil:
		return "experiment"
	case s.SetCanaryScale != nil:
		return scaleText(s.SetCanaryScale)
	case s.SetHeaderRoute != nil:
		return "header route"
	case s.SetMirrorRoute != nil:
		return "mirror"
	case s.Plugin != nil:
		return "plugin " + s.Plugin.Name
	}
	return "nothing"
}

func scaleText(s *v1alpha1.SetCanaryScale) string {
	switch {
	case s.Replicas != nil:
		return fmt.Sprintf("scale %d pods", *s.Replicas)
	case s.Weight != nil:
		return fmt.Sprintf("scale %d%%", *s.Weight)
	}
	return "scale by weight"
}

// pauseLength is how long a pause lasts; false when it lasts until a person
// acts.
func pauseLength(p *v1alpha1.RolloutPause) (time.Duration, bool) {
	switch {
	case p == nil || p.Duration == nil:
		return 0, false
	case p.Duration.Type == intstr.Int:
		return time.Duration(p.Duration.IntVal) * time.Second, true
	}
	text := p.Duration.StrVal
	if strings.Trim(text, "0123456789") == "" {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// pauses are what the Rollout waits for, a person's pause first.
func pauses(ro *v1alpha1.Rollout, now time.Time) []Pause {
	var out []Pause
	if ro.Spec.Paused {
		out = append(out, Pause{Left: -1})
	}
	for _, c := range ro.Status.PauseConditions {
		p := Pause{Reason: c.Reason, Since: since(c.StartTime.Time, now), Left: -1}
		if c.Reason == v1alpha1.PauseReasonCanaryPauseStep {
			if d, ok := pauseLength(currentPause(ro)); ok {
				p.Left = max(0, d-p.Since)
			}
		}
		out = append(out, p)
	}
	return out
}

func currentPause(ro *v1alpha1.Rollout) *v1alpha1.RolloutPause {
	canary, i := ro.Spec.Strategy.Canary, current(ro)
	if canary == nil || i >= len(canary.Steps) {
		return nil
	}
	return canary.Steps[i].Pause
}

// weights are the canary's weight by its steps, and the one it has.
func weights(ro *v1alpha1.Rollout) (set, actual int32) {
	canary := ro.Spec.Strategy.Canary
	if canary == nil {
		return 0, 0
	}
	if settled(ro) {
		return 100, 100
	}
	set = stepWeight(ro)
	routed := canary.TrafficRouting != nil
	switch {
	case routed && ro.Status.Canary.Weights != nil:
		actual = ro.Status.Canary.Weights.Canary.Weight
	case !routed && ro.Status.AvailableReplicas > 0:
		actual = min(100, ro.Status.UpdatedReplicas*100/max(1, ro.Status.Replicas))
	}
	return set, actual
}

// stepWeight is the weight of the last setWeight at or before the current step.
func stepWeight(ro *v1alpha1.Rollout) int32 {
	steps, at := ro.Spec.Strategy.Canary.Steps, current(ro)
	if ro.Status.Abort {
		return 0
	}
	if at >= len(steps) {
		return 100
	}
	for i := at; i >= 0; i-- {
		if w := steps[i].SetWeight; w != nil {
			return *w
		}
	}
	return 0
}

// skipped says which gates were passed over, and by whom where that is known.
func skipped(list []v1alpha1.SkippedStep) []string {
	var out []string
	for _, s := range list {
		text := fmt.Sprintf("step %d", s.Step)
		if s.What != "" {
			text += " (" + s.What + ")"
		}
		if s.By != "" {
			text += " by " + s.By
		}
		out = append(out, text)
	}
	return out
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/api/v1alpha1"
)

// A Stage is a part of the release: how much it harms, and for how long.
type Stage struct {
	// Step is the index of the step.
	Step   int    `json:"step"`
	What   string `json:"what"`
	Weight int32  `json:"weight"`
	// Pods are the bad pods, out of OfPods.
	Pods   int32 `json:"pods"`
	OfPods int32 `json:"ofPods"`
	// Lasts is how long at most; Person says that it waits for a person.
	Lasts  time.Duration `json:"lasts"`
	Person bool          `json:"person,omitempty"`
}

// stages are the steps of ro before the guard that take time.
func stages(ro *v1alpha1.Rollout, gates []made, guard int) []Stage {
	replicas := v1alpha1.DefaultReplicas
	if ro.Spec.Replicas != nil {
		replicas = *ro.Spec.Replicas
	}
	var out []Stage
	var weight int32
	for i := range guard {
		step := &ro.Spec.Strategy.Canary.Steps[i]
		if step.SetWeight != nil {
			weight = *step.SetWeight
		}
		s := Stage{Step: i, Weight: weight, Pods: share(replicas, weight, top(ro)), OfPods: replicas}
		switch {
		case step.Pause != nil:
			s.What = "pause"
			s.Lasts, s.Person = pause(step.Pause)
		case step.Analysis != nil:
			s.What, s.Lasts = "analysis", length(gates, i)
		default:
			continue
		}
		out = append(out, s)
	}
	return out
}

func share(replicas, weight, most int32) int32 {
	return int32((int64(replicas)*int64(weight) + int64(most) - 1) / int64(most))
}

// top is the weight that is all of the traffic.
func top(ro *v1alpha1.Rollout) int32 {
	if r := ro.Spec.Strategy.Canary.TrafficRouting; r != nil && r.MaxTrafficWeight != nil && *r.MaxTrafficWeight > 0 {
		return *r.MaxTrafficWeight
	}
	return v1alpha1.DefaultMaxTrafficWeight
}

func pause(p *v1alpha1.RolloutPause) (lasts time.Duration, person bool) {
	switch {
	case p.Duration == nil:
		return 0, true
	case p.Duration.Type == intstr.Int:
		return time.Duration(p.Duration.IntVal) * time.Second, false
	}
	text := p.Duration.StrVal
	if strings.Trim(text, "0123456789") == "" {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	return d, err != nil
}

// length is how long the analysis of a step takes when each of its limits is
// used up.
func length(gates []made, step int) time.Duration {
	var longest time.Duration
	for _, g := range gates {
		if g.Step != step {
			continue
		}
		for i := range g.spec.Metrics {
			m := &g.spec.Metrics[i]
			delay, _ := m.InitialDelay.Duration() // one with arguments counts as none
			every, _ := m.Interval.Duration()
			readings := max(number(m.Count), 1) + max(number(m.FailureLimit), 0)
			longest = max(longest, delay+time.Duration(readings)*max(every, v1alpha1.DefaultDatadogTimeout))
		}
	}
	return longest
}

func number(v *intstr.IntOrString) int {
	if v == nil {
		return 0
	}
	if n := intstr.Parse(v.String()); n.Type == intstr.Int {
		return int(n.IntVal)
	}
	return 0
}

// limit is how long a drill may take: what its stages take, half as much again,
// and time to start pods.
func limit(all []Stage) time.Duration {
	var sum time.Duration
	for _, s := range all {
		sum += s.Lasts
	}
	return (sum*3/2 + 5*time.Minute).Round(time.Second)
}

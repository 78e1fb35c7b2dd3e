// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"testing"
	"time"

	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/sim"
)

// weight, pause, rest and judge are the steps.
func weight(n int32) rollout.Step { return rollout.Step{Kind: rollout.StepSetWeight, Weight: n} }

func pause() rollout.Step { return rollout.Step{Kind: rollout.StepPause, Duration: pauseLength} }

func stop() rollout.Step { return rollout.Step{Kind: rollout.StepPause} }

func judge() rollout.Step { return rollout.Step{Kind: rollout.StepAnalysis} }

// routed is a spec with traffic routing that asks for v2.
func routed(replicas int32, steps ...rollout.Step) rollout.Spec {
	return rollout.Spec{
		Replicas: replicas, Revision: v2, Steps: steps, StepsHash: "steps", Routed: true, MaxWeight: 100,
		CanaryService: true, StableService: true, MinPods: 1, HistoryLimit: 10,
		ScaleDownDelay: 30 * time.Second, AbortDelay: 30 * time.Second,
	}
}

// released is a world in which v1 was rolled out and spec asks for the next.
func released(t testing.TB, spec rollout.Spec) sim.World {
	t.Helper()
	ask := spec.Revision
	spec.Revision = v1
	w := sim.New("web", t0, spec)
	for range 50 {
		moved, problem := fair(&w)
		if problem != "" {
			t.Fatal(problem)
		}
		if !moved {
			break
		}
	}
	if w.Status.Phase != rollout.Healthy {
		t.Fatalf("the first revision: %s", sim.Line(w))
	}
	w.Ask(func(s *rollout.Spec) { s.Revision = ask })
	return w
}

func with(s rollout.Spec, change func(*rollout.Spec)) rollout.Spec {
	change(&s)
	return s
}

func TestModel(t *testing.T) {
	t.Parallel()
	background := func(s *rollout.Spec) { s.Background = true }
	tests := map[string]struct {
		spec  rollout.Spec
		left  budget
		stale bool
	}{
		"one weight": {spec: routed(1, weight(50)), left: budget{1, 1, 1}},
		"no steps":   {spec: with(routed(2), background), left: budget{1, 1, 1}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &model{t: t, stale: tc.stale, limit: 400_000}
			m.run(node{World: released(t, tc.spec), left: tc.left})
		})
	}
}

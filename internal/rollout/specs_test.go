// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"flag"
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

// shared is a spec without traffic routing that asks for v2.
func shared(replicas int32, steps ...rollout.Step) rollout.Spec {
	return rollout.Spec{
		Replicas: replicas, Revision: v2, Steps: steps, StepsHash: "steps", MaxWeight: 100, MaxSurge: 1, HistoryLimit: 10,
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

func with(s rollout.Spec, changes ...func(*rollout.Spec)) rollout.Spec {
	for _, change := range changes {
		change(&s)
	}
	return s
}

var deep = flag.Bool("deep", false, "let more go wrong in the model check")

// A modelCase is one spec, and what may go wrong in it: normally, and with
// -deep.
type modelCase struct {
	spec       rollout.Spec
	left, more budget
	stale      bool
	// first starts before there is any revision.
	first bool
	// restarts is how often somebody asks for a restart.
	restarts int8
}

func modelCases() map[string]modelCase {
	guard := func(s *rollout.Spec) { s.Background = true }
	return map[string]modelCase{
		"one weight":           {spec: routed(1, weight(50)), left: budget{1, 1, 1}, more: budget{1, 1, 2}, stale: true},
		"two weights":          {spec: routed(2, weight(50), weight(100)), left: budget{1, 0, 1}, more: budget{1, 0, 2}},
		"no steps, guarded":    {spec: with(routed(1), guard), left: budget{0, 1, 1}, more: budget{1, 1, 1}},
		"two weights, guarded": {spec: with(routed(1, weight(50), weight(100)), guard), left: budget{0, 1, 1}, more: budget{1, 1, 1}},
		"a timed pause":        {spec: routed(3, weight(20), pause(), weight(60)), left: budget{0, 0, 1}, more: budget{1, 0, 1}},
		"an endless pause first, and an analysis": {
			spec: routed(1, stop(), weight(10), judge(), weight(50)), left: budget{0, 0, 2}, more: budget{0, 1, 3},
		},
		"an analysis, guarded": {
			spec: with(routed(1, weight(10), judge()), guard), left: budget{0, 0, 1}, more: budget{0, 1, 1},
		},
		"weights that fall": {spec: routed(3, weight(60), weight(20), weight(100)), left: budget{0, 0, 1}, more: budget{1, 0, 1}},
		"no delays": {
			spec: with(routed(2, weight(50)), func(s *rollout.Spec) { s.ScaleDownDelay, s.AbortDelay = 0, 0 }),
			left: budget{1, 0, 1}, more: budget{1, 0, 2}, stale: true,
		},
		"aborted pods are kept": {
			spec: with(routed(1, weight(50), judge()), func(s *rollout.Spec) { s.KeepAborted = true }),
			left: budget{1, 0, 1}, more: budget{1, 1, 2},
		},
		"stable shrinks": {
			spec: with(routed(2, weight(50)), func(s *rollout.Spec) { s.DynamicStable, s.ScaleDownDelay = true, 0 }),
			left: budget{1, 0, 1}, more: budget{1, 0, 2}, stale: true,
		},
		"stable shrinks in steps": {
			spec: with(routed(3, weight(60), weight(20), weight(100)), func(s *rollout.Spec) { s.DynamicStable = true }),
			left: budget{0, 0, 1}, more: budget{1, 0, 1},
		},
		"pods that may not come": {
			spec: with(routed(2, weight(50), judge(), weight(80)), func(s *rollout.Spec) { s.ProgressDeadline = 20 * time.Second }),
			left: budget{0, 0, 1}, more: budget{1, 1, 0},
		},
		"pods that may not come, or it is aborted": {
			spec: with(routed(1, weight(50), pause(), weight(80)), guard, func(s *rollout.Spec) { s.ProgressDeadline, s.DeadlineAborts = 20*time.Second, true }),
			left: budget{0, 1, 0}, more: budget{1, 1, 0},
		},
		"pods share, surge": {spec: shared(2, weight(50), judge()), left: budget{1, 0, 1}, more: budget{1, 1, 1}},
		"pods share, no surge, guarded": {
			spec: with(shared(3, weight(20), weight(60)), guard, func(s *rollout.Spec) { s.MaxSurge, s.MaxUnavailable = 0, 1 }),
			left: budget{0, 0, 1}, more: budget{1, 1, 1},
		},
		"pods share, with Services": {
			spec: with(shared(1, weight(50), pause()), func(s *rollout.Spec) { s.CanaryService, s.StableService = true, true }),
			left: budget{1, 0, 1}, more: budget{1, 0, 2},
		},
		"the first revision": {spec: routed(2, weight(50)), left: budget{1, 0, 1}, more: budget{1, 0, 2}, first: true},
		"stable shrinks, guarded": {
			spec: with(routed(2, weight(50), judge()), guard, func(s *rollout.Spec) { s.DynamicStable = true }),
			left: budget{0, 1, 0}, more: budget{0, 0, 1},
		},
		"a restart": {
			spec: with(routed(2, weight(50)), func(s *rollout.Spec) { s.ScaleDownDelay = 0 }),
			left: budget{0, 0, 1}, more: budget{1, 0, 2}, restarts: 1,
		},
		"a restart of pods that share": {
			spec: with(shared(3, weight(40)), func(s *rollout.Spec) { s.MaxSurge, s.MaxUnavailable = 0, 1 }),
			left: budget{1, 0, 1}, more: budget{1, 0, 2}, restarts: 1,
		},
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	for name, tc := range modelCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := tc.left
			if *deep {
				left = tc.more
			}
			m := &model{t: t, stale: tc.stale, limit: 1_000_000}
			w := sim.New("web", t0, with(tc.spec, func(s *rollout.Spec) { s.Revision = v1 }))
			if !tc.first {
				w = released(t, tc.spec)
			}
			m.run(node{World: w, left: left, restarts: tc.restarts, g: ghost{waits: t0}})
		})
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"flag"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/sim"
)

// specs are all kinds of spec.
func specs(t *rapid.T) rollout.Spec {
	step := rapid.Custom(func(t *rapid.T) rollout.Step {
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return stop()
		case 1:
			return pause()
		case 2:
			return judge()
		default:
			return weight(rapid.Int32Range(0, 100).Draw(t, "weight"))
		}
	})
	delay := rapid.SampledFrom([]time.Duration{0, 30 * time.Second})
	spec := routed(rapid.Int32Range(0, 12).Draw(t, "replicas"), rapid.SliceOfN(step, 0, 6).Draw(t, "steps")...)
	if rapid.IntRange(0, 4).Draw(t, "router") == 0 {
		named := rapid.Bool().Draw(t, "services")
		spec.Routed, spec.StableService, spec.CanaryService = false, named, named
		spec.MaxSurge = rapid.Int32Range(0, 3).Draw(t, "surge")
		spec.MaxUnavailable = rapid.Int32Range(0, 3).Draw(t, "unavailable")
		if spec.MaxSurge == 0 && spec.MaxUnavailable == 0 {
			spec.MaxUnavailable = 1
		}
	}
	if rapid.Bool().Draw(t, "guarded") {
		spec.Background = true
		spec.BackgroundFrom = rapid.IntRange(0, len(spec.Steps)).Draw(t, "from")
	}
	if spec.Routed {
		spec.MaxUnavailable = rapid.Int32Range(0, 3).Draw(t, "unavailable in a restart")
	}
	spec.MinPods = rapid.Int32Range(0, 2).Draw(t, "least")
	spec.DynamicStable = spec.Routed && rapid.Bool().Draw(t, "dynamic")
	spec.ScaleDownDelay, spec.AbortDelay = delay.Draw(t, "delay"), delay.Draw(t, "abort delay")
	spec.KeepAborted = rapid.IntRange(0, 4).Draw(t, "keep") == 0
	spec.HistoryLimit = rapid.Int32Range(0, 2).Draw(t, "history")
	if rapid.Bool().Draw(t, "deadline") {
		spec.ProgressDeadline = 45 * time.Second
		spec.DeadlineAborts = rapid.Bool().Draw(t, "deadline aborts")
	}
	return spec
}

// happen lets one thing happen to n: a pass of which some writes are lost, or
// an event.
func happen(t *rapid.T, n *node) {
	if rapid.IntRange(0, 2).Draw(t, "pass") > 0 {
		s := n.Snapshot()
		p := rollout.Decide(s)
		if v := violation(s, p, n.g); v != "" {
			t.Fatalf("%s\n%s\nplan: %s", v, sim.Line(n.World), planLine(p))
		}
		all := rapid.Bool().Draw(t, "all")
		n.Apply(p, func(w sim.Write) bool { return all || rapid.Bool().Draw(t, string(w.Kind)) })
		n.g = n.g.step(s, p)
		if !p.WakeAt.IsZero() && rapid.Bool().Draw(t, "wait") {
			n.Now = p.WakeAt
		}
		return
	}
	before := *n
	i := rapid.IntRange(0, len(happenings)-1).Draw(t, "event")
	if !happenings[i].do(n) {
		*n = before
	}
}

// TestProperties plays random events on random specs: no pass breaks an
// invariant, and what is left alone comes to an end.
func TestProperties(t *testing.T) {
	t.Parallel()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		defer func() { _ = f.Value.Set(f.DefValue) }()
		_ = f.Value.Set("3000")
	}
	rapid.Check(t, func(t *rapid.T) {
		spec := specs(t)
		first := spec
		first.Revision = v1
		n := node{World: sim.New("web", t0, first), g: ghost{waits: t0}, left: budget{100, 100, 100}, restarts: 100}
		if rapid.IntRange(0, 9).Draw(t, "first") > 0 {
			for moved := true; moved; {
				var problem string
				if moved, problem = fair(&n.World); problem != "" {
					t.Fatalf("the first revision: %s\n%s", problem, sim.Line(n.World))
				}
			}
			n.Ask(func(s *rollout.Spec) { s.Revision = v2 })
		}
		for range rapid.IntRange(5, 60).Draw(t, "events") {
			happen(t, &n)
		}
		if _, why := finale(n.World, nil); why != "" {
			t.Fatalf("%s", why)
		}
	})
}

// TestPure: a Decide leaves its Snapshot alone and answers twice the same.
func TestPure(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := node{World: sim.New("web", t0, specs(t)), g: ghost{waits: t0}, left: budget{100, 100, 100}, restarts: 100}
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			happen(t, &n)
		}
		s, again := n.Snapshot(), n.Snapshot()
		p := rollout.Decide(s)
		if !reflect.DeepEqual(s, again) {
			t.Fatalf("the Snapshot was changed")
		}
		if !reflect.DeepEqual(p, rollout.Decide(again)) {
			t.Fatalf("two Plans for one Snapshot")
		}
	})
}

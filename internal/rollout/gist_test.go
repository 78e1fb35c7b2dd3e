// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/internal/rollout"
)

// A gist is what a table looks at of a Plan, in the words a table can be read
// in.
type gist struct {
	Step     int
	Pods     map[rollout.Revision]int32
	Weights  string // stable/canary; empty leaves them alone
	Services rollout.Services
	Start    []string
	Stop     []string
	Pauses   []string
	Says     string // phase: message
	Skipped  []string
	Shed     []string // deadlines set and taken back
	Prune    []rollout.Revision
	Unlatch  bool
	Wake     time.Duration
	Events   []string // reasons
}

func gistOf(s rollout.Snapshot, p rollout.Plan) gist {
	g := gist{
		Step: p.Status.Step, Pods: p.Replicas, Services: p.Services, Prune: p.Prune, Unlatch: p.Unlatch,
		Says: string(p.Status.Phase),
	}
	if p.Status.Message != "" {
		g.Says += ": " + p.Status.Message
	}
	if p.Weights != nil {
		g.Weights = fmt.Sprintf("%d/%d", p.Weights.Stable, p.Weights.Canary)
	}
	if !p.WakeAt.IsZero() {
		g.Wake = p.WakeAt.Sub(s.Now)
	}
	for _, x := range p.Start {
		g.Start = append(g.Start, x.Name)
	}
	for _, x := range p.Stop {
		g.Stop = append(g.Stop, x.Name+": "+x.Why)
	}
	for _, x := range p.Status.Pauses {
		g.Pauses = append(g.Pauses, x.Reason)
	}
	for _, x := range p.Status.Skipped {
		g.Skipped = append(g.Skipped, fmt.Sprintf("%d %s", x.Step, x.What))
	}
	for _, r := range slices.Sorted(maps.Keys(p.Deadlines)) {
		if p.Deadlines[r].IsZero() {
			g.Shed = append(g.Shed, string(r)+" kept")
			continue
		}
		g.Shed = append(g.Shed, fmt.Sprintf("%s in %s", r, p.Deadlines[r].Sub(s.Now)))
	}
	for _, x := range p.Events {
		g.Events = append(g.Events, x.Reason)
	}
	return g
}

// A decision is one row of a table.
type decision struct {
	why  string
	in   rollout.Snapshot
	want gist
}

func check(t *testing.T, tests map[string]decision) {
	t.Helper()
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, gistOf(tc.in, rollout.Decide(tc.in))); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", tc.why, diff)
			}
		})
	}
}

type change func(*rollout.Snapshot)

// midway is a release of v2 at work on step, with canary of the traffic and
// the pods for it.
func midway(spec rollout.Spec, step int, canary int32, changes ...change) rollout.Snapshot {
	need := (spec.Replicas*canary + 99) / 100
	s := rollout.Snapshot{
		Now: t0, Name: "web", Spec: spec,
		Status: rollout.Status{
			Stable: v1, Current: v2, Step: step, Known: true, OwnStep: &step, StepsHash: spec.StepsHash, Attempt: 1,
		},
		Pools:    map[rollout.Revision]rollout.Pool{v1: pods(spec.Replicas, 1), v2: pods(need, 2)},
		Router:   &rollout.Router{Weights: rollout.Weights{Stable: 100 - canary, Canary: canary}, StableClean: true},
		Services: rollout.Services{Stable: v1, Canary: v2},
		RunNames: map[string]bool{},
	}
	s.Spec.Settled = true
	for _, c := range changes {
		c(&s)
	}
	return s
}

// pods is a pool of n pods, all available, of the revision with that number.
func pods(n int32, number int64) rollout.Pool {
	return rollout.Pool{Desired: n, Total: n, Ready: n, Available: n, Number: number}
}

func missing(p rollout.Pool, n int32) rollout.Pool {
	p.Ready -= n
	p.Available -= n
	return p
}

func pool(r rollout.Revision, p rollout.Pool) change {
	return func(s *rollout.Snapshot) { s.Pools[r] = p }
}

// stepRun and guard are the runs at work, with what the status knows of them.
func stepRun(known rollout.RunPhase, run rollout.Run) change {
	return func(s *rollout.Snapshot) {
		s.Status.StepRun = &rollout.RunRef{Name: "web-v2-2-1", Phase: known}
		s.RunNames["web-v2-2-1"] = true
		run.Name = "web-v2-2-1"
		s.StepRun = &run
	}
}

func guard(known rollout.RunPhase, run rollout.Run) change {
	return func(s *rollout.Snapshot) {
		s.Spec.Background = true
		s.Status.Background = &rollout.RunRef{Name: "web-v2-2", Phase: known}
		s.RunNames["web-v2-2"] = true
		run.Name = "web-v2-2"
		s.Background = &run
	}
}

var (
	running = rollout.Run{Phase: rollout.RunRunning}
	good    = rollout.Run{Phase: rollout.RunRunning, GuardReady: true}
)

func paused(reasons ...string) change {
	return func(s *rollout.Snapshot) {
		s.Status.Paused = true
		s.Status.Pauses = nil
		for _, r := range reasons {
			s.Status.Pauses = append(s.Status.Pauses, rollout.Pause{Reason: r, Start: t0})
		}
	}
}

func later(d time.Duration) change { return func(s *rollout.Snapshot) { s.Now = s.Now.Add(d) } }

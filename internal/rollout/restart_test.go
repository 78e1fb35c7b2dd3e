// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/sim"
)

// restartsGently: a restart never leaves fewer pods available than one batch
// below what is wanted, and takes nobody but old pods that are still there.
func restartsGently(s rollout.Snapshot, p rollout.Plan, _ ghost) string {
	if len(p.Evict) == 0 {
		return ""
	}
	at := s.Spec.RestartAt
	switch {
	case at.IsZero() || at.After(s.Now):
		return "evicts before the restart is due"
	case at.Equal(s.Status.RestartedAt):
		return "evicts after the restart is over"
	case len(s.Problems) > 0:
		return "evicts although the spec cannot be followed"
	}
	var wanted, before int32
	for r, pool := range s.Pools {
		n, ok := p.Replicas[r]
		if !ok {
			n = pool.Desired
		}
		wanted += n
		before += min(pool.Available, n)
	}
	gone := map[string]bool{}
	after := before
	for _, x := range p.Evict {
		if gone[x.Name] {
			return "evicts " + x.Name + " twice"
		}
		gone[x.Name] = true
		if !x.Created.Before(at) || x.Leaving {
			return "evicts " + x.Name + ", which is no old pod"
		}
		if until := s.Restart.Refused[x.Revision].Until; until.After(s.Now) {
			return "evicts " + x.Name + " although that was refused"
		}
		if up := x.AvailableAt; !up.IsZero() && !up.After(s.Now) {
			after--
		}
	}
	batch := max(s.Spec.MaxUnavailable, 1)
	if int32(len(p.Evict)) > batch {
		return fmt.Sprintf("evicts %d pods at once, %d may go at a time", len(p.Evict), batch)
	}
	if after < before && after < wanted-batch {
		return fmt.Sprintf("a restart leaves %d pods available of %d, %d may lack", after, wanted, batch)
	}
	return ""
}

// restartsEnd: a restart is over when no old pod is left, and not before; until
// then the plan looks again by itself.
func restartsEnd(s rollout.Snapshot, p rollout.Plan, _ ghost) string {
	if p.Status.RestartedAt.Equal(s.Status.RestartedAt) {
		due := !s.Spec.RestartAt.IsZero() && !s.Spec.RestartAt.Equal(s.Status.RestartedAt)
		if due && len(s.Problems) == 0 && p.WakeAt.IsZero() {
			return "a restart that is not over waits for nothing"
		}
		return ""
	}
	if !p.Status.RestartedAt.Equal(s.Spec.RestartAt) || s.Spec.RestartAt.After(s.Now) {
		return "a restart is over that nobody asked for"
	}
	if s.Restart == nil {
		return "a restart is over and nobody looked at the pods"
	}
	for _, x := range s.Restart.Pods {
		if x.Created.Before(s.Spec.RestartAt) && !x.Leaving {
			return "the restart is over and " + x.Name + " is left"
		}
	}
	return ""
}

// resting is a world in which v1 is stable and nothing is under way.
func restingWorld(t *testing.T, spec rollout.Spec) sim.World {
	t.Helper()
	spec.Revision = v1
	w := released(t, spec)
	w.Apply(rollout.Decide(w.Snapshot()), nil)
	return w
}

func names(pods []rollout.Pod) []string {
	var out []string
	for _, x := range pods {
		out = append(out, x.Name)
	}
	return out
}

func TestRestart(t *testing.T) {
	t.Parallel()
	five := with(routed(5), func(s *rollout.Spec) { s.MaxUnavailable = 2 })
	for name, tc := range map[string]struct {
		why   string
		spec  rollout.Spec
		world func(w *sim.World)
		see   func(s *rollout.Snapshot)
		want  []string
		wake  time.Duration
		phase rollout.Phase
		says  string
	}{
		"as many go as may be unavailable": {
			spec: five, world: func(w *sim.World) { sim.Restart(w) },
			want: []string{"v1/up/0", "v1/up/1"}, wake: rollout.RestartRetry, phase: rollout.Progressing, says: "rollout is restarting",
		},
		"one goes where none may be unavailable": {
			why:  "A restart that may not take a pod would never end.",
			spec: routed(5), world: func(w *sim.World) { sim.Restart(w) },
			want: []string{"v1/up/0"}, wake: rollout.RestartRetry, phase: rollout.Progressing, says: "rollout is restarting",
		},
		"a pod that is not available takes a place": {
			spec: five, world: func(w *sim.World) { sim.Restart(w); w.Do(rollout.Plan{}, sim.Write{Kind: sim.Evict, What: "v1/up/0"}) },
			want: []string{"v1/up/0"}, wake: rollout.RestartRetry, phase: rollout.Progressing, says: "rollout is restarting",
		},
		"old pods that do not work go first, and take no place of others": {
			why:  "A restart is what somebody asks for whose pods are all broken.",
			spec: five, world: func(w *sim.World) {
				for range 3 {
					w.PodDown(v1)
				}
				sim.Restart(w)
			},
			want: []string{"v1/down/0", "v1/down/1"}, wake: rollout.RestartRetry, phase: rollout.Progressing, says: "rollout is restarting",
		},
		"a restart in the future waits": {
			spec: five, world: func(w *sim.World) {
				w.Ask(func(s *rollout.Spec) { s.RestartAt = w.Now.Add(time.Hour) })
			},
			wake: time.Hour, phase: rollout.Healthy,
		},
		"a budget that says no is asked again, and named": {
			spec: five, world: func(w *sim.World) { sim.Restart(w); sim.Refuse(w, v1, 20*time.Second) },
			wake: 20 * time.Second, phase: rollout.Progressing,
			says: "rollout is restarting: pods of revision v1 may not be evicted now (the disruption budget web needs 2 healthy pods); trying again every 30 seconds",
		},
		"it looks again when a new pod will count": {
			spec: routed(2), world: func(w *sim.World) { sim.Restart(w) },
			see: func(s *rollout.Snapshot) { s.Restart.Pods[1].AvailableAt = s.Now.Add(7 * time.Second) },
			// The pod that is not available holds the only place, and is old itself.
			want: []string{"v1/up/1"}, wake: 7 * time.Second, phase: rollout.Progressing, says: "rollout is restarting",
		},
		"an invalid spec restarts nothing": {
			spec: five, world: func(w *sim.World) { sim.Restart(w); w.Problems = []string{"Service web: not found"} },
			wake: 20 * time.Second, phase: rollout.Degraded, says: "InvalidSpec: Service web: not found",
		},
		"a pause does not hold it": {
			spec: five, world: func(w *sim.World) { sim.Restart(w); w.Ask(func(s *rollout.Spec) { s.Paused = true }) },
			want: []string{"v1/up/0", "v1/up/1"}, wake: rollout.RestartRetry, phase: rollout.Paused, says: "manually paused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := restingWorld(t, tc.spec)
			tc.world(&w)
			s := w.Snapshot()
			if tc.see != nil {
				tc.see(&s)
			}
			p := rollout.Decide(s)
			if diff := cmp.Diff(tc.want, names(p.Evict)); diff != "" {
				t.Errorf("evicts (-want +got):\n%s", diff)
			}
			if got := p.WakeAt.Sub(s.Now); got != tc.wake {
				t.Errorf("looks again after %v, want %v", got, tc.wake)
			}
			if p.Status.Phase != tc.phase || p.Status.Message != tc.says {
				t.Errorf("says %s %q, want %s %q", p.Status.Phase, p.Status.Message, tc.phase, tc.says)
			}
		})
	}
}

// TestARestartGoesThroughTheRevisionsInOrder follows a restart in the middle of
// a release.
func TestARestartGoesThroughTheRevisionsInOrder(t *testing.T) {
	t.Parallel()
	w := released(t, routed(2, weight(50), stop()))
	for range 20 {
		if moved, problem := fair(&w); problem != "" {
			t.Fatal(problem)
		} else if !moved {
			break
		}
	}
	sim.Restart(&w)
	var order []string
	for range 60 {
		p := rollout.Decide(w.Snapshot())
		for _, x := range p.Evict {
			order = append(order, strings.Split(x.Name, "/")[0])
		}
		moved, problem := fair(&w)
		if problem != "" {
			t.Fatal(problem)
		}
		if !moved {
			break
		}
	}
	if diff := cmp.Diff([]string{"v1", "v1", "v2"}, order); diff != "" {
		t.Errorf("revisions went (-want +got):\n%s", diff)
	}
	if !w.Status.RestartedAt.Equal(w.Spec.RestartAt) {
		t.Errorf("restartedAt is %v, want %v", w.Status.RestartedAt, w.Spec.RestartAt)
	}
	if w.Status.Phase != rollout.Paused || w.Router.Weights.Canary != 50 {
		t.Errorf("the release is %s", sim.Line(w))
	}
}

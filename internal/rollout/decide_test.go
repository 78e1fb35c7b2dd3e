// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"testing"
	"time"

	"sluice.dev/sluice/internal/rollout"
)

type podMap = map[rollout.Revision]int32

func TestClimb(t *testing.T) {
	t.Parallel()
	spec := routed(4, weight(10), judge(), weight(50), pause(), weight(100))
	check(t, map[string]decision{
		"pods come before traffic": {
			why:  "I1: a canary too small to carry a share gets none.",
			in:   midway(spec, 0, 0),
			want: gist{Pods: podMap{v1: 4, v2: 1}, Says: "Progressing: more replicas need to be updated"},
		},
		"the canary Service comes before the weight": {
			in: midway(spec, 0, 0, pool(v2, pods(1, 2)), func(s *rollout.Snapshot) { s.Services.Canary = v1 }),
			want: gist{
				Pods: podMap{v1: 4, v2: 1}, Services: rollout.Services{Canary: v2},
				Says: "Progressing: waiting for all steps to complete",
			},
		},
		"a weight follows its pods": {
			in:   midway(spec, 0, 0, pool(v2, pods(1, 2))),
			want: gist{Pods: podMap{v1: 4, v2: 1}, Weights: "90/10", Says: "Progressing: waiting for all steps to complete"},
		},
		"an analysis starts when its weight is there": {
			why:  "Semantics 25.",
			in:   midway(spec, 0, 10),
			want: gist{Step: 1, Pods: podMap{v1: 4, v2: 1}, Start: []string{"web-v2-2-1"}, Says: "Progressing: waiting for analysis to complete"},
		},
		"an analysis waits for the number that it is named after": {
			why:  "An analysis may be the first step: its ReplicaSet is only being made.",
			in:   midway(routed(4, judge()), 0, 0, func(s *rollout.Snapshot) { delete(s.Pools, v2) }),
			want: gist{Pods: podMap{v1: 4, v2: 0}, Says: "Progressing: waiting for all steps to complete"},
		},
		"an analysis that is the first step needs no pod": {
			in:   midway(routed(4, judge()), 0, 0),
			want: gist{Pods: podMap{v1: 4, v2: 0}, Start: []string{"web-v2-2-0"}, Says: "Progressing: waiting for analysis to complete"},
		},
		"an analysis decides before the next step": {
			why:  "Acceptance 11.",
			in:   midway(spec, 1, 10, stepRun(rollout.RunRunning, running)),
			want: gist{Step: 1, Pods: podMap{v1: 4, v2: 1}, Says: "Progressing: waiting for analysis to complete"},
		},
		"an analysis that passed lets the next weight's pods come": {
			in:   midway(spec, 1, 10, stepRun(rollout.RunRunning, rollout.Run{Phase: rollout.RunSuccessful})),
			want: gist{Step: 2, Pods: podMap{v1: 4, v2: 2}, Says: "Progressing: more replicas need to be updated"},
		},
		"a timed pause asks to be woken when it ends": {
			in: midway(spec, 2, 50),
			want: gist{
				Step: 3, Pods: podMap{v1: 4, v2: 2}, Pauses: []string{rollout.PauseStep}, Wake: time.Minute,
				Says: "Paused: CanaryPauseStep", Events: []string{rollout.ReasonPaused},
			},
		},
		"a timed pause is not cut short": {
			in: midway(spec, 3, 50, paused(rollout.PauseStep), later(59*time.Second)),
			want: gist{
				Step: 3, Pods: podMap{v1: 4, v2: 2}, Pauses: []string{rollout.PauseStep}, Wake: time.Second,
				Says: "Paused: CanaryPauseStep",
			},
		},
		"a timed pause ends by itself": {
			in:   midway(spec, 3, 50, paused(rollout.PauseStep), later(time.Minute)),
			want: gist{Step: 4, Pods: podMap{v1: 4, v2: 4}, Says: "Progressing: more replicas need to be updated"},
		},
		"all traffic comes before the promotion": {
			in:   midway(spec, 4, 50, pool(v2, pods(4, 2))),
			want: gist{Step: 4, Pods: podMap{v1: 4, v2: 4}, Weights: "0/100", Says: "Progressing: waiting for all steps to complete"},
		},
		"the promotion moves the stable Service and no weight": {
			why: "Acceptance 1: 0/100, then the stable Service, then 100/0.",
			in:  midway(spec, 4, 100),
			want: gist{
				Step: 5, Pods: podMap{v2: 4}, Services: rollout.Services{Stable: v2}, Shed: []string{"v1 in 30s"},
				Says: "Progressing: waiting for all steps to complete", Wake: 30 * time.Second, Events: []string{rollout.ReasonCompleted},
			},
		},
		"a canary that lost all pods gives its traffic back": {
			in:   midway(spec, 2, 50, pool(v2, missing(pods(2, 2), 2))),
			want: gist{Step: 2, Pods: podMap{v1: 4, v2: 2}, Weights: "100/0", Says: "Progressing: updated replicas are still becoming available"},
		},
		"a canary that lost one pod keeps its traffic": {
			in:   midway(spec, 2, 50, pool(v2, missing(pods(2, 2), 1))),
			want: gist{Step: 2, Pods: podMap{v1: 4, v2: 2}, Says: "Progressing: updated replicas are still becoming available"},
		},
		"a weight that falls moves before its pods": {
			in:   midway(routed(4, weight(75), weight(25)), 1, 75),
			want: gist{Step: 1, Pods: podMap{v1: 4, v2: 3}, Weights: "75/25", Says: "Progressing: waiting for all steps to complete"},
		},
		"the share of a canary Service that is gone goes back to stable": {
			why: "Users get errors for it, and nobody knows until when.",
			in: midway(spec, 2, 10, func(s *rollout.Snapshot) {
				s.Services.Canary, s.Problems = "", []string{"Service shop/web-canary not found"}
			}),
			want: gist{
				Step: 2, Pods: podMap{}, Weights: "100/0", Wake: 20 * time.Second,
				Says: "Degraded: InvalidSpec: Service shop/web-canary not found",
			},
		},
		"the share of a canary Service that is gone stays when stable's is gone too": {
			why: "It would be the same errors in another place.",
			in: midway(spec, 2, 10, func(s *rollout.Snapshot) {
				s.Services, s.Problems = rollout.Services{}, []string{"Service shop/web-stable not found"}
			}),
			want: gist{Step: 2, Pods: podMap{}, Wake: 20 * time.Second, Says: "Degraded: InvalidSpec: Service shop/web-stable not found"},
		},
		"a spec that cannot be followed leaves a canary that is served alone": {
			in:   midway(spec, 2, 10, func(s *rollout.Snapshot) { s.Problems = []string{"AnalysisTemplate \"errors\" not found"} }),
			want: gist{Step: 2, Pods: podMap{}, Wake: 20 * time.Second, Says: "Degraded: InvalidSpec: AnalysisTemplate \"errors\" not found"},
		},
		"a small stable takes what it can carry of a canary Service that is gone": {
			in: midway(with(spec, func(s *rollout.Spec) { s.DynamicStable = true }), 2, 50, pool(v1, pods(3, 1)), func(s *rollout.Snapshot) {
				s.Services.Canary, s.Problems = "", []string{"Service shop/web-canary not found"}
			}),
			want: gist{
				Step: 2, Pods: podMap{}, Weights: "75/25", Wake: 20 * time.Second,
				Says: "Degraded: InvalidSpec: Service shop/web-canary not found",
			},
		},
		"a manual pause stops the steps": {
			in:   midway(spec, 0, 10, func(s *rollout.Snapshot) { s.Spec.Paused = true }),
			want: gist{Pods: podMap{v1: 4, v2: 1}, Says: "Paused: manually paused"},
		},
		"a stable Service that selects another revision is put right before a weight rises": {
			why: "What is not the canary's would go to nobody knows whom.",
			in:  midway(spec, 2, 10, pool(v2, pods(2, 2)), func(s *rollout.Snapshot) { s.Services.Stable = v3 }),
			want: gist{
				Step: 2, Pods: podMap{v1: 4, v2: 2}, Services: rollout.Services{Stable: v1},
				Says: "Progressing: waiting for all steps to complete",
			},
		},
		"a canary of no replicas goes through": {
			why: "A rollout that is scaled to nothing must not wait for a pod for ever.",
			in:  midway(routed(0, weight(50)), 0, 0, func(s *rollout.Snapshot) { s.Services.Canary = v1 }),
			want: gist{
				Pods: podMap{v1: 0, v2: 0}, Services: rollout.Services{Canary: v2},
				Says: "Progressing: waiting for all steps to complete",
			},
		},
	})
}

func TestSettle(t *testing.T) {
	t.Parallel()
	promoted := func(changes ...change) rollout.Snapshot {
		return midway(routed(4, weight(100)), 1, 100, append([]change{func(s *rollout.Snapshot) {
			s.Status.Stable = v2
			s.Services.Stable = v2
		}}, changes...)...)
	}
	old := func(left time.Duration) change {
		return func(s *rollout.Snapshot) {
			p := s.Pools[v1]
			p.Deadline = s.Now.Add(left)
			s.Pools[v1] = p
		}
	}
	check(t, map[string]decision{
		"the weights wait for the stable Service's pods": {
			why: "Design 10: they would go to the old pods.",
			in:  promoted(old(20*time.Second), func(s *rollout.Snapshot) { s.Router.StableClean = false }),
			want: gist{
				Step: 1, Pods: podMap{v2: 4}, Wake: 300 * time.Millisecond,
				Says: "Progressing: waiting for the stable Service's endpoints to be pods of the new stable revision only",
			},
		},
		"the weights go back at last": {
			in: promoted(old(20 * time.Second)),
			want: gist{
				Step: 1, Pods: podMap{v2: 4}, Weights: "100/0", Wake: 20 * time.Second,
				Says: "Progressing: waiting for all steps to complete",
			},
		},
		"old pods go at their deadline": {
			in: promoted(old(0), func(s *rollout.Snapshot) {
				s.Router.Weights = rollout.Weights{Stable: 100}
				s.Services.Canary = v2
			}),
			want: gist{Step: 1, Pods: podMap{v1: 0, v2: 4}, Shed: []string{"v1 kept"}, Says: "Healthy"},
		},
		"old pods that still have traffic stay": {
			in: promoted(old(0), func(s *rollout.Snapshot) {
				s.Router.Weights = rollout.Weights{Stable: 50, Canary: 50}
				s.Services.Stable = v1
			}),
			want: gist{
				Step: 1, Pods: podMap{v2: 4}, Services: rollout.Services{Stable: v2},
				Says: "Progressing: waiting for all steps to complete",
			},
		},
		"a new template waits until the last promotion has put the weights back": {
			why: "The stable Service may still select the revision before, whose pods are going.",
			in: promoted(func(s *rollout.Snapshot) {
				s.Spec.Revision = v3
				s.Services = rollout.Services{Stable: v1, Canary: v2}
			}),
			want: gist{
				Pods: podMap{v2: 4}, Services: rollout.Services{Stable: v2}, Shed: []string{"v1 in 30s"}, Wake: 30 * time.Second,
				Says: "Progressing: waiting for all steps to complete", Events: []string{rollout.ReasonUpdated},
			},
		},
		"going back to stable needs no gate": {
			in: midway(routed(4, weight(50), stop()), 1, 50, func(s *rollout.Snapshot) { s.Spec.Revision = v1 }),
			want: gist{
				Step: 2, Pods: podMap{v1: 4}, Weights: "100/0", Services: rollout.Services{Canary: v1},
				Says: "Progressing: waiting for all steps to complete", Events: []string{rollout.ReasonUpdated},
			},
		},
		"the history keeps the newest": {
			in: promoted(func(s *rollout.Snapshot) {
				s.Spec.HistoryLimit = 1
				s.Router.Weights, s.Services.Canary = rollout.Weights{Stable: 100}, v2
				s.Pools[v1] = pods(0, 1)
				s.Pools["v0"] = pods(0, 0)
				s.Pools["va"] = pods(0, 3)
			}),
			want: gist{Step: 1, Pods: podMap{v2: 4}, Prune: []rollout.Revision{"v0", v1}, Says: "Healthy"},
		},
		"a run whose stop was lost is stopped again": {
			in: promoted(func(s *rollout.Snapshot) {
				s.Router.Weights, s.Services.Canary = rollout.Weights{Stable: 100}, v2
				s.Pools[v1] = pods(0, 1)
				s.Strays = []string{"web-v1-1"}
			}),
			want: gist{Step: 1, Pods: podMap{v2: 4}, Stop: []string{"web-v1-1: the rollout has moved on"}, Says: "Healthy"},
		},
	})
}

func TestShare(t *testing.T) {
	t.Parallel()
	spec := shared(4, weight(25), weight(50))
	without := func(changes ...change) rollout.Snapshot {
		return midway(spec, 1, 25, append([]change{func(s *rollout.Snapshot) { s.Router = nil }, pool(v1, pods(3, 1))}, changes...)...)
	}
	blind := guard(rollout.RunRunning, rollout.Run{Phase: rollout.RunRunning, GuardWhy: "no reading"})
	check(t, map[string]decision{
		"the canary grows before stable shrinks": {
			in:   without(),
			want: gist{Step: 1, Pods: podMap{v1: 3, v2: 2}, Says: "Progressing: more replicas need to be updated"},
		},
		"stable shrinks when the canary's pods are there": {
			in:   without(pool(v2, pods(2, 2))),
			want: gist{Step: 1, Pods: podMap{v1: 2, v2: 2}, Says: "Progressing: waiting for all steps to complete"},
		},
		"a blind guard keeps the canary's size": {
			in:   without(blind),
			want: gist{Step: 1, Pods: podMap{}, Says: "Progressing: waiting for background analysis web-v2-2: no reading"},
		},
		"stable takes what an autoscaler asks for while the guard holds": {
			in: without(blind, func(s *rollout.Snapshot) { s.Spec.Replicas = 10 }),
			want: gist{
				Step: 1, Pods: podMap{v1: 9}, Says: "Progressing: waiting for background analysis web-v2-2: no reading",
			},
		},
		"an abort grows stable before the canary goes": {
			why: "I4: within maxUnavailable, which is none.",
			in:  without(pool(v2, pods(2, 2)), pool(v1, pods(2, 1)), func(s *rollout.Snapshot) { s.Status.Abort = true }),
			want: gist{
				Pods: podMap{v1: 3, v2: 2}, Says: "Degraded: RolloutAborted: Rollout aborted update to revision 2",
				Events: []string{rollout.ReasonAborted},
			},
		},
	})
}

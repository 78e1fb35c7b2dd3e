// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"testing"
	"time"

	"sluice.dev/sluice/internal/rollout"
)

// resumedBy is what the promote command leaves of a paused rollout.
func resumedBy(s *rollout.Snapshot) { s.Status.Paused, s.Status.Pauses = true, nil }

func TestPeople(t *testing.T) {
	t.Parallel()
	spec := routed(4, weight(10), judge(), weight(50), stop(), weight(75))
	check(t, map[string]decision{
		"an abort takes the traffic away": {
			in: midway(spec, 2, 10, func(s *rollout.Snapshot) { s.Status.Abort = true }),
			want: gist{
				Pods: podMap{v1: 4}, Weights: "100/0", Services: rollout.Services{Canary: v1},
				Says: "Degraded: RolloutAborted: Rollout aborted update to revision 2", Events: []string{rollout.ReasonAborted},
			},
		},
		"an abort moves traffic although the spec cannot be followed": {
			why: "I7.",
			in: midway(spec, 2, 10, func(s *rollout.Snapshot) {
				s.Status.Abort = true
				s.Problems = []string{"AnalysisTemplate shop/errors: not found"}
			}),
			want: gist{
				Pods: podMap{}, Weights: "100/0", Services: rollout.Services{Canary: v1}, Wake: 20 * time.Second,
				Says: "Degraded: InvalidSpec: AnalysisTemplate shop/errors: not found", Events: []string{rollout.ReasonAborted},
			},
		},
		"a person's abort stays theirs though there is a latch": {
			in: midway(spec, 2, 0, pool(v2, pods(1, 2)), func(s *rollout.Snapshot) {
				s.Status.Abort = true
				s.Router.Aborted, s.Router.AbortedAttempt = v2, 1
			}),
			want: gist{
				Pods: podMap{v1: 4}, Services: rollout.Services{Canary: v1}, Shed: []string{"v2 in 30s"}, Wake: 30 * time.Second,
				Says: "Degraded: RolloutAborted: Rollout aborted update to revision 2", Events: []string{rollout.ReasonAborted},
			},
		},
		"an abort wins over promote --full": {
			why: "Semantics 28.",
			in:  midway(spec, 2, 10, func(s *rollout.Snapshot) { s.Status.Abort, s.Status.PromoteFull = true, true }),
			want: gist{
				Pods: podMap{v1: 4}, Weights: "100/0", Services: rollout.Services{Canary: v1},
				Says: "Degraded: RolloutAborted: Rollout aborted update to revision 2", Events: []string{rollout.ReasonAborted},
			},
		},
		"an abort of a promoted revision is ignored": {
			in: midway(routed(4), 0, 0, func(s *rollout.Snapshot) {
				s.Status.Stable, s.Services.Stable, s.Status.Abort = v2, v2, true
				s.Pools = map[rollout.Revision]rollout.Pool{v2: pods(4, 2)}
			}),
			want: gist{Pods: podMap{v2: 4}, Says: "Healthy"},
		},
		"an abort that only the router knows is an abort": {
			why: "Design 4: the status could not be written.",
			in: midway(spec, 2, 0, pool(v2, pods(1, 2)), func(s *rollout.Snapshot) {
				s.Router.Aborted, s.Router.AbortedAttempt = v2, 1
			}),
			want: gist{
				Pods: podMap{v1: 4}, Services: rollout.Services{Canary: v1},
				Shed: []string{"v2 in 30s"}, Wake: 30 * time.Second,
				Says: "Degraded: RolloutAborted: Rollout aborted update to revision 2: why is not known, because only the router's object " +
					"could be written at the time; the log and the events of that time tell",
				Events: []string{rollout.ReasonAborted},
			},
		},
		"an abort that the router knows of keeps the verdict that led to it": {
			why: "The verdict is on the board, or in its run; the latch only says that there was one.",
			in: midway(spec, 1, 0, pool(v2, pods(1, 2)), stepRun(rollout.RunRunning, rollout.Run{Phase: rollout.RunRunning}), func(s *rollout.Snapshot) {
				s.Router.Aborted, s.Router.AbortedAttempt = v2, 1
				s.Verdict = &rollout.Verdict{Run: s.Status.StepRun.Name, Metric: "errors", Message: bad, Value: "0.08"}
			}),
			want: gist{
				Pods: podMap{v1: 4}, Services: rollout.Services{Canary: v1}, Stop: []string{"web-v2-2-1: the rollout was aborted"},
				Shed: []string{"v2 in 30s"}, Wake: 30 * time.Second,
				Says: "Degraded: RolloutAborted: Rollout aborted update to revision 2: " + bad + "; last value 0.08", Events: []string{rollout.ReasonAborted},
			},
		},
		"an abort that only the router knows says why, when the gate can": {
			in: midway(spec, 1, 0, pool(v2, pods(1, 2)), func(s *rollout.Snapshot) {
				s.Router.Aborted, s.Router.AbortedAttempt = v2, 1
				s.Status.StepRun = &rollout.RunRef{Name: "web-v2-2-1", Phase: rollout.RunRunning}
				s.StepRun = &rollout.Run{Name: "web-v2-2-1", Phase: rollout.RunFailed, Message: bad, Verdict: &rollout.Verdict{Run: "web-v2-2-1", Message: bad}}
			}),
			want: gist{
				Pods: podMap{v1: 4}, Services: rollout.Services{Canary: v1},
				Shed: []string{"v2 in 30s"}, Wake: 30 * time.Second,
				Says: "Degraded: RolloutAborted: Rollout aborted update to revision 2: the step's analysis failed: " + bad, Events: []string{rollout.ReasonAborted},
			},
		},
		"the latch of an attempt that is over is removed, and means nothing": {
			in: midway(spec, 2, 10, pool(v2, pods(2, 2)), func(s *rollout.Snapshot) {
				s.Status.Attempt = 2
				s.Router.Aborted, s.Router.AbortedAttempt = v2, 1
			}),
			want: gist{
				Step: 2, Pods: podMap{v1: 4, v2: 2}, Weights: "50/50", Unlatch: true,
				Says: "Progressing: waiting for all steps to complete",
			},
		},
		"an aborted revision's pods go at their own delay": {
			in: midway(with(spec, func(s *rollout.Spec) { s.AbortDelay = 0 }), 0, 0, pool(v2, pods(2, 2)), func(s *rollout.Snapshot) {
				s.Status.Abort, s.Status.AbortedAt = true, t0
				s.Services.Canary = v1
			}),
			want: gist{Pods: podMap{v1: 4, v2: 0}, Says: "Degraded: RolloutAborted: Rollout aborted update to revision 2"},
		},
		"an aborted revision's pods are kept if that was asked for": {
			in: midway(with(spec, func(s *rollout.Spec) { s.KeepAborted = true }), 0, 0, pool(v2, pods(2, 2)), func(s *rollout.Snapshot) {
				s.Status.Abort, s.Status.AbortedAt = true, t0
				s.Services.Canary = v1
			}),
			want: gist{Pods: podMap{v1: 4}, Says: "Degraded: RolloutAborted: Rollout aborted update to revision 2"},
		},
		"a retry starts over, and takes back the deadline of the pods": {
			in: midway(spec, 0, 0, func(s *rollout.Snapshot) {
				s.Status.AbortedAt = t0
				p := pods(1, 2)
				p.Deadline = t0.Add(20 * time.Second)
				s.Pools[v2] = p
				s.Status.StepRun = &rollout.RunRef{Name: "web-v2-2-1", Phase: rollout.RunFailed}
				s.StepRun = &rollout.Run{Name: "web-v2-2-1", Phase: rollout.RunFailed, Message: bad}
			}),
			want: gist{
				Pods: podMap{v1: 4, v2: 1}, Weights: "90/10", Shed: []string{"v2 kept"},
				Says: "Progressing: waiting for all steps to complete", Events: []string{rollout.ReasonRetry},
			},
		},
		"a new attempt has runs of its own": {
			why: "Semantics 27.",
			in: midway(spec, 1, 10, func(s *rollout.Snapshot) {
				s.Status.Attempt = 2
				s.RunNames["web-v2-2-1"] = true
			}),
			want: gist{Step: 1, Pods: podMap{v1: 4, v2: 1}, Start: []string{"web-v2-2-1.1"}, Says: "Progressing: waiting for analysis to complete"},
		},
		"an endless pause ends when somebody promotes": {
			in:   midway(spec, 3, 50, resumedBy),
			want: gist{Step: 4, Pods: podMap{v1: 4, v2: 3}, Says: "Progressing: more replicas need to be updated", Events: []string{rollout.ReasonResumed}},
		},
		"an inconclusive analysis is run again when somebody resumes": {
			in: midway(spec, 1, 10, resumedBy, stepRun(rollout.RunInconclusive, rollout.Run{Phase: rollout.RunInconclusive})),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1}, Start: []string{"web-v2-2-1.1"},
				Says: "Progressing: waiting for analysis to complete", Events: []string{rollout.ReasonResumed},
			},
		},
		"a step that somebody moved past is recorded": {
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, running), func(s *rollout.Snapshot) { s.Status.Step = 2 }),
			want: gist{
				Step: 2, Pods: podMap{v1: 4, v2: 2}, Skipped: []string{"1 analysis"}, Stop: []string{"web-v2-2-1: its step was skipped"},
				Says: "Progressing: more replicas need to be updated", Events: []string{rollout.ReasonSkipped},
			},
		},
		"an analysis that holds is passed over by a promotion": {
			why: "Semantics 28.",
			in:  midway(spec, 1, 10, resumedBy, stepRun(rollout.RunRunning, holds(0))),
			want: gist{
				Step: 2, Pods: podMap{v1: 4, v2: 2}, Skipped: []string{"1 analysis"}, Stop: []string{"web-v2-2-1: its step was skipped"},
				Says: "Progressing: more replicas need to be updated", Events: []string{rollout.ReasonResumed, rollout.ReasonSkipped},
			},
		},
		"a guard that holds is passed over by a promotion, for this step": {
			why: "Semantics 28; it must not pause again in the same breath.",
			in:  midway(spec, 2, 10, resumedBy, guard(rollout.RunRunning, holds(0)), pool(v2, pods(2, 2))),
			want: gist{
				Step: 2, Pods: podMap{v1: 4, v2: 2}, Weights: "50/50", Skipped: []string{"2 background analysis"},
				Says: "Progressing: waiting for all steps to complete", Events: []string{rollout.ReasonResumed, rollout.ReasonSkipped},
			},
		},
		"a guard that holds does not take a good step analysis with it": {
			in: midway(spec, 1, 10, resumedBy, guard(rollout.RunRunning, holds(0)), stepRun(rollout.RunRunning, running)),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1}, Skipped: []string{"1 background analysis"},
				Says: "Progressing: waiting for analysis to complete", Events: []string{rollout.ReasonResumed, rollout.ReasonSkipped},
			},
		},
		"promote --full skips what is left, on the record": {
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, running), func(s *rollout.Snapshot) { s.Status.PromoteFull = true }),
			want: gist{
				Step: 5, Pods: podMap{v1: 4, v2: 4}, Skipped: []string{"1 all remaining steps"},
				Stop: []string{"web-v2-2-1: the rollout was promoted in full"},
				Says: "Progressing: more replicas need to be updated", Events: []string{rollout.ReasonSkipped},
			},
		},
		"promote --full passes over a guard at the end, on the record": {
			in: midway(routed(4, weight(100)), 1, 100, guard(rollout.RunRunning, running), func(s *rollout.Snapshot) { s.Status.PromoteFull = true }),
			want: gist{
				Step: 1, Pods: podMap{v2: 4}, Services: rollout.Services{Stable: v2}, Skipped: []string{"1 background analysis"},
				Stop: []string{"web-v2-2: the rollout was promoted in full"}, Shed: []string{"v1 in 30s"}, Wake: 30 * time.Second,
				Says: "Progressing: waiting for all steps to complete", Events: []string{rollout.ReasonSkipped, rollout.ReasonCompleted},
			},
		},
		"a new template ends the attempt and its runs": {
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, running), func(s *rollout.Snapshot) { s.Spec.Revision = v3 }),
			want: gist{
				Pods: podMap{v1: 4, v3: 1}, Weights: "100/0", Stop: []string{"web-v2-2-1: a new template replaced this revision"},
				Says: "Progressing: more replicas need to be updated", Events: []string{rollout.ReasonUpdated},
			},
		},
		"steps that changed start over": {
			in: midway(spec, 3, 50, paused(rollout.PauseStep), func(s *rollout.Snapshot) { s.Spec.StepsHash, s.Spec.Settled = "other", false }),
			want: gist{
				Pods: podMap{v1: 4, v2: 2}, Weights: "90/10",
				Says: "Progressing: waiting for all steps to complete", Events: []string{rollout.ReasonUpdated},
			},
		},
		"another controller's hash of the steps is taken as ours": {
			why:  "Design 6: taking over must move nothing.",
			in:   midway(spec, 3, 50, paused(rollout.PauseStep), func(s *rollout.Snapshot) { s.Spec.StepsHash = "ours" }),
			want: gist{Step: 3, Pods: podMap{v1: 4, v2: 2}, Pauses: []string{rollout.PauseStep}, Says: "Paused: CanaryPauseStep"},
		},
	})
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	fresh := func(ask rollout.Revision, changes ...change) rollout.Snapshot {
		s := midway(routed(4, weight(50)), 0, 0)
		s.Spec.Revision, s.Status = ask, rollout.Status{}
		s.Services, s.Pools = rollout.Services{}, map[rollout.Revision]rollout.Pool{}
		for _, c := range changes {
			c(&s)
		}
		return s
	}
	check(t, map[string]decision{
		"the first revision comes without steps": {
			why:  "Acceptance 13.",
			in:   fresh(v1),
			want: gist{Step: 1, Pods: podMap{v1: 4}, Says: "Progressing: more replicas need to be updated"},
		},
		"the first revision is stable when all of it is available": {
			in: fresh(v1, pool(v1, pods(4, 1)), func(s *rollout.Snapshot) { s.Status.Current = v1 }),
			want: gist{
				Step: 1, Pods: podMap{v1: 4}, Services: rollout.Services{Stable: v1},
				Says: "Progressing: waiting for all steps to complete", Events: []string{rollout.ReasonCompleted},
			},
		},
		"a first revision that never came up is replaced by the next": {
			in: fresh(v2, pool(v1, missing(pods(4, 1), 4)), func(s *rollout.Snapshot) { s.Status.Current = v1 }),
			want: gist{
				Step: 1, Pods: podMap{v2: 4}, Says: "Progressing: more replicas need to be updated",
				Events: []string{rollout.ReasonUpdated},
			},
		},
		"pods without a status are taken over as stable": {
			why: "Semantics 26: a different template is a canary.",
			in:  fresh(v2, pool(v1, pods(4, 1))),
			want: gist{
				Pods: podMap{v1: 4, v2: 2}, Services: rollout.Services{Stable: v1},
				Says: "Progressing: more replicas need to be updated", Events: []string{rollout.ReasonUpdated},
			},
		},
		"what the stable Service selects is stable, not the largest": {
			in: fresh(v2, pool(v1, pods(2, 1)), pool(v2, pods(4, 2)), func(s *rollout.Snapshot) {
				s.Services = rollout.Services{Stable: v1, Canary: v1}
			}),
			want: gist{
				Pods: podMap{v1: 4, v2: 2}, Services: rollout.Services{Canary: v2},
				Says: "Progressing: waiting for all steps to complete", Events: []string{rollout.ReasonUpdated},
			},
		},
		"a fleet that is already there is taken over without a word": {
			in: fresh(v1, pool(v1, pods(4, 1)), func(s *rollout.Snapshot) {
				s.Services = rollout.Services{Stable: v1, Canary: v1}
			}),
			want: gist{Step: 1, Pods: podMap{v1: 4}, Says: "Healthy"},
		},
		"a release that another controller had begun goes on where it was": {
			why: "Design 6: its status has no step of ours, no attempt and another hash.",
			in: midway(routed(4, weight(10), weight(25), stop()), 2, 25, paused(rollout.PauseStep), func(s *rollout.Snapshot) {
				s.Status.OwnStep, s.Status.Attempt, s.Status.StepsHash = nil, 0, "5f79b78d7f"
			}),
			want: gist{Step: 2, Pods: podMap{v1: 4, v2: 1}, Pauses: []string{rollout.PauseStep}, Says: "Paused: CanaryPauseStep"},
		},
		"a spec that cannot be followed holds everything": {
			in: midway(routed(4, weight(50)), 0, 0, pool(v2, pods(2, 2)), func(s *rollout.Snapshot) {
				s.Router, s.Problems = nil, []string{"VirtualService shop/web: not found"}
			}),
			want: gist{Pods: podMap{}, Says: "Degraded: InvalidSpec: VirtualService shop/web: not found", Wake: 20 * time.Second},
		},
		"a spec that cannot be followed still has a full stable revision": {
			in: midway(routed(4, weight(50)), 0, 0, pool(v1, pods(2, 1)), func(s *rollout.Snapshot) {
				s.Router, s.Problems = nil, []string{"VirtualService shop/web: not found"}
			}),
			want: gist{Pods: podMap{v1: 4}, Says: "Degraded: InvalidSpec: VirtualService shop/web: not found", Wake: 20 * time.Second},
		},
	})
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"testing"
	"time"

	"sluice.dev/sluice/internal/rollout"
)

const bad = "metric \"error-rate\": 3 measurements failed, limit 2"

func failing(message string) rollout.Run {
	return rollout.Run{Phase: rollout.RunFailed, Message: message}
}

func holds(until time.Duration) rollout.Run {
	return rollout.Run{Phase: rollout.RunRunning, HoldUntil: t0.Add(until), Hold: "metric \"error-rate\" is in the band", GuardWhy: "its last reading is in the band"}
}

func TestGates(t *testing.T) {
	t.Parallel()
	spec := routed(4, weight(10), judge(), weight(50))
	aborted := func(says string) gist {
		return gist{
			Pods: podMap{v1: 4}, Weights: "100/0", Services: rollout.Services{Canary: v1},
			Says: "Degraded: RolloutAborted: Rollout aborted update to revision 2" + says, Events: []string{rollout.ReasonAborted},
		}
	}
	check(t, map[string]decision{
		"a failed step analysis takes the traffic away in the same pass": {
			why:  "Acceptance 8 and D9.",
			in:   midway(spec, 1, 10, stepRun(rollout.RunRunning, failing(bad))),
			want: aborted(": the step's analysis failed: " + bad),
		},
		"a step analysis in error does so too": {
			in:   midway(spec, 1, 10, stepRun(rollout.RunRunning, rollout.Run{Phase: rollout.RunError, Message: bad})),
			want: aborted(": the step's analysis ended in error: " + bad),
		},
		"a background analysis aborts at any step": {
			why:  "Acceptance 12.",
			in:   midway(routed(4, weight(50), stop()), 1, 50, paused(rollout.PauseStep), guard(rollout.RunRunning, failing(bad))),
			want: aborted(": the background analysis failed: " + bad),
		},
		"a verdict acts before its run stores it": {
			why: "Semantics 7 and 23: a verdict in hand is never lost.",
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, running), func(s *rollout.Snapshot) {
				s.Verdict = &rollout.Verdict{Run: "web-v2-2-1", Message: bad}
			}),
			want: func() gist {
				g := aborted(": " + bad)
				g.Stop = []string{"web-v2-2-1: the rollout was aborted"}
				return g
			}(),
		},
		"a verdict of a run that the status does not name is ignored": {
			why: "Semantics 22 and 27.",
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, running), func(s *rollout.Snapshot) {
				s.Verdict = &rollout.Verdict{Run: "somebody-elses", Message: bad}
			}),
			want: gist{Step: 1, Pods: podMap{v1: 4, v2: 1}, Says: "Progressing: waiting for analysis to complete"},
		},
		"a failure comes before a promotion that did not see it": {
			why: "I2: who promotes has not read what came a moment before.",
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, failing(bad)), func(s *rollout.Snapshot) {
				s.Status.Step = 2
				s.Status.PromoteFull = true
			}),
			want: aborted(": the step's analysis failed: " + bad),
		},
		"a failure comes before steps that changed": {
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, failing(bad)), func(s *rollout.Snapshot) {
				s.Spec.StepsHash, s.Spec.Settled = "other", false
			}),
			want: aborted(": the step's analysis failed: " + bad),
		},
		"an inconclusive analysis pauses": {
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, rollout.Run{Phase: rollout.RunInconclusive})),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1}, Pauses: []string{rollout.PauseInconclusive},
				Says: "Paused: InconclusiveAnalysisRun", Events: []string{rollout.ReasonPaused},
			},
		},
		"a run that was deleted at work is inconclusive": {
			why: "Semantics 27: deleting a run does not pass its gate.",
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, running), func(s *rollout.Snapshot) {
				s.StepRun, s.RunNames = nil, map[string]bool{}
			}),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1}, Pauses: []string{rollout.PauseInconclusive},
				Says: "Paused: InconclusiveAnalysisRun", Events: []string{rollout.ReasonPaused},
			},
		},
		"a run that was deleted after it had passed has passed": {
			in: midway(spec, 1, 10, stepRun(rollout.RunSuccessful, running), func(s *rollout.Snapshot) {
				s.StepRun, s.RunNames = nil, map[string]bool{}
			}),
			want: gist{Step: 2, Pods: podMap{v1: 4, v2: 2}, Says: "Progressing: more replicas need to be updated"},
		},
		"a run that was recorded and never made is asked for again": {
			why: "I5: the start was lost.",
			in: midway(spec, 1, 10, stepRun(rollout.RunRecorded, running), func(s *rollout.Snapshot) {
				s.StepRun, s.RunNames = nil, map[string]bool{}
			}),
			want: gist{Step: 1, Pods: podMap{v1: 4, v2: 1}, Start: []string{"web-v2-2-1"}, Says: "Progressing: waiting for analysis to complete"},
		},
		"a name that is somebody else's is not used": {
			in:   midway(spec, 1, 10, stepRun(rollout.RunRecorded, running), func(s *rollout.Snapshot) { s.StepRun = nil }),
			want: gist{Step: 1, Pods: podMap{v1: 4, v2: 1}, Start: []string{"web-v2-2-1.1"}, Says: "Progressing: waiting for analysis to complete"},
		},
		"a hold is said, and woken for when it becomes a pause": {
			why: "Semantics 14.",
			in:  midway(spec, 1, 10, stepRun(rollout.RunRunning, holds(time.Minute))),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1}, Wake: time.Minute,
				Says: "Progressing: metric \"error-rate\" is in the band", Events: []string{rollout.ReasonHold},
			},
		},
		"a hold that people were told of is not told again": {
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, holds(time.Minute)), toldOf("web-v2-2-1")),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1}, Wake: time.Minute,
				Says: "Progressing: metric \"error-rate\" is in the band",
			},
		},
		"a second run that holds is told of too": {
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, holds(time.Minute)), guard(rollout.RunRunning, holds(2*time.Minute)), toldOf("web-v2-2")),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1}, Wake: time.Minute,
				Says: "Progressing: metric \"error-rate\" is in the band", Events: []string{rollout.ReasonHold},
			},
		},
		"a hold that lasts too long pauses": {
			in: midway(spec, 1, 10, stepRun(rollout.RunRunning, holds(time.Minute)), toldOf("web-v2-2-1"), later(time.Minute)),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1}, Pauses: []string{rollout.PauseHold},
				Says: "Paused: AnalysisHold", Events: []string{rollout.ReasonPaused},
			},
		},
		"the pause of a hold that is over is lifted": {
			in: midway(spec, 1, 10, paused(rollout.PauseHold), stepRun(rollout.RunRunning, running)),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1},
				Says: "Progressing: waiting for analysis to complete", Events: []string{rollout.ReasonResumed},
			},
		},
		"a blind guard holds the next weight": {
			why: "D14.",
			in: midway(routed(4, weight(10), weight(50)), 1, 10, pool(v2, pods(2, 2)),
				guard(rollout.RunRunning, rollout.Run{Phase: rollout.RunRunning, GuardWhy: "metric \"error-rate\" has no reading"})),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 2},
				Says: "Progressing: waiting for background analysis web-v2-2: metric \"error-rate\" has no reading",
			},
		},
		"a blind guard holds the promotion": {
			in: midway(routed(4, weight(100)), 1, 100,
				guard(rollout.RunRunning, rollout.Run{Phase: rollout.RunRunning, GuardWhy: "metric \"error-rate\" has no reading"})),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 4},
				Says: "Progressing: waiting for background analysis web-v2-2: metric \"error-rate\" has no reading",
			},
		},
		"a good guard lets the weight rise": {
			in:   midway(routed(4, weight(10), weight(50)), 1, 10, pool(v2, pods(2, 2)), guard(rollout.RunRunning, good)),
			want: gist{Step: 1, Pods: podMap{v1: 4, v2: 2}, Weights: "50/50", Says: "Progressing: waiting for all steps to complete"},
		},
		"a blind guard does not keep a canary without traffic from its first": {
			why:  "It cannot see anything before.",
			in:   midway(routed(4, weight(10), weight(50)), 0, 0, pool(v2, pods(1, 2)), guard(rollout.RunRunning, running)),
			want: gist{Pods: podMap{v1: 4, v2: 1}, Weights: "90/10", Says: "Progressing: waiting for all steps to complete"},
		},
		"the guard starts when the canary has traffic": {
			in: midway(routed(4, weight(10), stop()), 0, 10, func(s *rollout.Snapshot) { s.Spec.Background = true }),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1}, Start: []string{"web-v2-2"}, Pauses: []string{rollout.PauseStep},
				Says: "Paused: CanaryPauseStep", Events: []string{rollout.ReasonPaused},
			},
		},
		"the guard does not start before the canary has traffic": {
			in:   midway(routed(4, weight(10)), 0, 0, pool(v2, pods(1, 2)), func(s *rollout.Snapshot) { s.Spec.Background = true }),
			want: gist{Pods: podMap{v1: 4, v2: 1}, Weights: "90/10", Says: "Progressing: waiting for all steps to complete"},
		},
		"the guard does not start before its step": {
			in: midway(routed(4, weight(10), stop()), 0, 10, func(s *rollout.Snapshot) { s.Spec.Background, s.Spec.BackgroundFrom = true, 2 }),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1}, Pauses: []string{rollout.PauseStep},
				Says: "Paused: CanaryPauseStep", Events: []string{rollout.ReasonPaused},
			},
		},
		"a guard that another controller ended early is started again": {
			why: "Design 6.",
			in: midway(routed(4, weight(10), stop()), 1, 10, paused(rollout.PauseStep),
				guard(rollout.RunRunning, rollout.Run{Phase: rollout.RunSuccessful, Unfinished: true})),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 1}, Start: []string{"web-v2-2.1"}, Pauses: []string{rollout.PauseStep},
				Says: "Paused: CanaryPauseStep",
			},
		},
	})
}

// TestDeadline tells when the progress deadline runs.
func TestDeadline(t *testing.T) {
	t.Parallel()
	spec := routed(4, weight(50), judge(), weight(75))
	spec.ProgressDeadline = 10 * time.Minute
	// since is a rollout whose condition says since when it waits for pods.
	waits := func(s *rollout.Snapshot) {
		s.Status.Conditions = []rollout.Condition{{
			Type: rollout.CondProgressing, Status: "True", Reason: rollout.ReasonProgress,
			Message: "ReplicaSet of revision \"v2\" is progressing.", Updated: t0, Changed: t0,
		}}
		s.Status.Counts = rollout.Counts{Available: 4, Updated: 2}
	}
	short := pool(v2, rollout.Pool{Desired: 2, Total: 2, Number: 2})
	timedOut := "ProgressDeadlineExceeded: ReplicaSet of revision \"v2\" has timed out progressing: its pods did not become available in time"
	check(t, map[string]decision{
		"pods that come late are waited for": {
			in:   midway(spec, 0, 0, short, waits, later(9*time.Minute)),
			want: gist{Pods: podMap{v1: 4, v2: 2}, Says: "Progressing: updated replicas are still becoming available", Wake: time.Minute},
		},
		"pods that do not come degrade the rollout": {
			in:   midway(spec, 0, 0, short, waits, later(10*time.Minute)),
			want: gist{Pods: podMap{v1: 4, v2: 2}, Says: "Degraded: " + timedOut},
		},
		"pods that do not come abort it, if that was asked for": {
			in: midway(spec, 0, 0, short, waits, later(10*time.Minute), func(s *rollout.Snapshot) { s.Spec.DeadlineAborts = true }),
			want: gist{
				Pods: podMap{v1: 4}, Services: rollout.Services{Canary: v1}, Shed: []string{"v2 in 30s"}, Wake: 30 * time.Second,
				Says:   "Degraded: RolloutAborted: Rollout aborted update to revision 2: ReplicaSet of revision \"v2\" has timed out progressing: its pods did not become available in time",
				Events: []string{rollout.ReasonAborted},
			},
		},
		"a rollout that timed out stays so": {
			in: midway(spec, 0, 0, short, waits, later(time.Hour), func(s *rollout.Snapshot) {
				c := &s.Status.Conditions[0]
				c.Status, c.Reason, c.Updated = "False", rollout.ReasonTimedOut, t0.Add(10*time.Minute)
			}),
			want: gist{Pods: podMap{v1: 4, v2: 2}, Says: "Degraded: " + timedOut},
		},
		"a pod more starts the clock again": {
			in:   midway(spec, 0, 0, pool(v2, rollout.Pool{Desired: 2, Total: 2, Ready: 1, Available: 1, Number: 2}), waits, later(10*time.Minute)),
			want: gist{Pods: podMap{v1: 4, v2: 2}, Says: "Progressing: updated replicas are still becoming available", Wake: 10 * time.Minute},
		},
		"it does not run at a gate": {
			in:   midway(spec, 1, 50, stepRun(rollout.RunRunning, running), waits, later(time.Hour)),
			want: gist{Step: 1, Pods: podMap{v1: 4, v2: 2}, Says: "Progressing: waiting for analysis to complete"},
		},
		"it does not run in a hold, nor the moment after": {
			why: "A canary that waited an hour for its gate is not late.",
			in: midway(spec, 2, 50, pool(v2, pods(3, 2)), guard(rollout.RunRunning, good), waits, later(time.Hour), func(s *rollout.Snapshot) {
				s.Status.Conditions[0].Message = "ReplicaSet of revision \"v2\" has the pods that its step needs."
				s.Status.Counts = rollout.Counts{Available: 7, Updated: 3}
			}),
			want: gist{Step: 2, Pods: podMap{v1: 4, v2: 3}, Weights: "25/75", Says: "Progressing: waiting for all steps to complete", Wake: 10 * time.Minute},
		},
		"it does not run in a pause": {
			in: midway(spec, 1, 50, paused(rollout.PauseInconclusive), stepRun(rollout.RunInconclusive, rollout.Run{Phase: rollout.RunInconclusive}), short, waits, later(time.Hour)),
			want: gist{
				Step: 1, Pods: podMap{v1: 4, v2: 2}, Weights: "100/0", Pauses: []string{rollout.PauseInconclusive},
				Says: "Paused: InconclusiveAnalysisRun",
			},
		},
	})
}

func toldOf(runs ...string) change {
	return func(s *rollout.Snapshot) { s.Status.Holding = runs }
}

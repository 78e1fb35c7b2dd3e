// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package peer_test

import (
	"fmt"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
)

// quarters climbs by 25 % and waits for a person; judged has a step's analysis
// between.
const (
	quarters = "[{setWeight: 25}, {pause: {}}, {setWeight: 50}, {pause: {}}]"
	judged   = "[{setWeight: 25}, {analysis: { templates: [{ templateName: errors }] }}, {setWeight: 50}, {pause: {}}]"
	timed    = "[{setWeight: 25}, {pause: { duration: 45s }}, {setWeight: 50}, {pause: {}}]"
)

// thirty readings are what a step's analysis takes: long enough for a change of
// controllers to come between.
const thirty = "count: 30\n      successCondition: result < 10\n      failureLimit: 2"

var (
	quarter = place{phase: paused, step: 1, weights: "75/25", image: "1.0.0"}
	half    = place{phase: paused, step: 3, weights: "50/50", image: "1.0.0"}
)

// A state is where one controller leaves a release and another takes it up.
type state struct {
	name string
	plan plan
	// reach brings it there, and finish from there to its end.
	reach, finish func(r *release)
	// flaps says that the peer keeps switching the canary's Service, which has no
	// traffic then.
	flaps bool
}

func (r *release) atQuarter() {
	r.Helper()
	r.deploy("1.1.0")
	r.at(quarter)
}

// climb ends a release that is paused at a quarter.
func (r *release) climb() {
	r.Helper()
	r.do("promote", name)
	r.at(half)
	r.do("promote", name)
	r.at(done)
}

func (r *release) full() {
	r.Helper()
	r.do("promote", name, "--full")
	r.at(done)
}

var states = []state{
	{
		name: "at rest", plan: plan{steps: quarters},
		reach:  func(*release) {},
		finish: func(r *release) { r.atQuarter(); r.climb() },
	},
	{
		name: "paused at a quarter", plan: plan{steps: quarters},
		reach: (*release).atQuarter, finish: (*release).climb,
	},
	{
		name: "paused at a quarter by a person", plan: plan{steps: quarters},
		reach: func(r *release) {
			r.atQuarter()
			r.do("pause", name)
			r.Eventually("it is paused by hand", func() error {
				if ro := r.rollout(); ro.Status.Message != "manually paused" {
					return fmt.Errorf("%s: %s", ro.Status.Phase, ro.Status.Message)
				}
				return nil
			})
		},
		finish: (*release).climb,
	},
	{
		name: "in a timed pause", plan: plan{steps: timed},
		reach: (*release).atQuarter,
		finish: func(r *release) {
			began := r.rollout().Status.PauseConditions[0].StartTime.Time
			r.at(half)
			if next := r.rollout().Status.PauseConditions[0].StartTime.Time; next.Sub(began) > 60*time.Second {
				r.Errorf("the pause of 45 s began at %v, and the next one at %v", began, next)
			}
			r.full()
		},
	},
	{
		name: "in a step's analysis", plan: plan{steps: judged, metric: thirty},
		reach: func(r *release) {
			r.deploy("1.1.0")
			r.Eventually("the step's run has readings", func() error { return r.counted(1, 2) })
		},
		finish: func(r *release) {
			r.at(half)
			if runs := r.runs(); len(runs) != 1 || runs[0].Status.Phase != v1alpha1.AnalysisPhaseSuccessful {
				r.Errorf("there are %d runs, the first %s", len(runs), runs[0].Status.Phase)
			}
			r.full()
		},
	},
	{
		name: "in a step's analysis that comes to fail", plan: plan{steps: judged, metric: "count: 1000\n      successCondition: result < 10\n      failureLimit: 2"},
		reach: func(r *release) {
			r.deploy("1.1.0")
			r.Eventually("the step's run has readings", func() error { return r.counted(1, 2) })
		},
		finish: func(r *release) { r.errors(50); r.at(aborted) },
	},
	{
		name: "guarded", plan: plan{steps: quarters, background: true},
		reach: func(r *release) {
			r.atQuarter()
			r.Eventually("the guard has readings", func() error { return r.counted(1, 2) })
		},
		finish: func(r *release) {
			r.climb()
			if n := len(r.runs()); n != 1 {
				r.Errorf("there are %d runs; the guard was to go on", n)
			}
		},
	},
	{
		name: "guarded, and the guard comes to fail", plan: plan{steps: quarters, background: true},
		reach: func(r *release) {
			r.atQuarter()
			r.Eventually("the guard has readings", func() error { return r.counted(1, 2) })
		},
		finish: func(r *release) { r.errors(50); r.at(aborted) },
	},
	{
		name: "guarded by a guard with a count", plan: plan{steps: quarters, background: true, metric: "count: 3\n      successCondition: result < 10"},
		reach: func(r *release) {
			r.atQuarter()
			r.Eventually("the guard has all readings", func() error { return r.counted(1, 3) })
		},
		finish: (*release).climb,
	},
	{
		name: "inconclusive", plan: plan{steps: judged, metric: "count: 3\n      inconclusiveLimit: 0\n      successCondition: result < 10\n      failureCondition: result > 30"},
		reach: func(r *release) {
			r.errors(15)
			r.deploy("1.1.0")
			r.at(quarter)
			if ro := r.rollout(); ro.Status.Message != "InconclusiveAnalysisRun" {
				r.Errorf("it is %s: %s", ro.Status.Phase, ro.Status.Message)
			}
		},
		finish: (*release).climb,
	},
	{
		name: "aborted", plan: plan{steps: quarters, extra: "{ abortScaleDownDelaySeconds: 1 }"}, flaps: true,
		reach: func(r *release) {
			r.atQuarter()
			r.do("abort", name)
			r.at(aborted)
			r.Eventually("the canary has no pods", func() error { return r.populated(5) })
		},
		finish: func(r *release) {
			r.do("retry", "rollout", name)
			r.at(quarter)
			r.climb()
		},
	},
	{
		name: "aborted, with the pods on their way out", plan: plan{steps: quarters, extra: "{ abortScaleDownDelaySeconds: 45 }"}, flaps: true,
		reach: func(r *release) {
			r.atQuarter()
			r.do("abort", name)
			r.at(aborted)
			r.Eventually("the pods have a deadline", func() error { return r.expires(1) })
		},
		finish: func(r *release) {
			r.Eventually("the canary has no pods", func() error { return r.populated(5) })
			r.do("retry", "rollout", name)
			r.at(quarter)
			r.climb()
		},
	},
	{
		name: "aborted by the guard", plan: plan{steps: quarters, background: true}, flaps: true,
		reach: func(r *release) {
			r.atQuarter()
			r.Eventually("the guard has readings", func() error { return r.counted(1, 2) })
			r.errors(50)
			r.at(aborted)
			r.Eventually("the canary has no pods", func() error { return r.populated(5) })
		},
		finish: func(r *release) {
			if msg := r.rollout().Status.Message; !strings.Contains(msg, "errors") {
				r.Errorf("nothing says why it was aborted: %q", msg)
			}
			r.do("undo", name)
			r.at(place{phase: healthy, step: 4, weights: "100/0", image: "1.0.0"})
		},
	},
	{
		name: "done, with the old pods on their way out", plan: plan{steps: quarters, extra: "{ scaleDownDelaySeconds: 45 }"},
		reach: func(r *release) {
			r.atQuarter()
			r.full()
			r.Eventually("the old pods have a deadline", func() error { return r.expires(1) })
		},
		finish: func(r *release) {
			r.Eventually("the old revision has no pods", func() error { return r.populated(5) })
			r.deploy("1.2.0")
			r.at(place{phase: paused, step: 1, weights: "75/25", image: "1.1.0"})
		},
	},
	{
		name: "paused at half with a stable revision that shrinks", plan: plan{steps: "[{setWeight: 50}, {pause: {}}]", replicas: 4, extra: "{ dynamicStableScale: true }"},
		reach: func(r *release) {
			r.deploy("1.1.0")
			r.at(place{phase: paused, step: 1, weights: "50/50", sizes: "2/2", image: "1.0.0"})
		},
		finish: func(r *release) {
			r.do("promote", name)
			r.at(place{phase: healthy, step: 2, weights: "100/0", image: "1.1.0"})
		},
	},
	{
		name: "paused, by pod ratio", plan: plan{file: plain, steps: quarters},
		reach: func(r *release) {
			r.deploy("1.1.0")
			r.at(place{phase: paused, step: 1, sizes: "4/1", image: "1.0.0"})
		},
		finish: (*release).climbPods,
	},
	{
		name: "paused, by pod ratio with the default surge", plan: plan{file: plain, steps: quarters, replicas: 10, extra: "{ maxSurge: 25% }"},
		reach: func(r *release) {
			r.deploy("1.1.0")
			r.at(place{phase: paused, step: 1, sizes: "8/3", image: "1.0.0"})
		},
		finish: (*release).climbPods,
	},
	{
		name: "in a step's analysis, by pod ratio", plan: plan{file: plain, steps: judged, metric: thirty},
		reach: func(r *release) {
			r.deploy("1.1.0")
			r.Eventually("the step's run has readings", func() error { return r.counted(1, 2) })
		},
		finish: func(r *release) {
			r.at(place{phase: paused, step: 3, image: "1.0.0"})
			if runs := r.runs(); len(runs) != 1 || runs[0].Status.Phase != v1alpha1.AnalysisPhaseSuccessful {
				r.Errorf("there are %d runs, the first %s", len(runs), runs[0].Status.Phase)
			}
			r.climbPods()
		},
	},
	{
		name: "guarded, by pod ratio, and the guard comes to fail", plan: plan{file: plain, steps: quarters, background: true},
		reach: func(r *release) {
			r.deploy("1.1.0")
			r.Eventually("the guard has readings", func() error { return r.counted(1, 2) })
			r.at(place{phase: paused, step: 1, sizes: "4/1", image: "1.0.0"})
		},
		finish: func(r *release) {
			r.errors(50)
			r.at(place{phase: degraded, step: 0, sizes: "5/0", image: "1.0.0"})
		},
	},
	{
		name: "aborted, by pod ratio", plan: plan{file: plain, steps: quarters},
		reach: func(r *release) {
			r.deploy("1.1.0")
			r.at(place{phase: paused, step: 1, sizes: "4/1", image: "1.0.0"})
			r.do("abort", name)
			r.at(place{phase: degraded, step: 0, sizes: "5/0", image: "1.0.0"})
		},
		finish: func(r *release) {
			r.do("retry", "rollout", name)
			r.at(place{phase: paused, step: 1, sizes: "4/1", image: "1.0.0"})
			r.climbPods()
		},
	},
}

// climbPods ends a release without traffic routing that is paused.
func (r *release) climbPods() {
	r.Helper()
	r.do("promote", name, "--full")
	r.at(place{phase: healthy, step: 4, sizes: fmt.Sprintf("%[1]d/%[1]d", r.plan.replicas), image: "1.1.0"})
}

// expires is nil once as many ReplicaSets have a time at which they go.
func (r *release) expires(want int) error {
	n := 0
	for _, rs := range r.replicaSets() {
		if rs.Annotations[v1alpha1.AnnotationScaleDownDeadline] != "" {
			n++
		}
	}
	if n != want {
		return fmt.Errorf("%d ReplicaSets have a deadline", n)
	}
	return nil
}

// populated is nil once there are as many pods.
func (r *release) populated(want int) error {
	if n := len(r.pods()); n != want {
		return fmt.Errorf("there are %d pods", n)
	}
	return nil
}

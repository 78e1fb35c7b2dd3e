// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package peer_test

import (
	"strings"

	"sluice.dev/sluice/api/v1alpha1"
)

// A journey is a release that ours begins, the peer takes further, and ours
// finishes. What ours wrote down before must not be held against what the peer
// has done since.
type journey struct {
	state
	there func(r *release)
}

// guardedAtQuarter deploys a version and waits for its guard.
func (r *release) guardedAtQuarter(version, stable string, runs int) {
	r.Helper()
	r.deploy(version)
	at := quarter
	at.image = stable
	r.at(at)
	r.Eventually("the guard has readings", func() error { return r.counted(runs, 2) })
}

// unskipped fails when something is said to have been skipped by a person.
func (r *release) unskipped() {
	r.Helper()
	if s := r.rollout().Status.Sluice; s != nil && len(s.Skipped) > 0 {
		r.Errorf("skips are recorded: %+v", s.Skipped)
	}
}

// again aborts a release that is paused at a quarter and retries it.
func (r *release) again() {
	r.Helper()
	r.do("abort", name)
	r.at(aborted)
	r.do("retry", "rollout", name)
	r.at(quarter)
}

var journeys = []journey{
	{
		state: state{
			name: "steps are done there", plan: plan{steps: quarters, background: true},
			reach: func(r *release) { r.guardedAtQuarter("1.1.0", "1.0.0", 1) },
			finish: func(r *release) {
				r.at(half)
				r.unskipped()
				r.do("promote", name)
				r.at(done)
				if n := len(r.runs()); n != 1 {
					r.Errorf("there are %d runs; the guard was to go on", n)
				}
			},
		},
		there: func(r *release) {
			r.do("promote", name)
			r.at(half)
			r.Eventually("the guard has more readings", func() error { return r.counted(1, 5) })
		},
	},
	{
		state: state{
			name: "retried on both sides, with a guard", plan: plan{steps: quarters, background: true},
			reach: func(r *release) {
				r.guardedAtQuarter("1.1.0", "1.0.0", 1)
				r.again()
				r.Eventually("the second guard has readings", func() error { return r.counted(2, 2) })
			},
			finish: func(r *release) {
				r.at(quarter)
				r.unskipped()
				r.climb()
				if n := len(r.runs()); n != 3 {
					r.Errorf("there are %d runs, want one for each attempt", n)
				}
			},
		},
		there: func(r *release) {
			r.again()
			r.Eventually("the third guard has readings", func() error { return r.counted(3, 2) })
		},
	},
	{
		state: state{
			name: "retried here, and the next version begins there", plan: plan{steps: judged, metric: "count: 1000\n      successCondition: result < 10\n      failureLimit: 2"},
			reach: func(r *release) {
				r.deploy("1.1.0")
				r.Eventually("the step's run has readings", func() error { return r.counted(1, 2) })
				r.do("abort", name)
				r.at(aborted)
				r.do("retry", "rollout", name)
				r.Eventually("the second run has begun", func() error { return r.counted(2, 1) })
				r.full()
			},
			finish: func(r *release) {
				r.Eventually("the step's run has readings", func() error { return r.counted(3, 2) })
				r.errors(50)
				r.at(place{phase: degraded, step: 0, weights: "100/0", image: "1.1.0"})
			},
		},
		there: func(r *release) {
			r.deploy("1.2.0")
			r.Eventually("the step's run has readings", func() error { return r.counted(3, 2) })
		},
	},
	{
		state: state{
			name: "failed here, and aborted by a person there", plan: plan{steps: quarters, background: true}, flaps: true,
			reach: func(r *release) {
				r.guardedAtQuarter("1.1.0", "1.0.0", 1)
				r.errors(50)
				r.at(aborted)
				r.Eventually("the canary has no pods", func() error { return r.populated(5) })
			},
			finish: func(r *release) {
				if msg := r.at(aborted).Status.Message; strings.Contains(msg, "errors") {
					r.Errorf("a person aborted it, and it says %q", msg)
				}
				r.do("retry", "rollout", name)
				r.do("promote", name, "--full")
				r.at(place{phase: healthy, step: 4, weights: "100/0", image: "1.2.0"})
			},
		},
		there: func(r *release) {
			r.deploy("1.2.0")
			r.Eventually("the next version is under way", func() error { return r.counted(2, 0) })
			r.do("abort", name)
			r.at(aborted)
			r.Eventually("no canary has pods", func() error { return r.populated(5) })
		},
	},
	{
		state: state{
			name: "done there", plan: plan{steps: quarters},
			reach: (*release).atQuarter,
			finish: func(r *release) {
				r.deploy("1.2.0")
				r.at(place{phase: paused, step: 1, weights: "75/25", image: "1.1.0"})
				r.unskipped()
				r.do("promote", name, "--full")
				r.at(place{phase: v1alpha1.RolloutPhaseHealthy, step: 4, weights: "100/0", image: "1.2.0"})
			},
		},
		there: func(r *release) {
			r.climb()
			r.Eventually("the old revision has no pods", func() error { return r.populated(5) })
		},
	},
}

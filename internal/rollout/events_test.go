// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"time"

	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/sim"
)

// budget is how much may still go wrong in a world.
type budget struct{ deaths, runs, users int8 }

func spend(left *int8) bool {
	*left--
	return *left >= 0
}

// A happening is something that can happen to a world; do reports whether it
// could.
type happening struct {
	what string
	do   func(*node) bool
}

// happenings is all that can happen between two passes, but for time.
var happenings = append(podEvents(), append(runEvents(), userEvents()...)...)

func podEvents() []happening {
	var hs []happening
	for _, r := range []rollout.Revision{v1, v2, v3} {
		hs = append(hs,
			happening{"a pod of " + string(r) + " is up", func(n *node) bool { return n.PodUp(r) }},
			happening{"a pod of " + string(r) + " is down", func(n *node) bool { return spend(&n.left.deaths) && n.PodDown(r) }})
	}
	return append(hs, happening{"the endpoints follow", func(n *node) bool {
		moved := n.Endpoints != n.Services.Stable
		n.Endpoints = n.Services.Stable
		return moved
	}})
}

// runEvents is what can happen to the analysis runs.
func runEvents() []happening {
	step := func(n *node) *rollout.RunRef { return n.Status.StepRun }
	guard := func(n *node) *rollout.RunRef { return n.Status.Background }
	hs := append(anyRun("the step's run ", step), anyRun("the guard ", guard)...)
	return append(hs,
		happening{"the step's run passes", func(n *node) bool {
			mine := acts(n, step(n))
			if !n.End(step(n), rollout.RunSuccessful, "") {
				return false
			}
			if mine {
				n.g.passed |= 1 << n.Runs[step(n).Name].Step
			}
			return true
		}},
		happening{"the guard is ready", func(n *node) bool {
			return n.SetRun(guard(n), func(r *sim.Run) { r.Ready, r.HoldUntil = true, time.Time{} })
		}},
		happening{"the guard is blind", func(n *node) bool {
			return spend(&n.left.runs) && n.SetRun(guard(n), func(r *sim.Run) { r.Ready = false })
		}})
}

func anyRun(who string, ref func(*node) *rollout.RunRef) []happening {
	return []happening{
		{who + "fails", func(n *node) bool {
			mine := acts(n, ref(n))
			if !n.End(ref(n), rollout.RunFailed, "metric error-rate failed 3 times, limit 2") {
				return false
			}
			n.g.fallen = n.g.fallen || mine
			return true
		}},
		{who + "is inconclusive", func(n *node) bool {
			return spend(&n.left.runs) && n.End(ref(n), rollout.RunInconclusive, "the band")
		}},
		{who + "holds", func(n *node) bool {
			return spend(&n.left.runs) && n.SetRun(ref(n), func(r *sim.Run) { r.HoldUntil = n.Now.Add(30 * time.Second) })
		}},
		{who + "holds no longer", func(n *node) bool {
			return n.SetRun(ref(n), func(r *sim.Run) { r.HoldUntil = time.Time{} })
		}},
		{who + "is deleted", func(n *node) bool {
			if !spend(&n.left.runs) || ref(n) == nil {
				return false
			}
			if n.Runs[ref(n).Name].Phase == rollout.RunFailed && !n.Status.Abort {
				n.g.fallen = false // nobody saw it fail
			}
			return n.Forget(ref(n))
		}},
	}
}

// acts reports whether the run that ref names may act on the rollout: it was
// started in this attempt, and nothing has replaced the attempt.
func acts(n *node, ref *rollout.RunRef) bool {
	if ref == nil {
		return false
	}
	r, ok := n.Runs[ref.Name]
	st := n.Status
	return ok && r.Attempt == st.Attempt && r.Revision == st.Current && st.Current == n.Spec.Revision &&
		st.Current != st.Stable && (st.Abort || st.AbortedAt.IsZero())
}

// userEvents is what a person can do.
func userEvents() []happening {
	var hs []happening
	user := func(what string, can func(*node) bool, do func(*node)) {
		hs = append(hs, happening{"somebody: " + what, func(n *node) bool {
			if n.left.users == 0 || !can(n) {
				return false
			}
			n.left.users--
			do(n)
			return true
		}})
	}
	always := func(*node) bool { return true }
	ask := func(change func(*rollout.Spec)) func(*node) { return func(n *node) { n.Ask(change) } }
	user("abort", func(n *node) bool { return !n.Status.Abort }, func(n *node) {
		n.Abort()
		if st := n.Status; st.Current == n.Spec.Revision && st.Current != st.Stable && st.Stable != "" {
			n.g.fallen = true
		}
	})
	// An abort that is taken back before a pass saw it has ended no attempt.
	user("retry", func(n *node) bool { return n.Status.Abort && !n.Status.AbortedAt.IsZero() }, func(n *node) {
		n.Retry()
		n.g.retry = true
	})
	user("promote", func(n *node) bool { return !n.Status.Abort }, func(n *node) { n.Promote() })
	user("promote --full", always, func(n *node) { n.PromoteFull() })
	user("new template", func(n *node) bool { return n.Spec.Revision != v3 },
		ask(func(s *rollout.Spec) { s.Revision = v3 }))
	user("stable template", func(n *node) bool { return n.Status.Stable != "" && n.Spec.Revision != n.Status.Stable },
		func(n *node) { n.Ask(func(s *rollout.Spec) { s.Revision = n.Status.Stable }) })
	user("scale up", func(n *node) bool { return n.Spec.Replicas < 3 }, ask(func(s *rollout.Spec) { s.Replicas++ }))
	user("scale down", func(n *node) bool { return n.Spec.Replicas > 0 }, ask(func(s *rollout.Spec) { s.Replicas-- }))
	user("pause or go on", always, ask(func(s *rollout.Spec) { s.Paused = !s.Paused }))
	user("other steps", func(n *node) bool { return n.Spec.StepsHash != "other" }, ask(func(s *rollout.Spec) {
		s.Steps, s.StepsHash = []rollout.Step{{Kind: rollout.StepSetWeight, Weight: 30}}, "other"
	}))
	user("restart", func(n *node) bool { return spend(&n.restarts) }, func(n *node) { sim.Restart(&n.World) })
	for _, r := range []rollout.Revision{v1, v2} {
		user("no eviction of "+string(r), func(n *node) bool { return !n.Spec.RestartAt.IsZero() && !n.Now.Before(n.Refused[r]) },
			func(n *node) { sim.Refuse(&n.World, r, 30*time.Second) })
	}
	user("delete the VirtualService", func(n *node) bool { return n.Problems == nil },
		func(n *node) { n.Problems = []string{"VirtualService web: not found"} })
	return hs
}

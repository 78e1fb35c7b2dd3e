// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"time"
)

// Decide returns the Plan for s. It has an answer to every Snapshot, also to
// absurd ones: a spec that cannot be followed is a state, not an error.
func Decide(s Snapshot) Plan {
	p := open(&s)
	if len(s.Problems) > 0 {
		invalid(&s, &p)
	} else {
		renew(&s, &p)
		stage(&s, &p)
		if expired(&s, &p) && s.Spec.DeadlineAborts && climbing(&p) {
			abort(&s, &p, "ProgressDeadlineExceeded", timedOut(&p))
			status := p.Status
			p = open(&s)
			p.Status = status
			p.warn(ReasonAborted, abortMessage(&s, &p.Status))
			stage(&s, &p)
		}
		restartPods(&s, &p)
	}
	finish(&s, &p)
	return p
}

// open returns a Plan that changes nothing.
func open(s *Snapshot) Plan {
	return Plan{Status: clone(s.Status), Replicas: map[Revision]int32{}, Deadlines: map[Revision]time.Time{}}
}

func clone(st Status) Status {
	st.Pauses = slices.Clone(st.Pauses)
	st.Skipped = slices.Clone(st.Skipped)
	st.Conditions = slices.Clone(st.Conditions)
	st.Holding = slices.Clone(st.Holding)
	st.StepRun = copied(st.StepRun)
	st.Background = copied(st.Background)
	st.Weights = copied(st.Weights)
	st.OwnStep = copied(st.OwnStep)
	st.Verdict = copied(st.Verdict)
	return st
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// stage does what the state of the rollout calls for.
func stage(s *Snapshot, p *Plan) {
	p.Status.Hold, p.Status.Holding = "", nil
	switch st := &p.Status; {
	case st.Stable == "":
		start(s, p)
	case st.Current == st.Stable:
		settle(s, p)
	case st.Abort:
		retreat(s, p)
	default:
		climb(s, p)
	}
}

func climbing(p *Plan) bool {
	st := &p.Status
	return st.Stable != "" && st.Current != st.Stable && !st.Abort
}

// start brings up the first revision: there is nothing to compare it with, so
// nothing judges it.
func start(s *Snapshot, p *Plan) {
	st := &p.Status
	p.Replicas[st.Current] = s.Spec.Replicas
	if !s.Spec.Routed {
		st.Stable = st.Current
		resize(s, p, s.Spec.MaxWeight)
		st.Stable = ""
	}
	st.Step = len(s.Spec.Steps)
	if s.Pools[st.Current].Available < s.Spec.Replicas {
		return
	}
	st.Stable = st.Current
	p.event(ReasonCompleted, "Rollout completed: revision "+string(st.Current)+" is the first and is stable")
	settle(s, p)
}

// settle keeps the stable revision at full size, gives it all traffic and lets
// go of what is left over.
func settle(s *Snapshot, p *Plan) {
	st := &p.Status
	st.Step, st.Pauses, st.Paused, st.PromoteFull = len(s.Spec.Steps), nil, false, false
	endRuns(s, p, "the rollout is complete")
	if s.Spec.Routed {
		p.Replicas[st.Stable] = s.Spec.Replicas
		settleTraffic(s, p)
		shedOthers(s, p, s.Spec.ScaleDownDelay)
		return
	}
	resize(s, p, s.Spec.MaxWeight)
	pointServices(s, p, st.Stable)
}

// retreat takes the traffic away from an aborted revision, and only then its
// pods.
func retreat(s *Snapshot, p *Plan) {
	st := &p.Status
	st.Step, st.Pauses, st.Paused, st.PromoteFull = 0, nil, false, false
	endRuns(s, p, "the rollout was aborted")
	if !s.Spec.Routed {
		resize(s, p, 0)
		pointServices(s, p, st.Stable)
		return
	}
	p.Replicas[st.Stable] = s.Spec.Replicas
	retreatTraffic(s, p)
	if s.carried(st.Current) == 0 {
		shedAborted(s, p)
	}
	shedOthers(s, p, s.Spec.ScaleDownDelay)
}

// climb works on the steps: they advance as far as they can, and pods and
// traffic follow.
func climb(s *Snapshot, p *Plan) {
	st := &p.Status
	observeHold(s, p)
	startBackground(s, p)
	for advance(s, p) {
		startBackground(s, p)
	}
	if promotable(s, p) {
		promote(p)
		settle(s, p)
		return
	}
	want := weightAt(s.Spec, st.Step)
	if s.Spec.Routed {
		climbTraffic(s, p, want)
		shedOthers(s, p, s.Spec.ScaleDownDelay)
		return
	}
	pointServices(s, p, st.Current)
	if ok, why := raisable(s, p, want); !ok {
		st.Hold = why
		keepUp(s, p)
		return
	}
	resize(s, p, want)
}

// promotable reports whether the canary has all traffic and every gate has
// passed or was skipped.
func promotable(s *Snapshot, p *Plan) bool {
	st := &p.Status
	if st.Step < len(s.Spec.Steps) || len(st.Pauses) > 0 || s.Spec.Paused {
		return false
	}
	if s.Pools[st.Current].Available < s.Spec.Replicas {
		return false
	}
	if s.Spec.Routed && (s.Router == nil || s.Router.Weights.Canary != s.Spec.MaxWeight || !s.canaryIs(st.Current)) {
		return false
	}
	ok, why := guarded(s, p)
	if !ok {
		st.Hold = why
	}
	return ok
}

func promote(p *Plan) {
	st := &p.Status
	st.Stable = st.Current
	p.event(ReasonCompleted, "Rollout completed update to revision "+string(st.Current))
	p.note("promoted: every step is done and the canary has all traffic")
}

// invalid holds everything as it is, but for an abort, which is obeyed, for
// traffic that nobody may receive, and for a stable revision that is too small.
func invalid(s *Snapshot, p *Plan) {
	st := &p.Status
	if st.Stable == "" {
		return
	}
	if st.Current != st.Stable {
		lapse(s, p)
		resteps(s, p)
	}
	if st.Abort && st.Current != st.Stable {
		endRuns(s, p, "the rollout was aborted")
		if s.Spec.Routed && s.Router != nil {
			retreatTraffic(s, p)
		}
	}
	rescue(s, p)
	if s.Spec.Routed && s.Pools[st.Stable].Desired < s.Spec.Replicas && (st.Abort || !s.Spec.DynamicStable) {
		p.Replicas[st.Stable] = s.Spec.Replicas
	}
	p.Wake(s.Now.Add(invalidRetry))
}

// rescue takes back the share of a canary Service that is gone, or that selects
// no revision: users get errors for it, and nobody knows until when.
func rescue(s *Snapshot, p *Plan) {
	st := &p.Status
	if p.Weights != nil || s.Router == nil || !s.Spec.CanaryService || s.Services.Canary != "" || s.Services.Stable != st.Stable {
		return
	}
	if spare := s.Spec.MaxWeight - carries(s, st.Stable); s.Router.Weights.Canary > spare {
		split(s, p, spare)
	}
}

// invalidRetry is how soon a spec that could not be followed is looked at
// again when no watch says that what it lacked has appeared.
const invalidRetry = 20 * time.Second

// weightAt returns the canary's weight while step is at work.
func weightAt(spec Spec, step int) int32 {
	if step >= len(spec.Steps) {
		return spec.MaxWeight
	}
	for i := step; i >= 0; i-- {
		if spec.Steps[i].Kind == StepSetWeight {
			return spec.Steps[i].Weight
		}
	}
	return 0
}

// share returns the pods that weight of max needs, at least least if it needs
// any and never more than replicas.
func share(spec Spec, weight int32) int32 {
	if weight <= 0 || spec.Replicas <= 0 {
		return 0
	}
	n := int32((int64(spec.Replicas)*int64(weight) + int64(spec.MaxWeight) - 1) / int64(spec.MaxWeight))
	return min(max(n, spec.MinPods), spec.Replicas)
}

func (s *Snapshot) canaryIs(r Revision) bool { return !s.Spec.CanaryService || s.Services.Canary == r }

func (s *Snapshot) stableIs(r Revision) bool { return !s.Spec.StableService || s.Services.Stable == r }

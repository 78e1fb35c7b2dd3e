// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

// advance moves to the next step if the one at work is done, and reports
// whether it did.
func advance(s *Snapshot, p *Plan) bool {
	st := &p.Status
	if st.Step >= len(s.Spec.Steps) || s.Spec.Paused || hasPause(st, PauseInconclusive) || hasPause(st, PauseHold) {
		return false
	}
	step := s.Spec.Steps[st.Step]
	var done bool
	switch step.Kind {
	case StepSetWeight:
		done = reached(s, p, step.Weight)
	case StepPause:
		done = rested(s, p, step)
	case StepAnalysis:
		done = passed(s, p)
	}
	if done {
		st.Step++
		p.note("step " + string(step.Kind) + " is done")
	}
	return done
}

// reached reports whether the canary has weight, in pods and in traffic.
func reached(s *Snapshot, p *Plan, weight int32) bool {
	st := &p.Status
	if !s.Spec.Routed {
		return sized(s, p, weight)
	}
	if s.Router == nil || s.Router.Weights.Canary != weight || weight > 0 && !s.canaryIs(st.Current) {
		return false
	}
	return s.Pools[st.Current].Available >= share(s.Spec, weight)
}

// rested reports whether a pause is over. An indefinite one ends only when
// somebody promotes.
func rested(s *Snapshot, p *Plan, step Step) bool {
	st := &p.Status
	for _, pause := range st.Pauses {
		if pause.Reason != PauseStep {
			continue
		}
		if step.Duration <= 0 {
			return false
		}
		if end := pause.Start.Add(step.Duration); s.Now.Before(end) {
			p.Wake(end)
			return false
		}
		unpause(p, PauseStep)
		return true
	}
	pause(s, p, PauseStep)
	if step.Duration > 0 {
		p.Wake(st.Pauses[len(st.Pauses)-1].Start.Add(step.Duration))
	}
	return false
}

// passed reports whether the step's analysis has passed, and starts it when
// the weight that it is to judge is there.
func passed(s *Snapshot, p *Plan) bool {
	st := &p.Status
	if st.StepRun != nil {
		if st.StepRun.Phase == RunSuccessful {
			st.StepRun = nil
			return true
		}
		restart(s, p, &st.StepRun, seen(s.StepRun, st.StepRun), RunKindStep)
		return false
	}
	weight := weightAt(s.Spec, st.Step)
	if !numbered(s, st) || !reachedForAnalysis(s, p, weight) {
		return false
	}
	begin(s, p, &st.StepRun, RunKindStep)
	return false
}

// reachedForAnalysis reports whether weight is programmed and, where it
// desires pods, at least one can be judged.
func reachedForAnalysis(s *Snapshot, p *Plan, weight int32) bool {
	if s.Spec.Routed && (s.Router == nil || s.Router.Weights.Canary != weight) {
		return false
	}
	return desired(s, weight) == 0 || s.Pools[p.Status.Current].Available > 0
}

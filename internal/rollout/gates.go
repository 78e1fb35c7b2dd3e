// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"time"
)

// fallen aborts the attempt when a gate has failed. A verdict counts only from a run that the status names. It comes before
// a promotion that nobody would have asked for, had they seen it.
func fallen(s *Snapshot, p *Plan) {
	st := &p.Status
	if v := s.Verdict; v != nil && names(st, v.Run) {
		fell(s, p, v, v.Message)
		return
	}
	for _, g := range gates(s, p) {
		if g.run == nil || g.run.Phase != RunFailed && g.run.Phase != RunError {
			continue
		}
		g.ref.Phase, g.ref.Message = g.run.Phase, g.run.Message
		v := g.run.Verdict
		if v == nil {
			v = &Verdict{Run: g.run.Name, Message: g.run.Message, At: s.Now}
		}
		fell(s, p, v, fmt.Sprintf("%s %s: %s", g.label, ended(g.run.Phase), g.run.Message))
		return
	}
}

func ended(phase RunPhase) string {
	if phase == RunError {
		return "ended in error"
	}
	return "failed"
}

func fell(s *Snapshot, p *Plan, v *Verdict, message string) {
	st := &p.Status
	for _, ref := range []*RunRef{st.StepRun, st.Background} {
		if ref != nil && ref.Name == v.Run && ref.Phase != RunError {
			ref.Phase, ref.Message = RunFailed, v.Message
		}
	}
	verdict := *v
	if verdict.At.IsZero() {
		verdict.At = s.Now
	}
	abort(s, p, "AnalysisFailed", "")
	verdict.Message = message
	if v.Value != "" {
		verdict.Message += "; last value " + v.Value
	}
	st.Verdict = &verdict
	p.warn(ReasonAborted, abortMessage(s, st))
}

func names(st *Status, run string) bool {
	return st.StepRun != nil && st.StepRun.Name == run || st.Background != nil && st.Background.Name == run
}

// A gate is an analysis that the status names, with its run as observed.
type gate struct {
	label string
	ref   *RunRef
	run   *Run
}

// gates returns the analyses at work, the step's first.
func gates(s *Snapshot, p *Plan) []gate {
	var gs []gate
	if p.Status.StepRun != nil {
		gs = append(gs, gate{"the step's analysis", p.Status.StepRun, seen(s.StepRun, p.Status.StepRun)})
	}
	if p.Status.Background != nil {
		gs = append(gs, gate{"the background analysis", p.Status.Background, seen(s.Background, p.Status.Background)})
	}
	return gs
}

// seen returns run if it is the one that ref names.
func seen(run *Run, ref *RunRef) *Run {
	if run == nil || ref == nil || run.Name != ref.Name {
		return nil
	}
	return run
}

// observeHold copies what the runs say into the status, pauses a rollout whose
// gate is inconclusive or has held for too long, and lifts the pause of a hold
// that is over. People are told once of each hold.
func observeHold(s *Snapshot, p *Plan) {
	st := &p.Status
	held := false
	for _, g := range gates(s, p) {
		observeRun(g)
		if g.ref.Phase == RunInconclusive {
			pause(s, p, PauseInconclusive)
		}
		if !holding(g.run, g.ref) || g.ref == st.Background && st.Waived > st.Step {
			continue
		}
		st.Hold = g.run.Hold
		st.Holding = append(st.Holding, g.run.Name)
		if !slices.Contains(s.Status.Holding, g.run.Name) {
			p.warn(ReasonHold, "The rollout waits: "+g.run.Hold)
		}
		if s.Now.Before(g.run.HoldUntil) {
			p.Wake(g.run.HoldUntil)
			continue
		}
		held = true
		pause(s, p, PauseHold)
	}
	if !held && hasPause(st, PauseHold) {
		unpause(p, PauseHold)
		p.event(ReasonResumed, "Rollout is resumed: the analysis holds no longer")
	}
}

// observeRun copies a run's phase into the status. A run that was seen and is
// gone is inconclusive: deleting it does not pass the gate.
func observeRun(g gate) {
	switch {
	case g.run != nil:
		g.ref.Phase, g.ref.Message = g.run.Phase, g.run.Message
		if g.run.Phase == RunRecorded {
			g.ref.Phase = RunPending
		}
	case g.ref.Phase != RunRecorded && !g.ref.Phase.Done():
		g.ref.Phase = RunInconclusive
		g.ref.Message = fmt.Sprintf("analysis run %q was deleted before it ended", g.ref.Name)
	}
}

func pause(s *Snapshot, p *Plan, reason string) {
	st := &p.Status
	if slices.ContainsFunc(st.Pauses, func(x Pause) bool { return x.Reason == reason }) {
		return
	}
	st.Pauses = append(st.Pauses, Pause{Reason: reason, Start: ceilSecond(s.Now)})
	st.Paused = true
	p.event(ReasonPaused, "Rollout is paused ("+reason+")")
}

func unpause(p *Plan, reason string) {
	st := &p.Status
	n := len(st.Pauses)
	st.Pauses = slices.DeleteFunc(st.Pauses, func(x Pause) bool { return x.Reason == reason })
	if n > 0 && len(st.Pauses) == 0 {
		st.Pauses, st.Paused = nil, false
	}
}

// ceilSecond rounds up to the second that the status can hold, so that a pause
// is never shorter than asked for.
func ceilSecond(t time.Time) time.Time {
	if r := t.Truncate(time.Second); !r.Equal(t) {
		return r.Add(time.Second)
	}
	return t
}

// guarded reports whether the background analysis lets a weight rise, and if
// not, why. It does before it has started, and while a person has waived it.
func guarded(s *Snapshot, p *Plan) (ok bool, why string) {
	st := &p.Status
	if st.Background == nil || st.PromoteFull || st.Waived > st.Step {
		return true, ""
	}
	run := seen(s.Background, st.Background)
	switch {
	case run == nil && st.Background.Phase == RunSuccessful:
		return true, ""
	case run == nil:
		return false, fmt.Sprintf("waiting for background analysis %s to start", st.Background.Name)
	case run.Phase == RunSuccessful || !run.Phase.Done() && run.GuardReady:
		return true, ""
	default:
		return false, fmt.Sprintf("waiting for background analysis %s: %s", run.Name, run.GuardWhy)
	}
}

// raisable reports whether the canary's weight may rise to want, as far as
// gates and people are concerned. A guard is blind without traffic, so it does
// not hold back the first of it, nor the first after the canary lost its pods.
func raisable(s *Snapshot, p *Plan, want int32) (ok bool, why string) {
	held := heldWeight(s, p)
	switch {
	case want <= held:
		return true, ""
	case s.Spec.Paused:
		return false, "manually paused"
	case held == 0 && !hasPause(&p.Status, PauseInconclusive):
		return true, ""
	}
	return guarded(s, p)
}

// heldWeight is the weight that the canary has now. Without traffic routing it
// is the one before the step at work, which its pods were counted for, and none
// without a pod.
func heldWeight(s *Snapshot, p *Plan) int32 {
	st := &p.Status
	switch {
	case s.Spec.Routed && s.Router == nil:
		return 0
	case s.Spec.Routed:
		return s.Router.Weights.Canary
	case s.Pools[st.Current].Available == 0:
		return 0
	case st.Step == 0:
		return 1
	}
	return max(1, weightAt(s.Spec, st.Step-1))
}

// startBackground starts the background analysis once the canary has traffic,
// and again when another controller had ended it early.
func startBackground(s *Snapshot, p *Plan) {
	st := &p.Status
	if !s.Spec.Background || st.PromoteFull || st.Step < s.Spec.BackgroundFrom || st.Background == nil && hasPause(st, PauseInconclusive) {
		return
	}
	if run := seen(s.Background, st.Background); run != nil && run.Unfinished {
		st.Background = nil
	}
	if st.Background != nil {
		restart(s, p, &st.Background, seen(s.Background, st.Background), RunKindBackground)
		return
	}
	if guardable(s, p) {
		begin(s, p, &st.Background, RunKindBackground)
	}
}

// guardable reports whether the canary has traffic that can be measured.
func guardable(s *Snapshot, p *Plan) bool {
	st := &p.Status
	return numbered(s, st) && heldWeight(s, p) > 0 && (!s.Spec.Routed || s.canaryIs(st.Current)) && s.Pools[st.Current].Available > 0
}

// numbered reports whether the number is known that a run is named after: its
// ReplicaSet was seen and has one.
func numbered(s *Snapshot, st *Status) bool { return s.Pools[st.Current].Number > 0 }

func hasPause(st *Status, reason string) bool {
	return slices.ContainsFunc(st.Pauses, func(x Pause) bool { return x.Reason == reason })
}

// begin names a new run in the status and asks for it.
func begin(s *Snapshot, p *Plan, ref **RunRef, kind RunKind) {
	st := &p.Status
	base := fmt.Sprintf("%s-%s-%d", s.Name, st.Current, s.Pools[st.Current].Number)
	if kind == RunKindStep {
		base = fmt.Sprintf("%s-%d", base, st.Step)
	}
	name := base
	for n := 1; s.RunNames[name]; n++ {
		name = fmt.Sprintf("%s.%d", base, n)
	}
	*ref = &RunRef{Name: name}
	p.Start = append(p.Start, StartRun{Name: name, Kind: kind, Step: st.Step})
}

// restart asks again for a run that was recorded and never made, and gives it
// another name when the name turned out to be taken by somebody else's.
func restart(s *Snapshot, p *Plan, ref **RunRef, run *Run, kind RunKind) {
	asked := func(x StartRun) bool { return x.Name == (*ref).Name }
	switch {
	case run != nil || (*ref).Phase != RunRecorded || slices.ContainsFunc(p.Start, asked):
	case s.RunNames[(*ref).Name]:
		begin(s, p, ref, kind)
	default:
		p.Start = append(p.Start, StartRun{Name: (*ref).Name, Kind: kind, Step: p.Status.Step})
	}
}

// endRuns asks that the runs of this attempt stop.
func endRuns(s *Snapshot, p *Plan, why string) {
	stop(s, p, p.Status.StepRun, s.StepRun, why)
	stop(s, p, p.Status.Background, s.Background, why)
}

// stopStrays asks again that runs stop which nothing waits for any more.
func stopStrays(s *Snapshot, p *Plan) {
	for _, name := range s.Strays {
		if slices.ContainsFunc(p.Stop, func(x StopRun) bool { return x.Name == name }) {
			continue
		}
		p.Stop = append(p.Stop, StopRun{Name: name, Why: "the rollout has moved on"})
	}
}

func stop(_ *Snapshot, p *Plan, ref *RunRef, run *Run, why string) {
	if r := seen(run, ref); r == nil || r.Phase.Done() {
		return
	}
	if slices.ContainsFunc(p.Stop, func(x StopRun) bool { return x.Name == ref.Name }) {
		return
	}
	p.Stop = append(p.Stop, StopRun{Name: ref.Name, Why: why})
}

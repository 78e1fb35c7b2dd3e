// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/sim"
)

// A ghost remembers what the world cannot forget and Decide must not rely on:
// what really happened in this attempt.
type ghost struct {
	// fallen says that a gate of this attempt failed, or that it was aborted.
	fallen bool
	// passed are the analysis steps that passed in this attempt, as bits.
	passed uint16
	// retry says that somebody asked for a new attempt.
	retry bool
	// skips is how many skips were recorded before this attempt.
	skips int
	// waits is when a pass last found that nothing waited for pods. It is kept
	// where there is a progress deadline.
	waits time.Time
}

// A flow is the traffic of each revision, in parts of MaxWeight.
type flow map[rollout.Revision]int32

// flowOf is the traffic that Services and weights give to each revision.
func flowOf(spec rollout.Spec, sv rollout.Services, w rollout.Weights) flow {
	f := flow{}
	if spec.StableService {
		f[sv.Stable] += w.Stable
	}
	if spec.CanaryService {
		f[sv.Canary] += w.Canary
	}
	return f
}

// flowsAfter are the flows that any subset of the plan's writes can leave.
func flowsAfter(s rollout.Snapshot, p rollout.Plan) []flow {
	weights := []rollout.Weights{s.Router.Weights}
	if p.Weights != nil {
		weights = append(weights, *p.Weights)
	}
	stable, canary := []rollout.Revision{s.Services.Stable}, []rollout.Revision{s.Services.Canary}
	if p.Services.Stable != "" {
		stable = append(stable, p.Services.Stable)
	}
	if p.Services.Canary != "" {
		canary = append(canary, p.Services.Canary)
	}
	var fs []flow
	for _, w := range weights {
		for _, st := range stable {
			for _, ca := range canary {
				fs = append(fs, flowOf(s.Spec, rollout.Services{Stable: st, Canary: ca}, w))
			}
		}
	}
	return fs
}

// enough reports whether pods can serve weight.
func enough(spec rollout.Spec, pods, weight int32) bool {
	return int64(pods)*int64(spec.MaxWeight) >= int64(weight)*int64(spec.Replicas)
}

// violation returns the first invariant that p breaks, in words, or "". Each
// is stated here anew: calling a helper of the code would let a bug in it
// excuse itself.
func violation(s rollout.Snapshot, p rollout.Plan, g ghost) string {
	for _, check := range []func(rollout.Snapshot, rollout.Plan, ghost) string{
		sane, patient, carried, fallenStays, stableStays, podsStay, podsShare, gatesFirst, abortMoves, cleanEnd, restartsGently, restartsEnd,
	} {
		if v := check(s, p, g); v != "" {
			return v
		}
	}
	return ""
}

// sane: what holds of any Plan at all.
func sane(s rollout.Snapshot, p rollout.Plan, g ghost) string {
	st := p.Status
	switch {
	case !p.WakeAt.IsZero() && !p.WakeAt.After(s.Now):
		return "wakes in the past"
	case p.Weights != nil && (p.Weights.Stable+p.Weights.Canary != s.Spec.MaxWeight || p.Weights.Canary < 0 || p.Weights.Stable < 0):
		return fmt.Sprintf("weights %v are no split", *p.Weights)
	case len(s.Problems) == 0 && (st.Step < 0 || st.Step > len(s.Spec.Steps)):
		return fmt.Sprintf("step %d of %d", st.Step, len(s.Spec.Steps))
	case st.Attempt != s.Status.Attempt && st.Current == s.Status.Current && !g.retry:
		return "a new attempt that nobody asked for"
	case st.Phase == "":
		return "no phase"
	case st.Phase != rollout.Healthy && st.Message == "":
		return "neither healthy nor a reason"
	}
	for i, x := range p.Start {
		if slices.ContainsFunc(p.Start[:i], func(y rollout.StartRun) bool { return x.Name == y.Name }) {
			return "starts " + x.Name + " twice"
		}
	}
	for r, n := range p.Replicas {
		if n < 0 || r == "" {
			return fmt.Sprintf("%d pods of %q", n, r)
		}
	}
	for _, r := range p.Prune {
		if pool := s.Pools[r]; pool.Desired > 0 || pool.Total > 0 || r == st.Stable || r == st.Current {
			return fmt.Sprintf("prunes %s", r)
		}
	}
	return ""
}

// carried is I1: our writes raise no revision's traffic beyond what its
// available pods can serve; the stable revision takes everything, for there is
// nowhere better to send it.
func carried(s rollout.Snapshot, p rollout.Plan, _ ghost) string {
	if s.Router == nil {
		return ""
	}
	before := flowOf(s.Spec, s.Services, s.Router.Weights)
	for _, after := range flowsAfter(s, p) {
		for r, w := range after {
			if w <= before[r] || r == "" || r == p.Status.Stable && r == s.Status.Stable && !s.Spec.DynamicStable {
				continue
			}
			if !enough(s.Spec, s.Pools[r].Available, w) {
				return fmt.Sprintf("I1: %s goes from %d to %d with %d of %d pods", r, before[r], w, s.Pools[r].Available, s.Spec.Replicas)
			}
		}
	}
	return ""
}

// fallenStays is I2: a revision that failed its gate gets no traffic again.
func fallenStays(s rollout.Snapshot, p rollout.Plan, g ghost) string {
	if !g.fallen || p.Status.Current != s.Status.Current || p.Status.Attempt != s.Status.Attempt {
		return ""
	}
	if p.Status.Stable != s.Status.Stable {
		return "I2: promotes a revision that failed its gate"
	}
	if !s.Spec.Routed && p.Replicas[s.Status.Current] > s.Pools[s.Status.Current].Desired {
		return "I2: more pods for a revision that failed its gate"
	}
	if s.Router == nil {
		return ""
	}
	before := flowOf(s.Spec, s.Services, s.Router.Weights)
	for _, after := range flowsAfter(s, p) {
		if r := s.Status.Current; after[r] > before[r] {
			return fmt.Sprintf("I2: %s failed its gate and goes from %d to %d", r, before[r], after[r])
		}
	}
	return ""
}

// stableStays is I4: the stable revision keeps its size while another climbs
// or falls.
func stableStays(s rollout.Snapshot, p rollout.Plan, _ ghost) string {
	st := p.Status
	if !s.Spec.Routed || st.Stable == "" || st.Stable != s.Status.Stable || s.Spec.DynamicStable {
		return ""
	}
	n, ok := p.Replicas[st.Stable]
	if !ok {
		n = s.Pools[st.Stable].Desired
	}
	if n < s.Spec.Replicas && s.Router != nil {
		return fmt.Sprintf("I4: stable %s has %d pods of %d", st.Stable, n, s.Spec.Replicas)
	}
	return ""
}

// podsStay: pods that carry traffic, now or after any subset of the writes,
// are not scaled away.
func podsStay(s rollout.Snapshot, p rollout.Plan, _ ghost) string {
	if !s.Spec.Routed {
		return ""
	}
	for r, n := range p.Replicas {
		if n >= s.Pools[r].Desired {
			continue
		}
		if s.Router == nil {
			if n < s.Spec.Replicas {
				return fmt.Sprintf("scales %s down to %d without seeing the router", r, n)
			}
			continue
		}
		for _, f := range append(flowsAfter(s, p), flowOf(s.Spec, s.Services, s.Router.Weights)) {
			if !enough(s.Spec, n, f[r]) {
				return fmt.Sprintf("I4: %s carries %d and is scaled from %d to %d", r, f[r], s.Pools[r].Desired, n)
			}
		}
	}
	return ""
}

// podsShare is what holds without a router, where pods are the traffic: no
// subset of the writes leaves too few pods available, or makes too many.
func podsShare(s rollout.Snapshot, p rollout.Plan, _ ghost) string {
	if s.Spec.Routed {
		return ""
	}
	var before, after, was, will int32
	for r, pool := range s.Pools {
		n, ok := p.Replicas[r]
		if !ok {
			n = pool.Desired
		}
		before += pool.Available
		after += min(pool.Available, n)
		was += pool.Desired
		will += max(pool.Desired, n)
	}
	for r, n := range p.Replicas {
		if _, ok := s.Pools[r]; !ok {
			will += n
		}
	}
	if after < min(before, s.Spec.Replicas-max(s.Spec.MaxUnavailable, 1-s.Spec.MaxSurge)) {
		return fmt.Sprintf("I4: %d pods available of %d after %d", after, s.Spec.Replicas, before)
	}
	if will > max(was, s.Spec.Replicas+s.Spec.MaxSurge) {
		return fmt.Sprintf("%d pods where %d are asked for, surge %d", will, s.Spec.Replicas, s.Spec.MaxSurge)
	}
	return ""
}

// patient: the progress deadline runs only while the rollout waits for pods or
// for the traffic that follows them.
func patient(s rollout.Snapshot, p rollout.Plan, g ghost) string {
	st := p.Status
	timedOut := strings.HasPrefix(st.Message, "ProgressDeadlineExceeded") || st.Abort && st.Reason == "ProgressDeadlineExceeded" && !s.Status.Abort
	if timedOut && s.Now.Sub(g.waits) <= s.Spec.ProgressDeadline-time.Second { // a status holds whole seconds
		return "the progress deadline ran while nothing waited for pods"
	}
	return ""
}

// gatesFirst is I3: a revision gets everything only after each gate before it
// passed, or a skip of it is recorded.
func gatesFirst(s rollout.Snapshot, p rollout.Plan, g ghost) string {
	st := p.Status
	if s.Status.Stable == "" || st.Current == s.Status.Stable {
		return ""
	}
	started := s.Status.Background != nil && st.StepsHash == s.Status.StepsHash || st.Background != nil
	until := 0
	switch {
	case st.Stable != s.Status.Stable:
		until = len(s.Spec.Steps)
	case !s.Spec.Routed && taken(p, st.Stable) && s.Pools[st.Stable].Desired > 0:
		until = st.Step
	case p.Weights != nil && p.Weights.Canary == s.Spec.MaxWeight && (s.Router.Weights.Canary < s.Spec.MaxWeight):
		until = st.Step
	case p.Weights != nil && p.Weights.Canary > s.Router.Weights.Canary && s.Router.Weights.Canary > 0 && started:
		return guardFirst(s, p, g)
	default:
		return ""
	}
	for i, step := range s.Spec.Steps[:until] {
		if step.Kind == rollout.StepAnalysis && g.passed&(1<<i) == 0 && !skipped(p, g, i, string(rollout.StepAnalysis)) {
			return fmt.Sprintf("I3: step %d was not passed", i)
		}
	}
	if st.Stable != s.Status.Stable || s.Spec.Routed && s.Router.Weights.Canary > 0 && started {
		return guardFirst(s, p, g)
	}
	return ""
}

// taken reports whether p removes all pods of r.
func taken(p rollout.Plan, r rollout.Revision) bool {
	n, ok := p.Replicas[r]
	return ok && n == 0
}

func guardFirst(s rollout.Snapshot, p rollout.Plan, g ghost) string {
	run, ref := s.Background, p.Status.Background
	ready := run != nil && ref != nil && run.Name == ref.Name && run.GuardReady && (run.Phase == rollout.RunRunning || run.Phase == rollout.RunSuccessful)
	if !s.Spec.Background || s.Spec.BackgroundFrom > len(s.Spec.Steps) || ready || s.Spec.Replicas == 0 {
		return ""
	}
	for i := range len(s.Spec.Steps) + 1 {
		if skipped(p, g, i, "background analysis") {
			return ""
		}
	}
	if skipped(p, g, len(s.Spec.Steps), "all remaining steps") {
		return ""
	}
	return "I3: the background guard was not ready"
}

// skipped reports whether this attempt recorded a skip of what at step, or of
// everything from an earlier step on.
func skipped(p rollout.Plan, g ghost, step int, what string) bool {
	for _, x := range p.Status.Skipped[min(g.skips, len(p.Status.Skipped)):] {
		if x.Step == step && x.What == what || x.Step <= step && x.What == "all remaining steps" {
			return true
		}
	}
	return false
}

// abortMoves is I7: an abort moves the traffic in the same pass, whatever else
// is wrong, as long as the router can be read.
func abortMoves(s rollout.Snapshot, p rollout.Plan, _ ghost) string {
	st := p.Status
	if !st.Abort || s.Router == nil || st.Current == st.Stable || st.Stable == "" || s.Router.Weights.Canary == 0 || s.Services.Canary == st.Stable {
		return ""
	}
	if s.Spec.DynamicStable {
		spare := enough(s.Spec, s.Pools[st.Stable].Available, s.Router.Weights.Stable+1)
		if spare && (p.Weights == nil || p.Weights.Canary >= s.Router.Weights.Canary) {
			return "I7: an abort moves nothing although stable has room"
		}
		return ""
	}
	if p.Weights == nil || p.Weights.Canary != 0 {
		return "I7: an abort leaves traffic on the canary"
	}
	return ""
}

// cleanEnd: at the end the weights go back only when the stable Service's
// pods are the new revision's.
func cleanEnd(s rollout.Snapshot, p rollout.Plan, _ ghost) string {
	st := p.Status
	if s.Router == nil || p.Weights == nil || st.Stable != st.Current || p.Weights.Stable <= s.Router.Weights.Stable {
		return ""
	}
	if !s.Router.StableClean && s.Services.Canary == st.Stable {
		return "the weights go back before the stable Service's pods are the new ones"
	}
	return ""
}

// step lets the ghost see a committed pass.
func (g ghost) step(s rollout.Snapshot, p rollout.Plan) ghost {
	before, after := s.Status, p.Status
	if before.Current != after.Current || before.Attempt != after.Attempt {
		g = ghost{waits: s.Now}
		if before.Current == after.Current {
			g.skips = len(before.Skipped)
		}
	}
	if before.StepsHash != after.StepsHash && before.StepsHash != "" {
		g.passed = 0
	}
	if after.Abort {
		g.fallen = true
	}
	if s.Spec.ProgressDeadline == 0 {
		g.waits = time.Time{}
		return g
	}
	pool := s.Pools[after.Current]
	lacks := pool.Available < pool.Desired || pool.Available < p.Replicas[after.Current]
	if !lacks && p.Weights == nil && after.Current != after.Stable || after.Phase == rollout.Paused || before.Step != after.Step {
		g.waits = s.Now
	}
	return g
}

// fair moves the world by one deterministic step in which nothing goes wrong:
// a whole pass; when a pass changes nothing, everything that can get ready
// does; when nothing can, time passes to the hour the plan asked for. It
// reports whether anything moved.
func fair(w *sim.World) (moved bool, problem string) {
	s := w.Snapshot()
	p := rollout.Decide(s)
	if v := violation(s, p, ghost{passed: 0xffff, retry: true}); v != "" {
		return false, v
	}
	status := sim.Stored(p.Status)
	changed := !same(status, w.Status)
	writes := w.Writes(p)
	if len(p.Events) > 0 && !changed {
		return false, fmt.Sprintf("an event on a pass that changes no status: %v", p.Events)
	}
	w.Apply(p, nil)
	if changed || len(writes) > 0 {
		return true, ""
	}
	if ready(w) {
		return true, ""
	}
	if p.WakeAt.IsZero() {
		return false, ""
	}
	w.Now = p.WakeAt
	return true, ""
}

// ready lets everything that the rollout waits for come true at once.
func ready(w *sim.World) bool {
	moved := false
	for r := range w.Pools {
		for w.PodUp(r) {
			moved = true
		}
	}
	if w.Endpoints != w.Services.Stable {
		w.Endpoints, moved = w.Services.Stable, true
	}
	if w.Problems != nil {
		w.Problems, moved = nil, true
	}
	calm := func(r *sim.Run) {
		if !r.HoldUntil.IsZero() {
			r.HoldUntil, moved = time.Time{}, true
		}
		sees := w.Router == nil && w.Pools[r.Revision].Available > 0 || w.Router != nil && w.Router.Weights.Canary > 0 && w.Services.Canary == r.Revision
		if r.Kind == rollout.RunKindBackground && !r.Ready && sees {
			r.Ready, moved = true, true
		}
	}
	w.SetRun(w.Status.Background, calm)
	w.SetRun(w.Status.StepRun, calm)
	if !moved && w.End(w.Status.StepRun, rollout.RunSuccessful, "") {
		moved = true
	}
	return moved
}

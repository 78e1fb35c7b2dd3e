// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"maps"
	"time"

	"sluice.dev/sluice/internal/rollout"
)

// PodUp makes one more pod of r available, and reports whether one could be.
func (w *World) PodUp(r rollout.Revision) bool {
	pool := w.Pools[r]
	if pool.Available >= pool.Desired {
		return false
	}
	pool.Ready++
	pool.Available++
	if old := w.Old[r]; old.Down > 0 && old.Down == pool.Desired-pool.Available+1 {
		setOld(w, r, Old{Up: old.Up + 1, Down: old.Down - 1}) // no younger one is left
	}
	setPool(w, r, pool)
	return true
}

// PodDown makes one pod of r unavailable, and reports whether one was.
func (w *World) PodDown(r rollout.Revision) bool {
	pool := w.Pools[r]
	if pool.Available == 0 {
		return false
	}
	pool.Ready--
	pool.Available--
	if old := w.Old[r]; old.Up > 0 {
		setOld(w, r, Old{Up: old.Up - 1, Down: old.Down + 1})
	}
	setPool(w, r, pool)
	return true
}

// Ask changes the spec: a new generation.
func (w *World) Ask(change func(*rollout.Spec)) {
	change(&w.Spec)
	w.Seen = false
}

// SetRun changes the run that ref names, and reports whether there is one that
// has not ended.
func (w *World) SetRun(ref *rollout.RunRef, change func(*Run)) bool {
	if ref == nil {
		return false
	}
	r, ok := w.Runs[ref.Name]
	if !ok || r.Phase.Done() {
		return false
	}
	change(&r)
	setRun(w, ref.Name, r)
	return true
}

// End ends the run that ref names with phase.
func (w *World) End(ref *rollout.RunRef, phase rollout.RunPhase, message string) bool {
	return w.SetRun(ref, func(r *Run) { r.Phase, r.Message, r.HoldUntil = phase, message, time.Time{} })
}

// Forget deletes the run that ref names, and reports whether there was one.
func (w *World) Forget(ref *rollout.RunRef) bool {
	if ref == nil {
		return false
	}
	_, ok := w.Runs[ref.Name]
	w.Runs = maps.Clone(w.Runs)
	delete(w.Runs, ref.Name)
	return ok
}

// Abort is the patch of the abort command.
func (w *World) Abort() { w.Status.Abort = true }

// Retry is the patch of the retry command.
func (w *World) Retry() { w.Status.Abort = false }

// PromoteFull is the patch of the promote command with --full.
func (w *World) PromoteFull() {
	if w.Status.Current != w.Status.Stable {
		w.Status.PromoteFull = true
	}
	unpause(w)
}

// Promote is the patch of the promote command.
func (w *World) Promote() {
	st := &w.Status
	unpause(w)
	next := min(st.Step+1, len(w.Spec.Steps))
	switch {
	case st.StepRun != nil && st.StepRun.Phase == rollout.RunInconclusive:
		st.Pauses, st.Paused, st.Step = nil, false, next
	case len(st.Pauses) > 0:
		st.Pauses = nil
	default:
		st.Pauses, st.Step = nil, next
	}
}

func unpause(w *World) {
	if w.Spec.Paused {
		w.Ask(func(s *rollout.Spec) { s.Paused = false })
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"sluice.dev/sluice/internal/rollout"
)

// Old counts the pods of a revision that were there when a restart was asked
// for: those that are available and those that are not.
type Old struct{ Up, Down int32 }

// Restart asks that every pod be replaced that is there now. Times in the API
// are whole seconds: twice in one second is once.
func Restart(w *World) {
	at := w.Now.Truncate(time.Second)
	if w.Spec.RestartAt.Equal(at) {
		return
	}
	w.Ask(func(s *rollout.Spec) { s.RestartAt = at })
	w.Old = map[rollout.Revision]Old{}
	for r, pool := range w.Pools {
		w.Old[r] = Old{Up: pool.Available, Down: pool.Desired - pool.Available}
	}
}

// Refuse lets a disruption budget forbid evictions of r's pods for a while.
func Refuse(w *World, r rollout.Revision, d time.Duration) {
	w.Refused = maps.Clone(w.Refused)
	if w.Refused == nil {
		w.Refused = map[rollout.Revision]time.Time{}
	}
	w.Refused[r] = w.Now.Add(d)
}

// restart is what a restart that is due would observe of w.
func restart(w World, s *rollout.Snapshot) *rollout.Restart {
	if !s.RestartDue() || len(s.Problems) > 0 {
		return nil
	}
	out := &rollout.Restart{}
	for _, r := range sorted(w.Pools) {
		pool, old := w.Pools[r], w.Old[r]
		add := func(kind string, n int32, created, available time.Time) {
			for i := range n {
				out.Pods = append(out.Pods, rollout.Pod{
					Name: fmt.Sprintf("%s/%s/%d", r, kind, i), Revision: r, Created: created, AvailableAt: available,
				})
			}
		}
		before := s.Spec.RestartAt.Add(-time.Second)
		add("up", old.Up, before, before)
		add("down", old.Down, before, time.Time{})
		add("new", pool.Available-old.Up, s.Spec.RestartAt, s.Now)
		add("coming", pool.Desired-pool.Available-old.Down, s.Spec.RestartAt, time.Time{})
		if until, ok := w.Refused[r]; ok && w.Now.Before(until) {
			if out.Refused == nil {
				out.Refused = map[rollout.Revision]rollout.Refusal{}
			}
			out.Refused[r] = rollout.Refusal{Why: "the disruption budget web needs 2 healthy pods", Until: until}
		}
	}
	return out
}

// evict replaces an old pod by one that is not available yet.
func evict(w *World, name string) {
	r, kind, _ := strings.Cut(name, "/")
	revision := rollout.Revision(r)
	old, pool := w.Old[revision], w.Pools[revision]
	switch {
	case strings.HasPrefix(kind, "up") && old.Up > 0:
		old.Up--
		pool.Ready--
		pool.Available--
	case strings.HasPrefix(kind, "down") && old.Down > 0:
		old.Down--
	}
	setOld(w, revision, old)
	setPool(w, revision, pool)
}

func setOld(w *World, r rollout.Revision, old Old) {
	w.Old = maps.Clone(w.Old)
	if w.Old == nil {
		w.Old = map[rollout.Revision]Old{}
	}
	w.Old[r] = old
}

// age lets the old pods of r follow its pool, from which pods were taken: those
// that are not available go first, and the old ones before the new.
func age(w *World, r rollout.Revision) {
	old, ok := w.Old[r]
	if !ok {
		return
	}
	pool := w.Pools[r]
	setOld(w, r, Old{Up: min(old.Up, pool.Available), Down: min(old.Down, pool.Desired-pool.Available)})
}

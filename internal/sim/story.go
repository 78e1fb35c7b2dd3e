// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice.dev/sluice/internal/rollout"
)

// A Story plays a world forward and tells what happens, a line for each pass
// that changed something and for each thing that happened in between.
type Story struct {
	World World
	// PodDelay is how long a pod takes to become available.
	PodDelay time.Duration
	// Started is called for each analysis run that starts; nil lets every run
	// do nothing.
	Started func(s *Story, name string, r Run)

	agenda []event
	seen   map[string]bool
	coming map[rollout.Revision]bool
	text   strings.Builder
}

// An event is something that will happen.
type event struct {
	at   time.Time
	what string
	do   func(*World) bool
}

// After lets do happen d from now; what tells it, if do reports that it could
// happen.
func (s *Story) After(d time.Duration, what string, do func(*World) bool) {
	s.agenda = append(s.agenda, event{s.World.Now.Add(d), what, do})
	slices.SortStableFunc(s.agenda, func(a, b event) int { return a.at.Compare(b.at) })
}

// Text returns what has been told so far.
func (s *Story) Text() string { return s.text.String() }

// Note tells one line more.
func (s *Story) Note(line string) { fmt.Fprintf(&s.text, "%s\n", line) }

// Play goes on until nothing is left to happen and returns the number of
// passes it took, or most if that is not enough.
func (s *Story) Play(most int) int {
	for n := range most {
		if s.pass() {
			continue
		}
		if !s.pastime() {
			return n
		}
	}
	return most
}

// pass makes one pass and reports whether it changed anything.
func (s *Story) pass() bool {
	w := &s.World
	p := rollout.Decide(w.Snapshot())
	writes, before := w.Writes(p), line(*w)
	w.Apply(p, nil)
	if len(writes) == 0 && line(*w) == before {
		s.wake(p)
		return false
	}
	s.Note(Line(*w))
	for _, e := range p.Events {
		s.Note("         > " + e.Message)
	}
	s.wake(p)
	s.react()
	return true
}

// line is Line without the time.
func line(w World) string {
	w.Now = time.Time{}
	return Line(w)
}

// wake puts the hour at which the plan wants to look again on the agenda.
func (s *Story) wake(p rollout.Plan) {
	s.agenda = slices.DeleteFunc(s.agenda, func(e event) bool { return e.do == nil })
	if !p.WakeAt.IsZero() {
		s.After(p.WakeAt.Sub(s.World.Now), "", nil)
	}
}

// react lets the world answer what the pass wrote.
func (s *Story) react() {
	w := &s.World
	if s.coming == nil {
		s.coming, s.seen = map[rollout.Revision]bool{}, map[string]bool{}
	}
	for _, r := range sorted(w.Pools) {
		if w.Pools[r].Available < w.Pools[r].Desired && !s.coming[r] {
			s.coming[r] = true
			s.After(s.PodDelay, "the pods of "+string(r)+" are available", func(w *World) bool {
				s.coming[r] = false
				up := false
				for w.PodUp(r) {
					up = true
				}
				return up
			})
		}
	}
	if to := w.Services.Stable; w.Endpoints != to {
		s.After(time.Second, "the stable Service's endpoints are pods of "+string(to), func(w *World) bool {
			moved := w.Endpoints != to
			w.Endpoints = to
			return moved
		})
	}
	for name, r := range w.Runs {
		if !s.seen[name] {
			s.seen[name] = true
			if s.Started != nil {
				s.Started(s, name, r)
			}
		}
	}
}

// pastime lets time pass to the next thing that happens, and reports whether
// there was one.
func (s *Story) pastime() bool {
	if len(s.agenda) == 0 {
		return false
	}
	next := s.agenda[0]
	s.agenda = s.agenda[1:]
	if s.World.Now.Before(next.at) {
		s.World.Now = next.at
	}
	if next.do != nil && next.do(&s.World) {
		s.Note(s.World.Now.Format(time.TimeOnly) + " - " + next.what)
	}
	return true
}

// Line tells the world in one line: the time, the step, where the traffic is,
// the pods available of those wanted, what each Service selects, the phase and
// its message.
func Line(w World) string {
	st := w.Status
	var b strings.Builder
	fmt.Fprintf(&b, "%s step %d/%d", w.Now.Format(time.TimeOnly), st.Step, len(w.Spec.Steps))
	if w.Router != nil {
		fmt.Fprintf(&b, " weights %d/%d", w.Router.Weights.Stable, w.Router.Weights.Canary)
	}
	b.WriteString(" pods")
	for _, r := range sorted(w.Pools) {
		fmt.Fprintf(&b, " %s=%d/%d", r, w.Pools[r].Available, w.Pools[r].Desired)
		if !w.Pools[r].Deadline.IsZero() {
			b.WriteByte('!')
		}
	}
	if w.Spec.StableService || w.Spec.CanaryService {
		fmt.Fprintf(&b, " services %s/%s", none(w.Services.Stable), none(w.Services.Canary))
	}
	fmt.Fprintf(&b, " %s", st.Phase)
	if st.Message != "" {
		fmt.Fprintf(&b, ": %s", st.Message)
	}
	return b.String()
}

func none(r rollout.Revision) string {
	if r == "" {
		return "-"
	}
	return string(r)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package outbox decides what people are still to be told about a Rollout, in
// which order, when to try again and when to give up. All it remembers is in the
// Rollout's status. It sends nothing, and it does not know who wants to be told
// what (package notify does).
package outbox

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/fit"
)

// The bounds of what is stored.
const (
	MaxNotices = 40
	maxDead    = 10
	maxAborts  = 10
	maxOnce    = 20
	maxText    = 1024
)

// An Event is something that happened, before it is known whether anybody
// wants to be told.
type Event struct {
	Reason, Message string
	// Run is the AnalysisRun that it is about, if there is one.
	Run string
}

// Add puts events into the outbox of after, which is what the Rollout is going
// to be; before is what it was. Of those events that nobody wants to be told
// only an abort leaves a trace: who is told of the recovery may be another.
func Add(before, after *v1alpha1.Rollout, events []Event, wanted func(reason string) bool, now time.Time) {
	if after.Status.Sluice == nil {
		return
	}
	box := after.Status.Sluice.Outbox.DeepCopy()
	if box == nil {
		box = &v1alpha1.Outbox{}
	}
	a := adding{box: box, ro: after, now: metav1.NewTime(now), wanted: wanted}
	for _, e := range events {
		if e.Reason == v1alpha1.EventRolloutAborted {
			a.aborted()
		}
		a.add(e)
	}
	if recovered(before, after, box) {
		a.recovered()
	}
	if a.changed {
		after.Status.Sluice.Outbox = box
	}
}

// recovered reports whether the Rollout is Healthy for the first time after an
// abort.
func recovered(before, after *v1alpha1.Rollout, box *v1alpha1.Outbox) bool {
	return len(box.Aborts) > 0 && after.Status.Phase == v1alpha1.RolloutPhaseHealthy &&
		before.Status.Phase != v1alpha1.RolloutPhaseHealthy && !after.Status.Abort
}

type adding struct {
	box     *v1alpha1.Outbox
	ro      *v1alpha1.Rollout
	now     metav1.Time
	wanted  func(string) bool
	changed bool
}

// Attempt names an attempt at a revision.
func Attempt(revision string, attempt int32) string {
	return fmt.Sprintf("%s:%d", revision, max(attempt, 1))
}

func (a *adding) aborted() {
	id := Attempt(a.ro.Status.CurrentPodHash, a.ro.Status.Sluice.Attempt)
	if slices.Contains(a.box.Aborts, id) {
		return
	}
	a.box.Aborts = last(append(a.box.Aborts, id), maxAborts)
	a.changed = true
}

func (a *adding) recovered() {
	aborts := a.box.Aborts
	a.box.Aborts, a.changed = nil, true
	n := len(a.box.Notices)
	a.add(Event{Reason: v1alpha1.EventRolloutRecovered, Message: "Rollout is healthy again after an aborted update"})
	if len(a.box.Notices) > n {
		a.box.Notices[n].Recovers = aborts
	}
}

func (a *adding) add(e Event) {
	if !a.wanted(e.Reason) || a.repeats(e) {
		return
	}
	st := &a.ro.Status
	a.box.Last++
	a.box.Notices = append(a.box.Notices, v1alpha1.Notice{
		Number: a.box.Last, Reason: e.Reason, Message: clip(e.Message), At: a.now,
		Revision: st.CurrentPodHash, Attempt: st.Sluice.Attempt, Phase: st.Phase, Run: e.Run,
	})
	a.changed = true
	a.bound()
}

// repeats reports whether e is the newest notice once more: a write that was
// lost is decided on again, and said again.
func (a *adding) repeats(e Event) bool {
	n := len(a.box.Notices)
	if n == 0 {
		return false
	}
	was := &a.box.Notices[n-1]
	return was.Reason == e.Reason && was.Message == clip(e.Message) && was.Run == e.Run &&
		was.Revision == a.ro.Status.CurrentPodHash && was.Attempt == a.ro.Status.Sluice.Attempt && e.Reason == v1alpha1.EventScalingReplicaSet
}

// bound gives up the oldest notice when too many wait, but aborts and
// recoveries last: a chat that is away for a day must not cost an incident.
func (a *adding) bound() {
	if len(a.box.Notices) <= MaxNotices {
		return
	}
	i := max(slices.IndexFunc(a.box.Notices, func(n v1alpha1.Notice) bool { return !Vital(n.Reason) }), 0)
	n := a.box.Notices[i]
	a.box.Notices = slices.Delete(a.box.Notices, i, i+1)
	a.box.Dead = last(append(a.box.Dead, v1alpha1.DeadNotice{
		Number: n.Number, Reason: n.Reason, Revision: n.Revision, At: a.now,
		Why: fmt.Sprintf("more than %d notices waited", MaxNotices),
	}), maxDead)
}

// Vital reports whether a notice is about an abort or its end.
func Vital(reason string) bool {
	return reason == v1alpha1.EventRolloutAborted || reason == v1alpha1.EventRolloutRecovered
}

// last returns the last n of s.
func last[T any](s []T, n int) []T { return s[max(len(s)-n, 0):] }

// clip bounds a text without cutting a character in two.
func clip(s string) string { return fit.Bytes(s, maxText) }

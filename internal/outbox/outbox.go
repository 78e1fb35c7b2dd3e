// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// A Delivery is one message to one recipient.
//
// Within a lane the deliveries are in an order that every look finds again: by
// the number of the notice, then by Part.
type Delivery struct {
	Notice v1alpha1.Notice
	// To names the lane.
	To string
	// Part counts the messages of one notice in one lane, from 0.
	Part int32
	// Once, unless empty, is what must be told in this lane once only.
	Once string
}

// Next returns the next delivery of each lane, in the order of their lanes'
// first appearance. What was told already is passed over.
func Next(box *v1alpha1.Outbox, all []Delivery) []Delivery {
	var out []Delivery
	has := map[string]bool{}
	for _, d := range all {
		if has[d.To] || Told(box, d) {
			continue
		}
		has[d.To] = true
		out = append(out, d)
	}
	return out
}

// Told reports whether d was delivered or given up.
func Told(box *v1alpha1.Outbox, d Delivery) bool {
	l := lane(box, d.To)
	if l == nil {
		return false
	}
	if d.Notice.Number != l.Number {
		if d.Notice.Number < l.Number {
			return true
		}
	} else if d.Part < l.Parts {
		return true
	}
	return d.Once != "" && slices.Contains(l.Once, d.Once)
}

// SendingSince is when a message of the lane began to be sent whose fate is not
// recorded; zero when there is none.
func SendingSince(box *v1alpha1.Outbox, to string) time.Time {
	if l := lane(box, to); l != nil && l.SendingSince != nil {
		return l.SendingSince.Time
	}
	return time.Time{}
}

func lane(box *v1alpha1.Outbox, to string) *v1alpha1.NoticeLane {
	for i := range box.Lanes {
		if box.Lanes[i].To == to {
			return &box.Lanes[i]
		}
	}
	return nil
}

func opened(box *v1alpha1.Outbox, to string) *v1alpha1.NoticeLane {
	if l := lane(box, to); l != nil {
		return l
	}
	box.Lanes = append(box.Lanes, v1alpha1.NoticeLane{To: to})
	return &box.Lanes[len(box.Lanes)-1]
}

// Sending records that d begins to be sent.
func Sending(box *v1alpha1.Outbox, d Delivery, now time.Time) {
	opened(box, d.To).SendingSince = new(metav1.NewTime(now))
}

// Done records that d was delivered.
func Done(box *v1alpha1.Outbox, d Delivery) {
	if Told(box, d) && d.Once == "" {
		return
	}
	l := opened(box, d.To)
	l.SendingSince = nil
	if d.Notice.Number > l.Number {
		l.Number, l.Parts = d.Notice.Number, 0
	}
	if d.Notice.Number == l.Number {
		l.Parts = max(l.Parts, d.Part+1)
	}
	if d.Once != "" && !slices.Contains(l.Once, d.Once) {
		l.Once = last(append(l.Once, d.Once), maxOnce)
	}
}

// Dead records that d was given up.
func Dead(box *v1alpha1.Outbox, d Delivery, why string, now time.Time) {
	if Told(box, d) {
		return
	}
	d.Once = "" // what was not told may be told another time
	Done(box, d)
	box.Dead = last(append(box.Dead, v1alpha1.DeadNotice{
		Number: d.Notice.Number, Reason: d.Notice.Reason, Revision: d.Notice.Revision,
		To: d.To, Why: clip(why), At: metav1.NewTime(now),
	}), maxDead)
}

// Settle removes what nobody needs any more: notices of which no delivery is
// left, lanes that nothing that waits needs, and the dead of revisions before
// current.
func Settle(box *v1alpha1.Outbox, all []Delivery, current string) {
	open, waiting := map[int64]bool{}, map[string]bool{}
	for _, d := range all {
		if !Told(box, d) {
			open[d.Notice.Number], waiting[d.To] = true, true
		}
	}
	box.Notices = slices.DeleteFunc(box.Notices, func(n v1alpha1.Notice) bool { return !open[n.Number] })
	box.Lanes = slices.DeleteFunc(box.Lanes, func(l v1alpha1.NoticeLane) bool {
		waits := slices.ContainsFunc(box.Notices, func(n v1alpha1.Notice) bool { return n.Number <= l.Number })
		return len(l.Once) == 0 && !waits && (l.SendingSince == nil || !waiting[l.To])
	})
	box.Dead = slices.DeleteFunc(box.Dead, func(d v1alpha1.DeadNotice) bool { return d.Revision != current })
	if len(box.Notices) == 0 {
		box.Notices = nil
	}
	if len(box.Lanes) == 0 {
		box.Lanes = nil
	}
	if len(box.Dead) == 0 {
		box.Dead = nil
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package outbox

import "time"

// A Fate is what a failed attempt says of the next one.
type Fate string

// The fates.
const (
	// Later is a service that is away, slow, or refuses us for now.
	Later Fate = "Later"
	// Soon is something that is not ready yet, and will be by itself.
	Soon Fate = "Soon"
	// Refused is a message that the service understood and does not want. It
	// is tried a few times, because services err too.
	Refused Fate = "Refused"
	// Never is a message that no attempt can deliver. It is given up at once.
	Never Fate = "Never"
	// Broken is a configuration that a person has to mend.
	Broken Fate = "Broken"
)

// The waits between attempts, and when they end.
const (
	firstWait   = time.Second
	maxWait     = 5 * time.Minute
	soonWait    = 2 * time.Second
	maxSoon     = 30 * time.Second
	maxBroken   = time.Minute
	maxRefusals = 5
	// DefaultMaxAge is how long a notice is tried to be told.
	DefaultMaxAge = 24 * time.Hour
)

// A Try is what is remembered of the attempts at one delivery.
type Try struct {
	// Number and Part are the delivery's.
	Number int64
	Part   int32
	// Failures counts the attempts that failed, Refusals those that were
	// refused.
	Failures, Refusals int
	// At is when to try again.
	At time.Time
	// Hopeless says that there is no use in it.
	Hopeless bool
}

// Of reports whether t is about d.
func (t Try) Of(d Delivery) bool { return t.Number == d.Notice.Number && t.Part == d.Part }

// Failed returns t after one more attempt that failed with fate. after, unless
// zero, is how long the service asked to be left alone. random returns numbers
// from 0 to 1: those who failed together do not come back together.
func (t Try) Failed(d Delivery, fate Fate, after time.Duration, now time.Time, random func() float64) Try {
	if !t.Of(d) {
		t = Try{Number: d.Notice.Number, Part: d.Part}
	}
	t.Failures++
	t.Hopeless = fate == Never
	if fate == Refused {
		t.Refusals++
	}
	wait, most := firstWait<<min(t.Failures-1, 16), maxWait
	switch fate {
	case Soon:
		wait, most = soonWait<<min(t.Failures-1, 16), maxSoon
	case Broken:
		most = maxBroken
	case Later, Refused, Never:
	}
	wait = min(wait, most)
	wait = wait/2 + time.Duration(random()*float64(wait/2))
	t.At = now.Add(max(wait, after))
	return t
}

// GiveUp reports whether there is no use in another attempt, and why.
func (t Try) GiveUp(d Delivery, maxAge time.Duration, now time.Time) (why string, over bool) {
	switch {
	case t.Hopeless:
		return "it cannot be done", true
	case t.Refusals >= maxRefusals:
		return "refused every time", true
	case maxAge > 0 && now.Sub(d.Notice.At.Time) >= maxAge:
		return "not delivered within " + maxAge.String(), true
	}
	return "", false
}

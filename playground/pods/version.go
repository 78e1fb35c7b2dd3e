// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package pods

import (
	"math/rand/v2"
	"sync"
	"time"
)

// A version is what the pods of one image have in common: a fault is a property
// of the build, not of a pod.
type version struct {
	Behaviour

	tag   string
	share *meter

	mu     sync.Mutex
	rng    *rand.Rand
	owed   float64   // errors due and not yet given, in replies
	first  time.Time // of the first request
	turned bool
}

// A reply is what one request gets.
type reply struct {
	failed bool
	delay  time.Duration
}

// next decides the reply to a request that arrives at now.
//
// The tag's errors are spread evenly rather than thrown by dice, so that a
// version at 6 % is at 6 % in a short window too; the few errors of a healthy
// version, baseline percent of its replies, come at random.
func (v *version) next(now time.Time, baseline float64) reply {
	share := v.share.hit(v.tag, now)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.first.IsZero() {
		v.first = now
	}
	// Most replies take 5 to 15 ms, a few up to 25.
	r := reply{delay: 5*time.Millisecond + time.Duration(v.rng.ExpFloat64()*float64(3*time.Millisecond))}
	r.delay = min(r.delay, 25*time.Millisecond)
	r.failed = v.rng.Float64()*100 < baseline
	if !v.faulty(now, share) {
		v.owed = 0
		return r
	}
	r.delay += v.Slow
	if v.rng.Float64()*100 < TailPercent {
		r.delay += v.Tail
	}
	v.owed += v.percent() / 100
	if v.owed >= 1 {
		v.owed--
		r.failed = true
	}
	return r
}

// faulty reports whether the tag's faults hold now. The traffic's split is
// random, so a share counts as reached a tenth below it.
func (v *version) faulty(now time.Time, share float64) bool {
	switch {
	case v.turned && v.ThenPercent == 0:
		return false
	case v.For > 0 && now.Sub(v.first) >= v.For:
		return false
	case v.AtPercent > 0:
		return share >= v.AtPercent*0.9
	}
	return true
}

// percent is the share of replies that fail while the faults hold.
func (v *version) percent() float64 {
	if v.turned {
		return v.ThenPercent
	}
	return v.ErrorPercent
}

// turn ends the version's first act.
func (v *version) turn() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.turned = true
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"sync"
	"time"
)

// grain is the resolution of a record.
const grain = 100 * time.Millisecond

// An outcome is what one user got.
type outcome int

const (
	served outcome = iota
	failed
	dropped
)

// A Tally counts users' requests.
type Tally struct {
	// Requests is how many were sent and answered or given up.
	Requests int
	// Failures is how many of them got a status of 400 or more, a broken
	// answer, or none in time.
	Failures int
	// Dropped is how many were due but never sent, because too many were
	// under way: the generator's own limit, not in Requests.
	Dropped int
}

// A record keeps tallies by time.
type record struct {
	mu    sync.Mutex
	cells map[int64]Tally
	total Tally
}

func (r *record) add(at time.Time, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cells == nil {
		r.cells = map[int64]Tally{}
	}
	key := at.UnixNano() / int64(grain)
	r.cells[key] = r.cells[key].with(o)
	r.total = r.total.with(o)
}

func (t Tally) with(o outcome) Tally {
	switch o {
	case served:
		t.Requests++
	case failed:
		t.Requests++
		t.Failures++
	case dropped:
		t.Dropped++
	}
	return t
}

func (r *record) between(from, to time.Time) Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := Tally{}
	for key := from.UnixNano() / int64(grain); key <= to.UnixNano()/int64(grain); key++ {
		c := r.cells[key]
		sum.Requests += c.Requests
		sum.Failures += c.Failures
		sum.Dropped += c.Dropped
	}
	return sum
}

func (r *record) all() Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

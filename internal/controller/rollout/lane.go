// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"sync"
	"time"
)

const (
	// laneWidth is how many aborts write at the same time. All of twenty at
	// once share the API server, and all of them end late; four at a time end
	// one after the other, and the last of them no later.
	laneWidth = 4
	// lanePatience bounds what an abort waits for its turn, for an API server
	// that is slow: there the width would be what holds it up.
	lanePatience = 100 * time.Millisecond
	// courtesy bounds what the rest of an abort waits for the traffic of others.
	courtesy = 250 * time.Millisecond
)

// A lane lets aborts through, a few at a time in the order of their arrival.
// Its zero value is ready to use.
type lane struct {
	mu    sync.Mutex
	slots chan struct{}
	busy  int           // aborts that are in the lane or wait for it
	empty chan struct{} // closed when there are none
}

// enter waits for a place in the lane, and returns what gives it back. It does
// not wait for long: the place is a courtesy, not a right of way.
func (l *lane) enter(ctx context.Context) (leave func()) {
	l.mu.Lock()
	if l.slots == nil {
		l.slots = make(chan struct{}, laneWidth)
	}
	if l.busy++; l.busy == 1 {
		l.empty = make(chan struct{})
	}
	slots := l.slots
	l.mu.Unlock()
	timer := time.NewTimer(lanePatience)
	defer timer.Stop()
	placed := false
	select {
	case slots <- struct{}{}:
		placed = true
	case <-timer.C:
	case <-ctx.Done():
	}
	return sync.OnceFunc(func() {
		if placed {
			<-slots
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.busy--; l.busy == 0 {
			close(l.empty)
		}
	})
}

// yield waits until no abort is in the lane or wants to be, but not for long.
func (l *lane) yield(ctx context.Context) {
	l.mu.Lock()
	empty, busy := l.empty, l.busy
	l.mu.Unlock()
	if busy == 0 {
		return
	}
	timer := time.NewTimer(courtesy)
	defer timer.Stop()
	select {
	case <-empty:
	case <-timer.C:
	case <-ctx.Done():
	}
}

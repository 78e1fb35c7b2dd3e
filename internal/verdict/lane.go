// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// laneWidth is how many aborts write at the same time. All of twenty at
	// once share the API server, and all of them end late; four at a time end
	// one after the other, and the last of them no later.
	laneWidth = 4
	// lanePatience is how long no abort may end before the lane gets wider by
	// one; for the next one it is half of that, and so on. So an abort waits
	// behind others that move, and for twice this time at most behind others
	// that do not, such as those that a broken webhook holds up.
	lanePatience = 250 * time.Millisecond
	// courtesy bounds what everything else waits for the traffic of aborts.
	courtesy = time.Second
)

// A Lane lets aborts through, a few at a time in the order of their arrival.
// Its zero value is ready to use.
type Lane struct {
	mu      sync.Mutex
	inside  int
	waiting []chan struct{}
	// extra is what the lane is wider by until it is empty.
	extra int
	// still is since when no abort has come in or gone out, patience how long
	// that may last.
	still    time.Time
	patience time.Duration
	since    time.Time     // when the first came in
	empty    chan struct{} // closed when nobody is inside or waits
}

// Enter waits for a place in the lane, and returns what gives it back. It does
// not wait for long: the place is a courtesy, not a right of way.
func (l *Lane) Enter(ctx context.Context) (leave func()) {
	place := l.join()
	for placed := false; !placed; {
		timer := time.NewTimer(l.check(place))
		select {
		case <-place:
			placed = true
		case <-ctx.Done():
			l.admit(place)
			placed = true
		case <-timer.C:
		}
		timer.Stop()
	}
	return sync.OnceFunc(l.leave)
}

// join returns what is closed when there is a place.
func (l *Lane) join() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	place := make(chan struct{})
	if l.inside == 0 {
		l.empty, l.extra, l.since = make(chan struct{}), 0, time.Now()
	}
	l.waiting = append(l.waiting, place)
	l.fill(lanePatience)
	return place
}

// fill lets in whom there is room for, and then waits for patience.
func (l *Lane) fill(patience time.Duration) {
	for l.inside < laneWidth+l.extra && len(l.waiting) > 0 {
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
		l.inside++
		l.still, l.patience = time.Now(), patience
	}
}

// check makes the lane wider when nothing has moved in it for too long, and
// returns when to check again.
func (l *Lane) check(place chan struct{}) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.waiting, place) {
		return lanePatience // it has its place
	}
	if time.Since(l.still) >= l.patience {
		l.extra++
		l.fill(max(l.patience/2, time.Millisecond))
	}
	return max(l.patience-time.Since(l.still), time.Millisecond)
}

// admit lets place in out of turn.
func (l *Lane) admit(place chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, place); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.inside++
	}
}

func (l *Lane) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside--
	l.still, l.patience = time.Now(), lanePatience
	l.fill(lanePatience)
	if l.inside == 0 {
		close(l.empty)
	}
}

// Busy reports whether aborts are in the lane, unless they have been for so long
// that others should no longer stand back.
func (l *Lane) Busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inside > 0 && time.Since(l.since) < courtesy
}

// Yield waits until no abort is in the lane or wants to be, but not for long.
func (l *Lane) Yield(ctx context.Context) {
	l.mu.Lock()
	empty, busy := l.empty, l.inside > 0
	l.mu.Unlock()
	if !busy {
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

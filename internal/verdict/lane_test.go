// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFewAbortsAreInTheLaneAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Lane
		var inside, most atomic.Int32
		for range 20 {
			go func() {
				leave := l.Enter(t.Context())
				if n := inside.Add(1); n > most.Load() {
					most.Store(n)
				}
				<-time.After(100 * time.Millisecond)
				inside.Add(-1)
				leave()
			}()
		}
		began := time.Now()
		synctest.Wait()
		l.Yield(t.Context())
		if took := time.Since(began); took != 500*time.Millisecond {
			t.Errorf("20 aborts of 100 ms were over after %s, want 500 ms", took)
		}
		if n := most.Load(); n != laneWidth {
			t.Errorf("at most %d aborts were in the lane, want %d", n, laneWidth)
		}
	})
}

func TestTheFirstToComeIsTheFirstToEnter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Lane
		var mu sync.Mutex
		var order []int
		for i := range 3 * laneWidth {
			go func() {
				leave := l.Enter(t.Context())
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				<-time.After(time.Duration(10+i) * time.Millisecond)
				leave()
			}()
			synctest.Wait()
		}
		l.Yield(t.Context())
		for i, got := range order {
			if got != i {
				t.Fatalf("they entered in the order %v", order)
			}
		}
	})
}

func TestNobodyWaitsForLongBehindOthersThatAreStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Lane
		for range laneWidth {
			defer l.Enter(t.Context())()
		}
		began := time.Now()
		const more = 100
		stuck := make(chan struct{})
		var in, out sync.WaitGroup
		in.Add(more)
		for range more {
			out.Go(func() {
				leave := l.Enter(t.Context())
				in.Done()
				<-stuck
				leave()
			})
		}
		in.Wait()
		if took, most := time.Since(began), 2*lanePatience+more*time.Millisecond; took < lanePatience || took > most {
			t.Errorf("%d aborts waited for %s behind others that do not end, want at least %s and at most %s", more, took, lanePatience, most)
		}
		began = time.Now()
		l.Yield(t.Context())
		if took := time.Since(began); took != courtesy {
			t.Errorf("everything else waited for %s, want %s", took, courtesy)
		}
		close(stuck)
		out.Wait()
	})
}

func TestOneThatGetsPastTheStuckMakesWayForTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Lane
		for range laneWidth {
			defer l.Enter(t.Context())()
		}
		began := time.Now()
		var done sync.WaitGroup
		for range 100 {
			done.Go(func() {
				leave := l.Enter(t.Context())
				<-time.After(10 * time.Millisecond)
				leave()
			})
		}
		done.Wait()
		if took, want := time.Since(began), lanePatience+100*10*time.Millisecond; took > want {
			t.Errorf("100 aborts of 10 ms got past the stuck ones after %s, want at most %s", took, want)
		}
	})
}

func TestAContextThatEndsNeedsNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Lane
		var leaves []func()
		for range laneWidth {
			leaves = append(leaves, l.Enter(t.Context()))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		leaves = append(leaves, l.Enter(ctx))
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s, want no time", took)
		}
		for _, leave := range leaves {
			leave()
			leave() // twice is harmless
		}
		l.Yield(t.Context())
		if took := time.Since(began); took != 0 {
			t.Errorf("the lane was not empty: it took %s", took)
		}
	})
}

func TestOthersStandBackForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Lane
		if l.Busy() {
			t.Error("an empty lane is busy")
		}
		leave := l.Enter(t.Context())
		if !l.Busy() {
			t.Error("a lane with an abort in it is not busy")
		}
		<-time.After(courtesy)
		if l.Busy() {
			t.Error("a lane in which nothing moves is busy for ever")
		}
		leave()
		if leave = l.Enter(t.Context()); !l.Busy() {
			t.Error("the next abort does not count")
		}
		leave()
	})
}

func TestAnEmptyLaneIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Lane
		began := time.Now()
		l.Yield(t.Context())
		l.Enter(t.Context())()
		l.Yield(t.Context())
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s, want no time", took)
		}
	})
}

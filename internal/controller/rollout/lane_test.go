// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFewAbortsAreInTheLaneAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lane
		var inside, most atomic.Int32
		for range 20 {
			go func() {
				leave := l.enter(t.Context())
				if n := inside.Add(1); n > most.Load() {
					most.Store(n)
				}
				<-time.After(10 * time.Millisecond)
				inside.Add(-1)
				leave()
			}()
		}
		began := time.Now()
		synctest.Wait()
		l.yield(t.Context())
		if took := time.Since(began); took != 50*time.Millisecond {
			t.Errorf("20 aborts of 10 ms were over after %s, want 50 ms", took)
		}
		if n := most.Load(); n != laneWidth {
			t.Errorf("at most %d aborts were in the lane, want %d", n, laneWidth)
		}
	})
}

func TestNobodyWaitsForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lane
		for range laneWidth {
			defer l.enter(t.Context())()
		}
		began := time.Now()
		leave := l.enter(t.Context())
		if took := time.Since(began); took != lanePatience {
			t.Errorf("an abort waited for %s behind others that do not end, want %s", took, lanePatience)
		}
		leave()
		leave() // twice is harmless
		began = time.Now()
		l.yield(t.Context())
		if took := time.Since(began); took != courtesy {
			t.Errorf("the rest of an abort waited for %s, want %s", took, courtesy)
		}
	})
}

func TestAnEmptyLaneIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lane
		began := time.Now()
		l.yield(t.Context())
		l.enter(t.Context())()
		l.yield(t.Context())
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s, want no time", took)
		}
	})
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"
	"time"

	"sluice.dev/sluice/playground/bench/aborts"
)

func TestQuantilesGoByTheNearestRank(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var samples []aborts.Sample
	for i := 200; i >= 1; i-- {
		samples = append(samples, aborts.Sample{Reply: now, Stored: now.Add(time.Duration(i) * time.Millisecond)})
	}
	for share, want := range map[float64]int{0.5: 100, 0.9: 180, 0.99: 198, 1: 200} {
		if got := at(samples, share, (*aborts.Sample).Latency); got != time.Duration(want)*time.Millisecond {
			t.Errorf("at(%v) = %s, want %d ms", share, got, want)
		}
	}
}

func TestGoalsAreFractionsOfTheBetterReference(t *testing.T) {
	t.Parallel()
	wall := func(r reference) float64 { return r.wall }
	if g := better(100, wall, 2); g == nil || *g != 8 {
		t.Errorf("the goal for 100 is %v, want half of 16", g)
	}
	if g := better(500, wall, 2); g == nil || *g != 71 {
		t.Errorf("the goal for 500 is %v, want half of 142", g)
	}
	if g := better(20, wall, 2); g != nil {
		t.Errorf("the goal for 20 is %v, want none", *g)
	}
}

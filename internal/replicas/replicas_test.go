// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas_test

import (
	"math"
	"testing"

	"sluice.dev/sluice/internal/replicas"
)

func TestForWeight(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ replicas, weight, want int32 }{
		"nothing for no weight":    {8, 0, 0},
		"one pod for the least":    {8, 1, 1},
		"rounded up":               {8, 25, 2},
		"rounded up from a little": {8, 26, 3},
		"all for all":              {8, 100, 8},
		"one of one":               {1, 10, 1},
		"none of none":             {0, 50, 0},
		"no more than there are":   {3, 120, 3},
		"no overflow":              {math.MaxInt32, 99, 2126008811},
	} {
		if got := replicas.ForWeight(tc.replicas, tc.weight); got != tc.want {
			t.Errorf("%s: ForWeight(%d, %d) is %d, want %d", name, tc.replicas, tc.weight, got, tc.want)
		}
	}
}

func TestWant(t *testing.T) {
	t.Parallel()
	type sizes struct{ canary, stable int32 }
	for name, tc := range map[string]struct {
		replicas, weight, surge int32
		want                    sizes
	}{
		"a tenth of ten":                      {10, 10, 1, sizes{1, 9}},
		"a little is one pod":                 {10, 5, 0, sizes{1, 9}},
		"almost all leaves one":               {10, 99, 0, sizes{9, 1}},
		"a surge pod comes closer":            {10, 95, 1, sizes{10, 1}},
		"a tie goes to the larger canary":     {3, 50, 0, sizes{2, 1}},
		"one pod more makes a half of three":  {3, 50, 1, sizes{2, 2}},
		"of one pod, half is one with surge":  {1, 50, 1, sizes{1, 1}},
		"of one pod, a little is one as well": {1, 5, 1, sizes{1, 1}},
		"of one pod alone, less than half":    {1, 49, 0, sizes{0, 1}},
		"of one pod alone, half":              {1, 50, 0, sizes{1, 0}},
		"of two pods, almost all":             {2, 99, 0, sizes{1, 1}},
		"nothing":                             {10, 0, 3, sizes{0, 10}},
		"everything":                          {10, 100, 3, sizes{10, 0}},
		"no pods":                             {0, 50, 3, sizes{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			canary, stable := replicas.Want(tc.replicas, tc.weight, tc.surge)
			if got := (sizes{canary, stable}); got != tc.want {
				t.Errorf("Want(%d, %d, %d): got %v, want %v", tc.replicas, tc.weight, tc.surge, got, tc.want)
			}
		})
	}
}

// No split that is allowed comes closer than the one Want chooses, and a
// greater weight never means a smaller canary ratio.
func TestWantIsTheClosestSplit(t *testing.T) {
	t.Parallel()
	for n := int32(1); n <= 40; n++ {
		for surge := int32(0); surge <= 2; surge++ {
			last := -1.0
			for weight := int32(0); weight <= 100; weight++ {
				canary, stable := replicas.Want(n, weight, surge)
				total := canary + stable
				if total < n || total > n+min(surge, 1) {
					t.Errorf("%d replicas, surge %d, weight %d: %d pods in all", n, surge, weight, total)
				}
				if between := weight > 0 && weight < 100; between && n+surge > 1 && (canary < 1 || stable < 1) {
					t.Errorf("%d replicas, surge %d, weight %d: %d and %d", n, surge, weight, canary, stable)
				}
				got := float64(canary) / float64(total)
				if got < last {
					t.Errorf("%d replicas, surge %d: at weight %d the ratio falls to %f from %f", n, surge, weight, got, last)
				}
				last = got
				for all := n; all <= n+min(surge, 1); all++ {
					for c := int32(1); c < all; c++ {
						off := math.Abs(float64(c)/float64(all) - float64(weight)/100)
						if off+1e-9 < math.Abs(got-float64(weight)/100) && weight > 0 && weight < 100 {
							t.Errorf("%d replicas, surge %d, weight %d: chose %d of %d, but %d of %d is closer", n, surge, weight, canary, total, c, all)
						}
					}
				}
			}
		}
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"testing"
	"time"
)

func TestTheHistogramIsThatOfTheTimeBetween(t *testing.T) {
	t.Parallel()
	before, after := &Histogram{Below: map[float64]float64{}}, &Histogram{Below: map[float64]float64{}}
	for line, h := range map[string]*Histogram{
		`_bucket{le="0.001"} 100`: before, `_bucket{le="0.002"} 100`: before, `_bucket{le="+Inf"} 100`: before, "_sum 0.1": before, "_count 100": before,
		`_bucket{le="0.001"} 150`: after, `_bucket{le="0.002"} 199`: after, `_bucket{le="+Inf"} 200`: after, "_sum 0.4": after, "_count 200": after,
		"_other 7": after,
	} {
		h.add(line)
	}
	got := after.Since(before)
	if got.Count != 100 || got.Mean().Round(time.Microsecond) != 3*time.Millisecond {
		t.Errorf("%v of them took %s, want 100 and 3 ms", got.Count, got.Mean())
	}
	for quantile, want := range map[float64]time.Duration{0.5: time.Millisecond, 0.51: 2 * time.Millisecond, 0.99: 2 * time.Millisecond, 1: 0} {
		if d := got.AtMost(quantile); d != want {
			t.Errorf("AtMost(%v) = %s, want %s", quantile, d, want)
		}
	}
}

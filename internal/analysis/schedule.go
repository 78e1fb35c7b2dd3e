// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"hash/fnv"
	"time"
)

// next returns when m is measured after t.
func (c trial) next(t Measurement) time.Time {
	switch {
	case c.run.argo() && t.Phase == Error:
		return t.Finished.Add(c.run.retry())
	case c.run.argo():
		return t.Finished.Add(c.m.Interval)
	case t.Phase == Error:
		return t.Finished.Add(c.wait(t))
	case c.m.Interval <= 0:
		return t.Finished.Add(c.run.retry())
	default:
		return tick(c.r.Anchor, c.m.Interval, t)
	}
}

// tick returns the first tick after t, of those that are a whole number of
// intervals from anchor. Ticks that t made us miss are skipped, and so is one
// that follows a late measurement closer than half an interval.
func tick(anchor time.Time, interval time.Duration, t Measurement) time.Time {
	earliest := t.Started.Add(interval / 2)
	if t.Finished.After(earliest) {
		earliest = t.Finished
	}
	since := earliest.Sub(anchor)
	n := since / interval
	if since > n*interval {
		n++
	}
	return anchor.Add(max(n, 1) * interval)
}

// wait returns how long to wait after an error. It grows from the smaller to
// the larger of the retry time and the interval. An answer that says when to
// come back is obeyed, and one that denies access is retried at the interval.
func (c trial) wait(t Measurement) time.Duration {
	interval := c.m.Interval
	if interval <= 0 {
		interval = c.run.retry()
	}
	least, most := min(c.run.retry(), interval), max(c.run.retry(), interval)
	n := c.r.ConsecutiveError
	if f := t.failure; f != nil {
		switch {
		case f.Throttled && f.RetryAfter > 0:
			return f.RetryAfter
		case f.Throttled:
			n = c.r.Throttled
		case f.Denied:
			return interval
		}
	}
	d := least
	for i := 1; i < n && d < most; i++ {
		d *= 2
	}
	d = min(d, most)
	d += time.Duration((c.jitter() - 0.5) / 2 * float64(d))
	return min(max(d, least), most)
}

// jitter returns a number in [0, 1) that is the same for the same error of the
// same run.
func (c trial) jitter() float64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s/%s/%d", c.run.UID, c.m.Name, c.r.Error)
	x := h.Sum64()
	x ^= x >> 33 // short inputs leave the high bits of this hash alike
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

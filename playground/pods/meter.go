// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package pods

import (
	"sync"
	"time"
)

const (
	// slice is the grain of a meter and slices how many of them it looks back.
	slice  = 100 * time.Millisecond
	slices = 10
	// enough is how many requests a meter must have seen before it tells a
	// share; of fewer, a few make too much.
	enough = 20
)

// A meter knows which share of the requests of the last second each version of
// an image got.
type meter struct {
	mu      sync.Mutex
	current int64
	counts  [slices]map[string]int
}

// hit counts one request for version at now and returns the version's share of
// the last second's requests in percent, 0 while there were too few.
func (m *meter) hit(version string, now time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(now.UnixNano() / int64(slice))
	at := m.current % slices
	if m.counts[at] == nil {
		m.counts[at] = map[string]int{}
	}
	m.counts[at][version]++
	mine, all := 0, 0
	for _, c := range m.counts {
		for v, n := range c {
			all += n
			if v == version {
				mine += n
			}
		}
	}
	if all < enough {
		return 0
	}
	return 100 * float64(mine) / float64(all)
}

// advance forgets the slices that are older than a second.
func (m *meter) advance(to int64) {
	if to <= m.current {
		return
	}
	for i := max(m.current+1, to-slices+1); i <= to; i++ {
		m.counts[i%slices] = nil
	}
	m.current = to
}

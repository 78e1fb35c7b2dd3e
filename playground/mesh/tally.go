// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package mesh

import "sync"

// A Tally counts the requests that one revision got.
type Tally struct {
	// Version is the image's tag.
	Version string
	// Requests is how many were sent to it, Failures how many of them got a
	// 5xx or no answer.
	Requests, Failures int
}

// tallies counts by revision; the empty one is for requests that reached none.
type tallies struct {
	mu     sync.Mutex
	counts map[string]Tally
}

func (t *tallies) add(hash, version string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]Tally{}
	}
	c := t.counts[hash]
	c.Version = version
	c.Requests++
	if !ok {
		c.Failures++
	}
	t.counts[hash] = c
}

// Tally returns what the revision with the hash got so far. The empty hash
// stands for the requests that reached no pod.
func (m *Mesh) Tally(hash string) Tally {
	m.tallies.mu.Lock()
	defer m.tallies.mu.Unlock()
	return m.tallies.counts[hash]
}

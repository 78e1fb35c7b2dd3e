// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"
	"time"
)

func TestCountsWaitLongerForASlowAPIServer(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 9, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct{ took, want time.Duration }{
		"a quick write": {5 * time.Millisecond, 3 * time.Second},
		"a slow write":  {200 * time.Millisecond, 6 * time.Second},
		"a stuck write": {20 * time.Second, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s settler
			if due := s.due("a", start); !due.IsZero() {
				t.Errorf("what was never written waits until %s", due)
			}
			s.wrote("b", start.Add(-time.Minute), time.Millisecond)
			s.wrote("a", start, tc.took)
			if due := s.due("a", start.Add(time.Second)); !due.Equal(start.Add(tc.want)) {
				t.Errorf("due %s after the write, want %s", due.Sub(start), tc.want)
			}
			if due := s.due("a", start.Add(tc.want)); !due.IsZero() {
				t.Errorf("still waits until %s", due)
			}
			if len(s.written) != 1 {
				t.Errorf("remembers %d writes, of which one is a minute old", len(s.written))
			}
		})
	}
}

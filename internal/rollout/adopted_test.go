// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"testing"

	"sluice.dev/sluice/internal/rollout"
)

func TestAnAttemptIsAdoptedUntilTheNextOne(t *testing.T) {
	t.Parallel()
	spec := routed(4, weight(25), stop())
	adopted := func(s *rollout.Snapshot) { s.Status.Adopted = true }
	for name, tc := range map[string]struct {
		change change
		want   bool
	}{
		"it goes on":                 {func(*rollout.Snapshot) {}, true},
		"a person skips a step":      {func(s *rollout.Snapshot) { s.Status.Step = 2 }, true},
		"it is aborted":              {func(s *rollout.Snapshot) { s.Status.Abort = true }, true},
		"it is retried":              {func(s *rollout.Snapshot) { s.Status.AbortedAt = t0 }, false},
		"another version is to come": {func(s *rollout.Snapshot) { s.Spec.Revision = v3 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := rollout.Decide(midway(spec, 1, 25, adopted, tc.change)).Status.Adopted; got != tc.want {
				t.Errorf("adopted is %v, want %v", got, tc.want)
			}
		})
	}
}

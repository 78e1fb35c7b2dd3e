// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/internal/rollout"
)

func TestAChangeByHandIsToldOnce(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	edit := rollout.HandChange{Manager: "kubectl-edit", Tool: "argocd-controller", At: at, Sentence: "edited"}
	later := rollout.HandChange{Manager: "kubectl-edit", Tool: "argocd-controller", At: at.Add(time.Minute), Sentence: "edited again"}
	patch := rollout.HandChange{Manager: "kubectl-patch", Tool: "argocd-controller", At: at, Sentence: "patched"}
	for name, tc := range map[string]struct {
		seen, told []rollout.HandChange
		want       []string
	}{
		"nothing":                    {},
		"a change":                   {seen: []rollout.HandChange{edit}, want: []string{"edited"}},
		"the same change once more":  {seen: []rollout.HandChange{edit}, told: []rollout.HandChange{edit}},
		"another of the same person": {seen: []rollout.HandChange{later}, told: []rollout.HandChange{edit}, want: []string{"edited again"}},
		"two, the oldest first":      {seen: []rollout.HandChange{later, patch}, want: []string{"patched", "edited again"}},
		"a sync took it back":        {told: []rollout.HandChange{edit}},
	} {
		for _, problems := range [][]string{nil, {"the spec is absurd"}} {
			s := rollout.Snapshot{Now: at, Name: "checkout", HandChanges: tc.seen, Problems: problems}
			s.Status.HandChanges = tc.told
			p := rollout.Decide(s)
			var got []string
			for _, e := range p.Events {
				if e.Reason == rollout.ReasonByHand {
					got = append(got, e.Message)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
			if diff := cmp.Diff(tc.seen, p.Status.HandChanges); diff != "" {
				t.Errorf("%s: remembered:\n%s", name, diff)
			}
		}
	}
}

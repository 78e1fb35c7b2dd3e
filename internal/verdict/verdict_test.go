// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/verdict"
)

// A measurement's context ends with the measurement, and its verdict must be
// heard all the same.
func TestANoticeIsNotLostWhenTheContextHasEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	const posts = 100
	b := verdict.New(posts)
	for i := range posts {
		owner := types.UID(rune('a' + i))
		b.Post(ctx, types.NamespacedName{Name: string(owner)}, owner, rollout.Verdict{Run: "run"})
	}
	if got := len(b.Posted()); got != posts {
		t.Errorf("%d of %d notices arrived", got, posts)
	}
}

func TestAVerdictStaysUpUntilItIsCleared(t *testing.T) {
	t.Parallel()
	b := verdict.New(1)
	b.Post(t.Context(), types.NamespacedName{Name: "checkout"}, "uid", rollout.Verdict{Run: "one"})
	b.Clear("uid", "another")
	if v := b.Verdict("uid"); v == nil || v.Run != "one" {
		t.Fatalf("Verdict is %v, want that of run one", v)
	}
	b.Clear("uid", "one")
	if v := b.Verdict("uid"); v != nil {
		t.Errorf("Verdict is %v after it was cleared", v)
	}
}

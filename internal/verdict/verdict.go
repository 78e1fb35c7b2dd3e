// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verdict hands failing judgements from the controller that reaches
// them to the one that acts on them, without waiting for the API server. It is
// a shortcut, not a memory: a verdict is also stored in its run, and losing
// this board costs time only.
package verdict

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/internal/rollout"
)

// A Board holds the newest verdict on each rollout's runs, and the Lane in which
// they are acted on. Its zero value is not usable; see New.
type Board struct {
	Lane

	mu       sync.Mutex
	verdicts map[types.UID]rollout.Verdict
	posted   chan types.NamespacedName
}

// New returns an empty Board that can hold backlog notices nobody has read.
func New(backlog int) *Board {
	return &Board{verdicts: map[types.UID]rollout.Verdict{}, posted: make(chan types.NamespacedName, backlog)}
}

// Post puts up a verdict on a run of the rollout called name with UID owner.
// When nobody reads notices it waits until ctx ends.
func (b *Board) Post(ctx context.Context, name types.NamespacedName, owner types.UID, v rollout.Verdict) {
	b.mu.Lock()
	_, known := b.verdicts[owner]
	b.verdicts[owner] = v
	b.mu.Unlock()
	if known {
		return
	}
	select {
	case b.posted <- name:
		return
	default: // a ctx that has ended must not win over a reader who waits
	}
	select {
	case b.posted <- name:
	case <-ctx.Done():
	}
}

// Verdict returns the verdict on owner's runs, or nil.
func (b *Board) Verdict(owner types.UID) *rollout.Verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.verdicts[owner]
	if !ok {
		return nil
	}
	return &v
}

// Clear takes down the verdict of run, once it has been acted on.
func (b *Board) Clear(owner types.UID, run string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.verdicts[owner].Run == run {
		delete(b.verdicts, owner)
	}
}

// Posted yields the names of rollouts that a verdict was put up for.
func (b *Board) Posted() <-chan types.NamespacedName { return b.posted }

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/internal/apply"
	"sluice.dev/sluice/internal/codec"
	"sluice.dev/sluice/internal/observe"
	decision "sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/traffic"
)

// commitPatience is how long an abort waits for its status to be stored: an
// admission webhook that hangs may take half a minute.
const commitPatience = 2 * time.Second

// aborting reports whether plan takes traffic away from an aborted revision.
func aborting(plan *decision.Plan) bool { return plan.Status.Abort && plan.Weights != nil }

// abort moves the traffic first and stores the status then: users wait for one
// write, and nothing but the router's object can hold it up. The write leaves a
// latch there, so that an abort that gets no further is still one. See ADR 0003.
func (r *Reconciler) abort(ctx context.Context, w *observe.World, plan *decision.Plan) error {
	leave := r.Board.Enter(ctx)
	moved := r.Applier.Traffic(ctx, w, plan, latch(w, plan), func() {
		w.Moved = &codec.Moved{Canary: plan.Weights.Canary, At: r.Clock.Now()}
		leave()
		r.Board.Yield(ctx)
	})
	if moved != nil && w.Snapshot.Router != nil {
		w.Moved.Canary = w.Snapshot.Router.Weights.Canary // it is where it was
	}
	same, err := r.store(ctx, w, plan)
	plan.Weights, plan.Unlatch = nil, false // that is done
	switch {
	case err != nil && moved != nil:
		return fmt.Errorf("abort of revision %s: neither the traffic nor the status could be written, and both are tried again: %w; %w", plan.Status.Current, moved, err)
	case err != nil:
		return fmt.Errorf("abort of revision %s: the traffic is back on the stable revision, but the status could not be written; it is tried again: %w", plan.Status.Current, err)
	case !same:
		return nil // another revision or attempt, or no rollout at all
	}
	if err := r.follow(ctx, w, plan); err != nil {
		return err
	}
	if moved != nil && !apply.Stale(moved) { // a newer version is in the queue already
		return fmt.Errorf("abort of revision %s: the traffic could not be moved; it is tried again: %w", plan.Status.Current, moved)
	}
	return nil
}

// latch is what an abort leaves on the router's object; nil when the Rollout
// itself says already that it is aborted.
func latch(w *observe.World, plan *decision.Plan) *traffic.Latch {
	if w.Rollout.Status.Abort {
		return nil
	}
	return &traffic.Latch{Revision: string(plan.Status.Current), Attempt: plan.Status.Attempt}
}

// store stores the status of an abort, after a conflict on a live read. It
// reports whether the Rollout is still at the aborted revision.
func (r *Reconciler) store(ctx context.Context, w *observe.World, plan *decision.Plan) (same bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, commitPatience)
	defer cancel()
	if err = r.Applier.Commit(ctx, w, plan); !apierrors.IsConflict(err) {
		return true, err
	}
	return r.Applier.Recommit(ctx, w, plan)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout runs the loop of one rollout: observe, decide, commit, apply.
// What is decided is in internal/rollout; here is only the order.
package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/apply"
	"sluice.dev/sluice/internal/observe"
	decision "sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/verdict"
)

// A Reconciler runs passes.
type Reconciler struct {
	Cached   client.Reader
	Observer *observe.Observer
	Applier  *apply.Applier
	Board    *verdict.Board
	Clock    clock.PassiveClock
	// Instance is the instance ID whose objects are ours; empty for those
	// without one.
	Instance string
}

// standBack is when a pass that is not an abort is tried again while the traffic
// of aborts moves: they share the API server.
const standBack = 25 * time.Millisecond

// Reconcile runs one pass for the Rollout that req names.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	ro := &v1alpha1.Rollout{}
	if err := r.Cached.Get(ctx, req.NamespacedName, ro); err != nil {
		if apierrors.IsNotFound(err) {
			return r.release(ctx, req.NamespacedName, nil)
		}
		return reconcile.Result{}, fmt.Errorf("get Rollout %s: %w", req, err)
	}
	if ro.Labels[v1alpha1.LabelControllerInstanceID] != r.Instance {
		return reconcile.Result{}, nil
	}
	if ro.DeletionTimestamp != nil {
		return r.release(ctx, req.NamespacedName, ro)
	}
	if r.Board.Busy() && r.Board.Verdict(ro.UID) == nil && !ro.Status.Abort {
		return reconcile.Result{RequeueAfter: standBack}, nil
	}
	w, err := r.Observer.Observe(ctx, ro, r.Clock.Now())
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("observe: %w", err)
	}
	plan := decision.Decide(w.Snapshot)
	r.log(ctx, w, &plan)
	if err := r.carryOut(ctx, w, &plan); err != nil {
		return reconcile.Result{}, r.refused(w, &plan, err)
	}
	return wake(w.Snapshot.Now, plan.WakeAt), nil
}

// carryOut stores the plan's status and does what it says.
func (r *Reconciler) carryOut(ctx context.Context, w *observe.World, plan *decision.Plan) error {
	if aborting(plan) {
		return r.abort(ctx, w, plan)
	}
	err := r.Applier.Commit(ctx, w, plan)
	if apierrors.IsConflict(err) {
		return nil // the newer version is in the queue already
	}
	if err != nil {
		return err //nolint:wrapcheck // it says whose status
	}
	return r.follow(ctx, w, plan)
}

// follow carries out a plan whose status is stored.
func (r *Reconciler) follow(ctx context.Context, w *observe.World, plan *decision.Plan) error {
	if v := w.Snapshot.Verdict; v != nil {
		r.Board.Clear(w.Rollout.UID, v.Run)
	}
	if err := r.Applier.Apply(ctx, w, plan); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return nil
}

// refused passes on what kept a pass from its end, and tells people who look
// at the Rollout: its status cannot. Of an API server that does not answer at
// all nobody needs an event for each Rollout, but for an abort.
func (r *Reconciler) refused(w *observe.World, plan *decision.Plan, err error) error {
	if answer := apierrors.APIStatus(nil); errors.As(err, &answer) || plan.Status.Abort {
		r.Applier.Complain(w, err)
	}
	return err
}

func (r *Reconciler) log(ctx context.Context, w *observe.World, plan *decision.Plan) {
	log := ctrl.LoggerFrom(ctx)
	if was, is := w.Snapshot.Status.Phase, plan.Status.Phase; was != is {
		log.Info("phase changed", "phase", is, "message", plan.Status.Message, "step", plan.Status.Step)
	}
	log.V(1).Info("decided", "phase", plan.Status.Phase, "step", plan.Status.Step,
		"weights", plan.Weights, "replicas", plan.Replicas, "notes", plan.Notes)
}

// wake turns an absolute time into the one wait of this pass. The margin keeps
// a timer that rings early from causing a pass for nothing.
func wake(now, at time.Time) reconcile.Result {
	if at.IsZero() {
		return reconcile.Result{}
	}
	return reconcile.Result{RequeueAfter: max(at.Sub(now), 0) + 2*time.Millisecond}
}

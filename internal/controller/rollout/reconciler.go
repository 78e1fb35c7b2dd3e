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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/apply"
	"sluice.dev/sluice/internal/observe"
	decision "sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/traffic"
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
			return reconcile.Result{}, r.release(ctx, req.NamespacedName)
		}
		return reconcile.Result{}, fmt.Errorf("get Rollout %s: %w", req, err)
	}
	if ro.DeletionTimestamp != nil || ro.Labels[v1alpha1.LabelControllerInstanceID] != r.Instance {
		return reconcile.Result{}, nil
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
	var moved func()
	if aborting(&plan) {
		leave := r.Board.Enter(ctx)
		defer leave()
		moved = func() { leave(); r.Board.Yield(ctx) }
	}
	if done, err := r.commit(ctx, w, &plan); done {
		return reconcile.Result{}, r.refused(w, &plan, err)
	}
	if v := w.Snapshot.Verdict; v != nil {
		r.Board.Clear(ro.UID, v.Run)
	}
	if err := r.Applier.Apply(ctx, w, &plan, moved); err != nil {
		return reconcile.Result{}, r.refused(w, &plan, fmt.Errorf("apply: %w", err))
	}
	return wake(w.Snapshot.Now, plan.WakeAt), nil
}

// refused passes on what kept a pass from its end, and tells people who look
// at the Rollout: its status cannot. Of an API server that does not answer at
// all nobody needs an event for each Rollout, but for an abort.
func (r *Reconciler) refused(w *observe.World, plan *decision.Plan, err error) error {
	answer := apierrors.APIStatus(nil)
	if err != nil && (errors.As(err, &answer) || aborting(plan)) {
		r.Applier.Complain(w, err)
	}
	return err
}

// commitPatience is how long an abort waits for its status to be stored: an
// admission webhook that hangs may take half a minute.
const commitPatience = 2 * time.Second

// aborting reports whether plan takes traffic away from an aborted revision.
func aborting(plan *decision.Plan) bool { return plan.Status.Abort && plan.Weights != nil }

// commit stores the status, and reports whether the pass ends here. An abort
// does not take no for an answer: see design decision 4 in docs/adr.
func (r *Reconciler) commit(ctx context.Context, w *observe.World, plan *decision.Plan) (done bool, err error) {
	if !aborting(plan) {
		if err = r.Applier.Commit(ctx, w, plan); apierrors.IsConflict(err) {
			return true, nil // the newer version is in the queue already
		}
		return err != nil, err
	}
	short, cancel := context.WithTimeout(ctx, commitPatience)
	defer cancel()
	if err = r.Applier.Commit(short, w, plan); err == nil {
		return false, nil
	}
	if apierrors.IsConflict(err) {
		same, again := r.Applier.Recommit(short, w, plan)
		switch {
		case again == nil && same:
			return false, nil
		case !same:
			return true, again // another revision, or no rollout at all
		}
		err = again
	}
	latch := &traffic.Latch{Revision: string(plan.Status.Current), Attempt: plan.Status.Attempt}
	if moved := r.Applier.Traffic(ctx, w, plan, latch); moved != nil {
		return true, fmt.Errorf("abort of revision %s: neither the traffic nor the status could be written, and both are tried again: %w; %w", plan.Status.Current, moved, err)
	}
	return true, fmt.Errorf("abort of revision %s: the traffic is back on the stable revision, but the status could not be written; it is tried again: %w", plan.Status.Current, err)
}

// release gives the Services of a Rollout that is gone back to their owner.
func (r *Reconciler) release(ctx context.Context, name types.NamespacedName) error {
	svcs, err := r.Observer.Managed(ctx, name)
	if err != nil {
		return err
	}
	for i := range svcs {
		if err := r.Applier.ReleaseService(ctx, &svcs[i]); err != nil && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
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

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/apply"
)

// heldCheck is how often Services are looked at whose ReplicaSets outlived
// their Rollout. Nobody says when those go: they have no owner.
const heldCheck = 10 * time.Second

// release gives back the traffic and the Services of a Rollout that is gone, or
// that is going and held by finalizers. See ADR 0014.
func (r *Reconciler) release(ctx context.Context, name types.NamespacedName, going *v1alpha1.Rollout) (reconcile.Result, error) {
	l, err := r.Observer.Legacy(ctx, name, going)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("look at what deleted Rollout %s leaves behind: %w", name, err)
	}
	err = apply.Release(ctx, r.Applier, l)
	if apply.Stale(err) {
		return reconcile.Result{RequeueAfter: standBack}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("give back what deleted Rollout %s leaves behind; it is tried again: %w", name, err)
	}
	if len(l.Free) > 0 || l.Routes != nil && going == nil {
		ctrl.LoggerFrom(ctx).Info("rollout deleted: its traffic is on the stable Service", "released", len(l.Free), "held", len(l.Held))
	}
	if going == nil {
		r.Observer.Routers.Drop(name)
	}
	if len(l.Held) > 0 {
		return reconcile.Result{RequeueAfter: heldCheck}, nil
	}
	return reconcile.Result{}, nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/traffic"
)

// errStale says that a router's object is not what was observed.
var errStale = errors.New("the object changed since it was read")

// Traffic programs the plan's weights, and says so. latch, if any, is left on
// the router's objects by the same write. moved is called when that is over, and
// may wait.
func (a *Applier) Traffic(ctx context.Context, w *observe.World, plan *rollout.Plan, latch *traffic.Latch, moved func()) error {
	shifted, err := a.shift(ctx, w, plan, latch)
	moved()
	if shifted {
		announceWeights(a, w, plan)
	}
	return err
}

func announceWeights(a *Applier, w *observe.World, plan *rollout.Plan) {
	a.event(w, corev1.EventTypeNormal, v1alpha1.EventTrafficWeightUpdated,
		fmt.Sprintf("Traffic weight is %d%% stable, %d%% canary", plan.Weights.Stable, plan.Weights.Canary))
}

// shift programs the plan's weights, and reports whether they were others.
func (a *Applier) shift(ctx context.Context, w *observe.World, plan *rollout.Plan, latch *traffic.Latch) (bool, error) {
	if w.Routes == nil || plan.Weights == nil && !plan.Unlatch && latch == nil {
		return false, nil
	}
	patches, err := w.Routes.Router.Patch(w.Routes.Objects, change(w, plan, latch))
	errs := []error{err}
	for _, p := range patches {
		errs = append(errs, a.route(ctx, w.Routes, p))
	}
	if err := errors.Join(errs...); err != nil {
		return false, err
	}
	return len(patches) > 0 && plan.Weights != nil, nil
}

// change is what the router's objects are to carry.
func change(w *observe.World, plan *rollout.Plan, latch *traffic.Latch) traffic.Change {
	want := traffic.Change{Weights: traffic.Weights(w.Snapshot.Router.Weights), Latch: latch}
	if plan.Weights != nil {
		want.Weights = traffic.Weights(*plan.Weights)
	}
	if plan.Unlatch && latch == nil {
		want.Latch = &traffic.Latch{}
	}
	return want
}

// route applies one patch, and keeps the answer, so that the next pass need
// not read it back.
func (a *Applier) route(ctx context.Context, routes *observe.Routes, p traffic.Patch) error {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(p.Ref.GroupVersionKind)
	obj.SetNamespace(p.Ref.Namespace)
	obj.SetName(p.Ref.Name)
	err := a.Client.Patch(ctx, obj, client.RawPatch(types.JSONPatchType, p.JSON))
	switch {
	case err == nil:
		a.Routes.Remember(p.Ref, obj, routes.Version(p.Ref))
		return nil
	case apierrors.IsConflict(err), apierrors.IsInvalid(err):
		return fmt.Errorf("%w: patch %s: %w", errStale, p.Ref, err)
	}
	return fmt.Errorf("patch %s: %w", p.Ref, err)
}

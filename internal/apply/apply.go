// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/rollout"
)

// Apply carries out everything of plan but its status. The traffic goes first,
// because users wait for it; the order does not matter for safety. An object
// that changed meanwhile is left alone: its watch brings the next pass.
func (a *Applier) Apply(ctx context.Context, w *observe.World, plan *rollout.Plan) error {
	var errs []error
	keep := func(err error) {
		if err != nil && !Stale(err) {
			errs = append(errs, err)
		}
	}
	shifted, err := a.shift(ctx, w, plan, nil)
	keep(err)
	if shifted {
		announceWeights(a, w, plan)
	}
	keep(a.service(ctx, w, w.Stable, plan.Services.Stable))
	keep(a.service(ctx, w, w.Canary, plan.Services.Canary))
	keep(a.replicaSets(ctx, w, plan))
	for _, start := range plan.Start {
		keep(runs{a}.start(ctx, w, plan, start))
	}
	for _, stop := range plan.Stop {
		keep(runs{a}.stop(ctx, w, stop))
	}
	keep(runs{a}.prune(ctx, w, plan))
	keep(annotate(ctx, a, w, plan))
	keep(evictions{a}.start(ctx, w, plan))
	announce(a, w, plan)
	return errors.Join(errs...)
}

// Stale reports whether err says that the object is not what was observed.
func Stale(err error) bool { return apierrors.IsConflict(err) || errors.Is(err, errStale) }

// service points svc at revision. The first time it also takes it over.
func (a *Applier) service(ctx context.Context, w *observe.World, svc *corev1.Service, revision rollout.Revision) error {
	if svc == nil || revision == "" || svc.Spec.Selector[v1alpha1.LabelPodTemplateHash] == string(revision) {
		return nil
	}
	meta := map[string]any{"resourceVersion": svc.ResourceVersion}
	if svc.Annotations[v1alpha1.AnnotationManagedByRollouts] != w.Rollout.Name {
		meta["annotations"] = map[string]string{v1alpha1.AnnotationManagedByRollouts: w.Rollout.Name}
	}
	body := map[string]any{
		"metadata": meta,
		"spec":     map[string]any{"selector": map[string]string{v1alpha1.LabelPodTemplateHash: string(revision)}},
	}
	return a.merge(ctx, svc, body)
}

// merge sends body as a JSON merge patch for the object that was observed.
func (a *Applier) merge(ctx context.Context, observed client.Object, body map[string]any) error {
	patch, err := mergePatch(body)
	if err != nil {
		return err
	}
	// The answer is decoded into an empty object: decoding keeps the map entries
	// that are there, also those that the patch removed.
	obj, ok := reflect.TypeAssert[client.Object](reflect.New(reflect.TypeOf(observed).Elem()))
	if !ok {
		return fmt.Errorf("patch: %T is no object of the API", observed)
	}
	obj.SetNamespace(observed.GetNamespace())
	obj.SetName(observed.GetName())
	if err := a.Client.Patch(ctx, obj, patch); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("patch %T %s/%s: %w", obj, obj.GetNamespace(), obj.GetName(), err)
	}
	a.Overlay.Changed(obj, observed.GetResourceVersion(), a.Clock.Now())
	return nil
}

// mergePatch is body as a JSON merge patch.
func mergePatch(body map[string]any) (client.Patch, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode a patch: %w", err)
	}
	return client.RawPatch(types.MergePatchType, data), nil
}

func rfc3339(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

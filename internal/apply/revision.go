// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/rollout"
)

// annotate writes the number of the newest revision on the Rollout, where tools
// look for it: one write for each revision, once its ReplicaSet has the number.
// The status cannot carry it along: the API server takes nothing but the status
// from a write to the status.
func annotate(ctx context.Context, a *Applier, w *observe.World, plan *rollout.Plan) error {
	rs := w.ReplicaSets[plan.Status.Current]
	if rs == nil {
		return nil
	}
	n := observe.Number(rs)
	text := strconv.FormatInt(n, 10)
	// A ReplicaSet that is used again is about to get another number.
	if n == 0 || n != highest(w) || w.Rollout.Annotations[v1alpha1.AnnotationRevision] == text {
		return nil
	}
	patch, err := mergePatch(map[string]any{"metadata": map[string]any{
		"resourceVersion": w.Rollout.ResourceVersion,
		"annotations":     map[string]string{v1alpha1.AnnotationRevision: text},
	}})
	if err != nil {
		return err
	}
	answer := metadataOf(w.Rollout)
	if err := a.Client.Patch(ctx, answer, patch); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("write the revision's number on Rollout %s/%s: %w", w.Rollout.Namespace, w.Rollout.Name, err)
	}
	next := *w.Rollout // nothing but its metadata is written below
	next.Annotations = map[string]string{}
	maps.Copy(next.Annotations, w.Rollout.Annotations)
	next.Annotations[v1alpha1.AnnotationRevision] = text
	next.ResourceVersion, next.Generation = answer.ResourceVersion, answer.Generation
	a.Overlay.Changed(&next, w.Rollout.ResourceVersion, a.Clock.Now())
	return nil
}

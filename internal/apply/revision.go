// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"strconv"

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
	return a.merge(ctx, w.Rollout, map[string]any{"metadata": map[string]any{
		"resourceVersion": w.Rollout.ResourceVersion,
		"annotations":     map[string]string{v1alpha1.AnnotationRevision: text},
	}})
}

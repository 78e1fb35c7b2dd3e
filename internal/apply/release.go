// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/traffic"
)

// Release gives back what a Rollout leaves behind: all traffic goes to the
// stable Service, and the Services that have no pods of its own any more select
// what they did before. Neither waits for the other.
func Release(ctx context.Context, a *Applier, l *observe.Legacy) error {
	errs := []error{retreat(ctx, a, l.Routes)}
	for i := range l.Free {
		errs = append(errs, releaseService(ctx, a, &l.Free[i]))
	}
	return errors.Join(errs...)
}

// retreat takes the canary's share away, and what an abort left with it. What
// is wrong with the router's objects, or that they are gone, is their owner's
// affair now.
func retreat(ctx context.Context, a *Applier, routes *observe.Routes) error {
	if routes == nil {
		return nil
	}
	patches, err := routes.Router.Patch(routes.Objects, traffic.Change{
		Weights: traffic.Weights{Stable: traffic.Whole}, Latch: &traffic.Latch{},
	})
	if len(traffic.Problems(err)) > 0 {
		err = nil
	}
	errs := []error{err}
	for _, p := range patches {
		if err := a.route(ctx, routes, p); !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// releaseService takes the hash out of svc's selector and our annotation off
// it, so that it selects the pods it did before a Rollout managed it.
func releaseService(ctx context.Context, a *Applier, svc *corev1.Service) error {
	return a.merge(ctx, svc, map[string]any{
		"metadata": map[string]any{
			"resourceVersion": svc.ResourceVersion,
			"annotations":     map[string]any{v1alpha1.AnnotationManagedByRollouts: nil},
		},
		"spec": map[string]any{"selector": map[string]any{v1alpha1.LabelPodTemplateHash: nil}},
	})
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/rollout"
)

// services reads the Services that the rollout points at its revisions.
func (o *Observer) services(ctx context.Context, w *World) error {
	canary := w.Rollout.Spec.Strategy.Canary
	if canary == nil {
		return nil
	}
	var err error
	if w.Stable, err = o.service(ctx, w, canary.StableService, "stableService"); err != nil {
		return err
	}
	if w.Canary, err = o.service(ctx, w, canary.CanaryService, "canaryService"); err != nil {
		return err
	}
	w.Snapshot.Services = rollout.Services{Stable: selected(w.Stable), Canary: selected(w.Canary)}
	return nil
}

func selected(svc *corev1.Service) rollout.Revision {
	if svc == nil {
		return ""
	}
	return rollout.Revision(svc.Spec.Selector[v1alpha1.LabelPodTemplateHash])
}

func (o *Observer) service(ctx context.Context, w *World, name, field string) (*corev1.Service, error) {
	if name == "" {
		return nil, nil
	}
	ns, at := w.Rollout.Namespace, "spec.strategy.canary."+field
	svc := &corev1.Service{}
	err := o.Cached.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, svc)
	if apierrors.IsNotFound(err) {
		w.problem(fmt.Sprintf("Service %s/%s not found: %s names it; create it and the rollout goes on", ns, name, at))
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get Service %s/%s: %w", ns, name, err)
	}
	svc = newer(o.Overlay, svc, w.Snapshot.Now)
	for k, v := range svc.Spec.Selector {
		if k != v1alpha1.LabelPodTemplateHash && w.Rollout.Spec.Template.Labels[k] != v {
			w.problem(fmt.Sprintf("%s: the selector of Service %s/%s does not match spec.template: its %s=%s is not among the template's labels", at, ns, name, k, v))
		}
	}
	if by := svc.Annotations[v1alpha1.AnnotationManagedByRollouts]; by != "" && by != w.Rollout.Name {
		w.problem(fmt.Sprintf("%s: Service %s/%s is managed by Rollout %q already; a Service belongs to one Rollout", at, ns, name, by))
	}
	return svc, nil
}

// endpoints looks at what the stable Service's endpoints are, at the one moment
// when that matters: the stable revision has just become another, and the
// weights are to go back to the stable destination, also when a new template
// has come meanwhile.
func (o *Observer) endpoints(ctx context.Context, w *World) error {
	s := &w.Snapshot
	if s.Router == nil || w.Stable == nil || s.Router.Weights.Canary == 0 {
		return nil
	}
	if s.Services.Stable != s.Status.Stable || s.Services.Canary != s.Status.Stable && s.Status.Current != s.Status.Stable {
		return nil
	}
	var list discoveryv1.EndpointSliceList
	err := o.Live.List(ctx, &list, client.InNamespace(w.Stable.Namespace),
		client.MatchingLabels{discoveryv1.LabelServiceName: w.Stable.Name})
	if err != nil {
		return fmt.Errorf("list the EndpointSlices of Service %s/%s: %w", w.Stable.Namespace, w.Stable.Name, err)
	}
	rs := w.ReplicaSets[s.Status.Stable]
	if rs == nil {
		return nil
	}
	s.Router.StableClean = clean(list.Items, rs.Name+"-", s.Pools[s.Status.Stable].Available)
	return nil
}

// clean reports whether the ready endpoints are pods whose name begins with
// prefix, at least want of them.
func clean(slices []discoveryv1.EndpointSlice, prefix string, want int32) bool {
	seen := map[string]bool{}
	for _, slice := range slices {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			if e.TargetRef == nil || !strings.HasPrefix(e.TargetRef.Name, prefix) {
				return false
			}
			seen[e.TargetRef.Name] = true
		}
	}
	return int32(len(seen)) >= max(want, 1)
}

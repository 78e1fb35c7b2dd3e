// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
)

// A Legacy is what a Rollout that is deleted leaves behind.
type Legacy struct {
	// Free are its Services whose pods are gone, or about to be.
	Free []corev1.Service
	// Held are its Services whose pods stay.
	Held []corev1.Service
	// Routes are the router's objects that it split its traffic in; nil if none
	// are known.
	Routes *Routes
}

// Legacy looks at what the Rollout called name leaves behind. going is that
// Rollout while finalizers hold it, and nil when it is not there. The Legacy of
// a Rollout that is there after all is empty.
func (o *Observer) Legacy(ctx context.Context, name types.NamespacedName, going *v1alpha1.Rollout) (*Legacy, error) {
	var svcs corev1.ServiceList
	if err := o.Cached.List(ctx, &svcs, client.InNamespace(name.Namespace), client.MatchingFields{IndexService: name.Name}); err != nil {
		return nil, fmt.Errorf("list the Services of Rollout %s: %w", name, err)
	}
	router := o.Routers.used(name)
	if len(svcs.Items) == 0 && router == nil {
		return &Legacy{}, nil
	}
	if going == nil {
		// The cache may not have seen a Rollout that was made again at once.
		if err := o.Live.Get(ctx, name, &v1alpha1.Rollout{}); !apierrors.IsNotFound(err) {
			return &Legacy{}, err //nolint:wrapcheck // it says which Rollout
		}
	}
	l := &Legacy{}
	for i := range svcs.Items {
		stays, err := stays(ctx, o.Live, &svcs.Items[i], going)
		if err != nil {
			return nil, err
		}
		if stays {
			l.Held = append(l.Held, svcs.Items[i])
		} else {
			l.Free = append(l.Free, svcs.Items[i])
		}
	}
	if router == nil {
		return l, nil
	}
	var err error
	l.Routes, err = o.Routers.routes(ctx, router)
	return l, err
}

// stays reports whether the pods stay that svc is pointed at. With a Rollout
// that is deleted they go, before it or after it, unless it was deleted with
// --cascade=orphan, or something else's finalizer holds it.
func stays(ctx context.Context, live client.Reader, svc *corev1.Service, going *v1alpha1.Rollout) (bool, error) {
	if going != nil {
		return !slices.Contains(going.Finalizers, metav1.FinalizerDeleteDependents), nil
	}
	hash := svc.Spec.Selector[v1alpha1.LabelPodTemplateHash]
	if hash == "" {
		return false, nil
	}
	var sets appsv1.ReplicaSetList
	err := live.List(ctx, &sets, client.InNamespace(svc.Namespace), client.MatchingLabels{v1alpha1.LabelPodTemplateHash: hash})
	if err != nil {
		return false, fmt.Errorf("list the ReplicaSets behind Service %s/%s: %w", svc.Namespace, svc.Name, err)
	}
	return slices.ContainsFunc(sets.Items, func(rs appsv1.ReplicaSet) bool {
		return metav1.GetControllerOf(&rs) == nil && rs.DeletionTimestamp == nil && (rs.Spec.Replicas == nil || *rs.Spec.Replicas > 0)
	}), nil
}

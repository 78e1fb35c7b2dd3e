// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/controller/retry"
)

// urgent is the priority of a run that has failed.
const urgent = 100

// Setup adds the controller to mgr, with threads passes at once. No pass waits
// for a provider, so few are enough. It must not be given a reconciliation
// time-out, which would end the measurements that a pass starts.
func (r *Reconciler) Setup(mgr ctrl.Manager, threads int) error {
	_, err := ctrl.NewControllerManagedBy(mgr).
		Named("analysis").
		For(&v1alpha1.AnalysisRun{}).
		WatchesRawSource(r.answers()).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: threads,
			RateLimiter:             retry.Limiter(),
		}).
		Build(r)
	if err != nil {
		return fmt.Errorf("set up the analysis controller: %w", err)
	}
	return nil
}

// answers connects measurements that have been taken to the queue.
func (r *Reconciler) answers() source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		r.wake = func(name types.NamespacedName, after time.Duration, first bool) {
			add(queue, reconcile.Request{NamespacedName: name}, after, first)
		}
		return nil
	})
}

func add(queue workqueue.TypedRateLimitingInterface[reconcile.Request], req reconcile.Request, after time.Duration, first bool) {
	pq, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request])
	if !ok {
		queue.AddAfter(req, after)
		return
	}
	opts := priorityqueue.AddOpts{After: after}
	if first {
		opts.Priority = new(urgent)
	}
	pq.AddWithOpts(opts, req)
}

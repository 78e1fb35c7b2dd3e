// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"fmt"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/controller/owner"
	"sluice.dev/sluice/internal/controller/retry"
	"sluice.dev/sluice/internal/observe"
)

// Setup adds the controller to mgr, with threads passes at once, for a
// namespace or, if that is empty, for all. The indexes of package observe must
// be in mgr's cache.
func (r *Reconciler) Setup(mgr ctrl.Manager, threads int, namespace string) error {
	bld := ctrl.NewControllerManagedBy(mgr).
		Named("rollout").
		For(&v1alpha1.Rollout{}).
		Watches(&appsv1.ReplicaSet{}, owner.Handler()).
		Watches(&v1alpha1.AnalysisRun{}, owner.Handler()).
		Watches(&corev1.Service{}, r.byIndex(observe.IndexService, serviceKey)).
		Watches(&v1alpha1.AnalysisTemplate{}, r.byIndex(observe.IndexTemplate, client.Object.GetName)).
		WatchesRawSource(r.verdicts()).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: threads,
			RateLimiter:             retry.Limiter(),
		})
	if namespace == "" {
		bld = bld.Watches(&v1alpha1.ClusterAnalysisTemplate{}, r.byIndex(observe.IndexTemplate, clusterKey))
	}
	c, err := bld.Build(r)
	if err != nil {
		return fmt.Errorf("set up the rollout controller: %w", err)
	}
	r.Observer.Routers.Watch = (&routeWatch{
		controller: c, live: mgr.GetAPIReader(), namespace: namespace, cache: mgr.GetCache(), handler: r.byIndex(observe.IndexRoute, routeKey),
	}).start
	return nil
}

// byIndex wakes the Rollouts whose index holds the key of the object that
// changed.
func (r *Reconciler) byIndex(index string, key func(client.Object) string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		var list v1alpha1.RolloutList
		opts := []client.ListOption{client.MatchingFields{index: key(obj)}, client.UnsafeDisableDeepCopy}
		if ns := obj.GetNamespace(); ns != "" && index != observe.IndexRoute {
			opts = append(opts, client.InNamespace(ns))
		}
		if err := r.Cached.List(ctx, &list, opts...); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list rollouts", "index", index, "object", client.ObjectKeyFromObject(obj))
			return nil
		}
		reqs := make([]reconcile.Request, 0, len(list.Items)+1)
		for i := range list.Items {
			reqs = append(reqs, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
		if by := obj.GetAnnotations()[v1alpha1.AnnotationManagedByRollouts]; by != "" {
			reqs = append(reqs, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: obj.GetNamespace(), Name: by}})
		}
		return reqs
	})
}

func serviceKey(obj client.Object) string { return obj.GetName() }
func clusterKey(obj client.Object) string { return "/" + obj.GetName() }
func routeKey(obj client.Object) string   { return obj.GetNamespace() + "/" + obj.GetName() }

// urgent is the priority of a rollout that is to be aborted.
const urgent = 100

// verdicts wakes a rollout for which a verdict was put up, before all others.
func (r *Reconciler) verdicts() source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case name := <-r.Board.Posted():
					add(queue, reconcile.Request{NamespacedName: name})
				}
			}
		}()
		return nil
	})
}

func add(queue workqueue.TypedRateLimitingInterface[reconcile.Request], req reconcile.Request) {
	if pq, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		pq.AddWithOpts(priorityqueue.AddOpts{Priority: new(urgent)}, req)
		return
	}
	queue.Add(req)
}

// A routeWatch starts a metadata watch for a kind of router object when a
// Rollout first needs it, so that none is needed of what is not installed.
type routeWatch struct {
	controller controller.Controller
	live       client.Reader
	namespace  string
	cache      cache.Cache
	handler    handler.EventHandler

	mu      sync.Mutex
	started map[schema.GroupVersionKind]bool
}

func (w *routeWatch) start(ctx context.Context, kind schema.GroupVersionKind) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started[kind] {
		return nil
	}
	// An informer that is denied what it asks for waits for ever, and so would
	// every worker that meets such a Rollout.
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := w.live.List(ctx, list, client.InNamespace(w.namespace), client.Limit(1)); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	head := &metav1.PartialObjectMetadata{}
	head.SetGroupVersionKind(kind)
	if _, err := w.cache.GetInformer(ctx, head); err != nil {
		return fmt.Errorf("start the informer: %w", err)
	}
	if err := w.controller.Watch(source.Kind[client.Object](w.cache, head, w.handler)); err != nil {
		return fmt.Errorf("start the watch: %w", err)
	}
	if w.started == nil {
		w.started = map[schema.GroupVersionKind]bool{}
	}
	w.started[kind] = true
	return nil
}

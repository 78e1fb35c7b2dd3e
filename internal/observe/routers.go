// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/traffic"
)

// Routes are the router's objects of one rollout as observed.
type Routes struct {
	Router  traffic.Router
	Refs    []traffic.Ref
	Objects []*unstructured.Unstructured
}

// Version is the resourceVersion that was observed of ref.
func (r *Routes) Version(ref traffic.Ref) string {
	for i, other := range r.Refs {
		if other == ref && r.Objects[i] != nil {
			return r.Objects[i].GetResourceVersion()
		}
	}
	return ""
}

// A RouteReader reads router objects. Only their metadata is watched; an
// object is read whole when its resourceVersion is not the one read last.
type RouteReader struct {
	// Make returns the router that a Rollout names. version answers which
	// version of a kind the API server has.
	Make func(ro *v1alpha1.Rollout, version func(schema.GroupKind) (string, error)) (traffic.Router, error)
	// Cached reads metadata, Live whole objects.
	Cached, Live client.Reader
	Mapper       meta.RESTMapper
	// Version is the version of networking.istio.io to use; empty asks Mapper.
	Version string
	// Watch starts watching a kind's metadata; it is called often.
	Watch func(ctx context.Context, kind schema.GroupVersionKind) error

	mu   sync.Mutex
	memo map[traffic.Ref]memo
	// routers are those of the Rollouts that split their traffic.
	routers map[types.NamespacedName]traffic.Router
}

// A memo is an object as read or written last. base is the resourceVersion
// that a write of ours replaced: a watch that still shows it is behind.
type memo struct {
	obj  *unstructured.Unstructured
	base string
}

// routes reads the router's objects and the split that they carry.
func (o *Observer) routes(ctx context.Context, w *World) error {
	name := client.ObjectKeyFromObject(w.Rollout)
	if !w.Snapshot.Spec.Routed || len(w.Snapshot.Problems) > 0 && w.Rollout.Spec.Strategy.Canary.TrafficRouting.Istio == nil {
		o.Routers.Drop(name)
		return nil
	}
	router, err := o.Routers.Make(w.Rollout, o.Routers.version)
	if err != nil {
		return w.faults(err)
	}
	routes, err := o.Routers.routes(ctx, router)
	if err != nil {
		return err
	}
	o.Routers.use(name, router)
	seen, err := router.Observe(routes.Objects)
	if err != nil {
		if problem := w.faults(err); problem != nil {
			return problem
		}
	}
	if err != nil && len(present(routes.Objects)) == 0 {
		return nil
	}
	w.Routes = routes
	w.Snapshot.Router = &rollout.Router{
		Weights:        rollout.Weights(seen.Weights),
		Aborted:        rollout.Revision(seen.Latch.Revision),
		AbortedAttempt: seen.Latch.Attempt,
	}
	return nil
}

// routes reads the objects of router.
func (r *RouteReader) routes(ctx context.Context, router traffic.Router) (*Routes, error) {
	routes := &Routes{Router: router, Refs: router.Refs()}
	for _, ref := range routes.Refs {
		obj, err := r.read(ctx, ref)
		if err != nil {
			return nil, err
		}
		routes.Objects = append(routes.Objects, obj)
	}
	return routes, nil
}

func present(objs []*unstructured.Unstructured) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, o := range objs {
		if o != nil {
			out = append(out, o)
		}
	}
	return out
}

// faults takes down what a person can mend as problems, and returns the rest.
func (w *World) faults(err error) error {
	problems := traffic.Problems(err)
	for _, p := range problems {
		w.problem(p.Error())
	}
	if len(problems) > 0 {
		return nil
	}
	if meta.IsNoMatchError(err) {
		w.problem(err.Error() + ": is Istio installed? spec.strategy.canary.trafficRouting.istio needs its VirtualService")
		return nil
	}
	return err
}

// version returns the version to use of a kind.
func (r *RouteReader) version(kind schema.GroupKind) (string, error) {
	if r.Version != "" {
		return r.Version, nil
	}
	mapping, err := r.Mapper.RESTMapping(kind)
	if err != nil {
		return "", fmt.Errorf("find the version of %s: %w", kind, err)
	}
	return mapping.GroupVersionKind.Version, nil
}

// read returns the object that ref names, or nil if there is none.
func (r *RouteReader) read(ctx context.Context, ref traffic.Ref) (*unstructured.Unstructured, error) {
	if r.Watch != nil {
		if err := r.Watch(ctx, ref.GroupVersionKind); err != nil {
			return nil, fmt.Errorf("watch %s: %w", ref.Kind, err)
		}
	}
	key := client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}
	head := &metav1.PartialObjectMetadata{}
	head.SetGroupVersionKind(ref.GroupVersionKind)
	if err := r.Cached.Get(ctx, key, head); err != nil {
		r.forget(ref)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("get %s: %w", ref, err)
	}
	if m := r.remembered(ref); m.obj != nil && (m.obj.GetResourceVersion() == head.ResourceVersion || m.base == head.ResourceVersion) {
		return m.obj, nil
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(ref.GroupVersionKind)
	if err := r.Live.Get(ctx, key, obj); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("get %s: %w", ref, err)
	}
	r.Remember(ref, obj, "")
	return obj, nil
}

// Remember keeps obj as the newest state of ref. base is the resourceVersion
// that it replaced, if a write of ours made it.
func (r *RouteReader) Remember(ref traffic.Ref, obj *unstructured.Unstructured, base string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memo == nil {
		r.memo = map[traffic.Ref]memo{}
	}
	obj.SetManagedFields(nil)
	r.memo[ref] = memo{obj: obj, base: base}
}

func (r *RouteReader) remembered(ref traffic.Ref) memo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.memo[ref]
}

func (r *RouteReader) forget(ref traffic.Ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.memo, ref)
}

// use keeps the router of the Rollout called name: nobody can be asked for it
// any more once that is deleted.
func (r *RouteReader) use(name types.NamespacedName, router traffic.Router) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.routers == nil {
		r.routers = map[types.NamespacedName]traffic.Router{}
	}
	r.routers[name] = router
}

func (r *RouteReader) used(name types.NamespacedName) traffic.Router {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.routers[name]
}

// Drop forgets the router of a Rollout, which does not split its traffic any
// more.
func (r *RouteReader) Drop(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.routers, name)
}

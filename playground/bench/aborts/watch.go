// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package aborts

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/playground/bench/rig"
)

// A watcher sees every change of the Rollouts and of the VirtualServices.
type watcher struct {
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	weights map[string]moment
	phases  map[string]string
	changed chan struct{}
}

// A moment is a canary's weight and since when it has been seen.
type moment struct {
	weight int64
	since  time.Time
}

func watching(ctx context.Context, c client.WithWatch) (*watcher, error) {
	w := &watcher{weights: map[string]moment{}, phases: map[string]string{}, changed: make(chan struct{})}
	ctx, w.cancel = context.WithCancel(ctx)
	for kind, see := range map[schema.GroupVersionKind]func(*unstructured.Unstructured){
		{Group: "networking.istio.io", Version: "v1", Kind: "VirtualServiceList"}: w.route,
		{Group: "argoproj.io", Version: "v1alpha1", Kind: "RolloutList"}:          w.rollout,
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		watch, err := c.Watch(ctx, list, client.InNamespace(rig.Namespace))
		if err != nil {
			w.stop()
			return nil, fmt.Errorf("watch %s: %w", kind.Kind, err)
		}
		w.running.Go(func() {
			for watch != nil {
				drain(ctx, watch, see)
				// The API server ends the watches of clients that are slow; a new
				// one begins with everything that is there.
				if watch, err = c.Watch(ctx, list, client.InNamespace(rig.Namespace)); err != nil {
					return
				}
			}
		})
	}
	return w, nil
}

// drain shows what a watch yields until it or ctx ends.
func drain(ctx context.Context, watch watch.Interface, see func(*unstructured.Unstructured)) {
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, open := <-watch.ResultChan():
			if !open {
				return
			}
			if o, ok := e.Object.(*unstructured.Unstructured); ok {
				see(o)
			}
		}
	}
}

func (w *watcher) stop() {
	w.cancel()
	w.running.Wait()
}

func (w *watcher) route(o *unstructured.Unstructured) {
	now := time.Now()
	weight, ok := weightOf(o)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, known := w.weights[o.GetName()]; !known || was.weight != weight {
		w.weights[o.GetName()] = moment{weight, now}
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// weightOf is the weight of a VirtualService's second destination.
func weightOf(o *unstructured.Unstructured) (int64, bool) {
	routes, _, _ := unstructured.NestedSlice(o.Object, "spec", "http")
	if len(routes) == 0 {
		return 0, false
	}
	first, _ := routes[0].(map[string]any)
	destinations, _, _ := unstructured.NestedSlice(first, "route")
	if len(destinations) < 2 {
		return 0, false
	}
	second, _ := destinations[1].(map[string]any)
	weight, _, err := unstructured.NestedInt64(second, "weight")
	return weight, err == nil
}

func (w *watcher) rollout(o *unstructured.Unstructured) {
	phase, _, _ := unstructured.NestedString(o.Object, "status", "phase")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phases[o.GetName()] = phase
}

func (w *watcher) phase(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.phases[name]
}

func (w *watcher) weight(name string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.weights[name].weight
}

func (w *watcher) describe(name string) string {
	return fmt.Sprintf("it is %s with the canary at %d %%", w.phase(name), w.weight(name))
}

// zero waits until the canary's weight is 0 and returns since when it has been.
func (w *watcher) zero(ctx context.Context, name string) (time.Time, error) {
	timeout := time.After(patience)
	for {
		w.mu.Lock()
		now, changed := w.weights[name], w.changed
		w.mu.Unlock()
		if now.weight == 0 {
			return now.since, nil
		}
		select {
		case <-changed:
		case <-timeout:
			return time.Time{}, fmt.Errorf("%s was not aborted after %s; %s", name, patience, w.describe(name))
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
}

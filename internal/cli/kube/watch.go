// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/view"
)

// A Watch keeps a Rollout and what belongs to it up to date.
type Watch struct {
	// Changed receives a value after a change, also one of Lost. Changes that
	// come before it is read are one.
	Changed chan struct{}

	stores []cache.Store
	synced []cache.InformerSynced

	mu   sync.Mutex
	lost map[string]error
}

func newWatch() *Watch {
	return &Watch{Changed: make(chan struct{}, 1), lost: map[string]error{}}
}

// Watch starts to follow a Rollout until ctx ends. A connection that drops is
// made again.
func (c *Client) Watch(ctx context.Context, ro *v1alpha1.Rollout) (*Watch, error) {
	w := newWatch()
	for _, s := range c.sources(ro) {
		if err := w.follow(ctx, c.Namespace, s); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// WatchAll starts to follow all Rollouts of a namespace, or of all of them.
func (c *Client) WatchAll(ctx context.Context, namespace string) (*Watch, error) {
	w := newWatch()
	err := w.follow(ctx, namespace, source{c.argo, Rollouts, metav1.ListOptions{}, &v1alpha1.RolloutList{}, &v1alpha1.Rollout{}})
	return w, err
}

// WatchRollout starts to follow a Rollout alone.
func (c *Client) WatchRollout(ctx context.Context, name string) (*Watch, error) {
	w := newWatch()
	self := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()}
	err := w.follow(ctx, c.Namespace, source{c.argo, Rollouts, self, &v1alpha1.RolloutList{}, &v1alpha1.Rollout{}})
	return w, err
}

// WatchExperiment starts to follow an Experiment and its AnalysisRuns.
func (c *Client) WatchExperiment(ctx context.Context, name string) (*Watch, error) {
	w := newWatch()
	self := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()}
	for _, s := range []source{
		{c.argo, Experiments, self, &v1alpha1.ExperimentList{}, &v1alpha1.Experiment{}},
		{c.argo, AnalysisRuns, metav1.ListOptions{}, &v1alpha1.AnalysisRunList{}, &v1alpha1.AnalysisRun{}},
	} {
		if err := w.follow(ctx, c.Namespace, s); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *Watch) follow(ctx context.Context, namespace string, s source) error {
	probe := s
	probe.options.Limit = 1
	if err := probe.get(ctx, namespace); err != nil && hidden(err) {
		return nil
	}
	lw := cache.NewFilteredListWatchFromClient(s.client, s.resource, namespace, func(o *metav1.ListOptions) {
		o.LabelSelector, o.FieldSelector = s.options.LabelSelector, s.options.FieldSelector
	})
	w.attend(lw, s.resource)
	informer := cache.NewSharedInformer(lw, s.object, 0)
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { w.poke() },
		UpdateFunc: func(any, any) { w.poke() },
		DeleteFunc: func(any) { w.poke() },
	})
	if err != nil {
		return fmt.Errorf("follow %s: %w", s.resource, err)
	}
	w.stores = append(w.stores, informer.GetStore())
	w.synced = append(w.synced, registration.HasSynced)
	go informer.RunWithContext(ctx)
	return nil
}

// attend notes whether requests get through. The library itself is silent
// about a server that refuses connections.
func (w *Watch) attend(lw *cache.ListWatch, resource string) {
	list, follow := lw.ListWithContextFunc, lw.WatchFuncWithContext
	lw.ListWithContextFunc = func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		object, err := list(ctx, o)
		w.note(ctx, resource, err)
		return object, err
	}
	lw.WatchFuncWithContext = func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		events, err := follow(ctx, o)
		w.note(ctx, resource, err)
		return events, err
	}
}

func (w *Watch) note(ctx context.Context, resource string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := len(w.lost)
	if err != nil && ctx.Err() == nil {
		w.lost[resource] = err
	} else {
		delete(w.lost, resource)
	}
	if (before > 0) != (len(w.lost) > 0) {
		w.poke()
	}
}

// Lost is why nothing is heard from the API server, or nil. It is tried again
// meanwhile.
func (w *Watch) Lost() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for resource, err := range w.lost {
		if unreachable, ok := errors.AsType[*url.Error](err); ok {
			return unreachable.Err
		}
		return fmt.Errorf("%s: %w", resource, err)
	}
	return nil
}

func (w *Watch) poke() {
	select {
	case w.Changed <- struct{}{}:
	default:
	}
}

// Synced waits until everything has been read once, for at most limit.
func (w *Watch) Synced(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return cache.WaitForCacheSync(ctx.Done(), w.synced...)
}

// Objects are what is known now; the Rollout is nil when it is gone.
func (w *Watch) Objects() view.Objects {
	var o view.Objects
	for _, s := range w.stores {
		for _, item := range s.List() {
			switch x := item.(type) {
			case *v1alpha1.Rollout:
				o.Rollout = x
			case *appsv1.ReplicaSet:
				o.ReplicaSets = append(o.ReplicaSets, *x)
			case *corev1.Pod:
				o.Pods = append(o.Pods, *x)
			case *v1alpha1.AnalysisRun:
				o.AnalysisRuns = append(o.AnalysisRuns, *x)
			case *v1alpha1.Experiment:
				o.Experiments = append(o.Experiments, *x)
			}
		}
	}
	return o
}

// All are the Rollouts that are known now.
func (w *Watch) All() []v1alpha1.Rollout {
	var out []v1alpha1.Rollout
	for _, s := range w.stores {
		for _, item := range s.List() {
			if ro, ok := item.(*v1alpha1.Rollout); ok {
				out = append(out, *ro)
			}
		}
	}
	return out
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/view"
)

func unmarshal(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}

// A source is one kind of object that a view shows.
type source struct {
	client   *rest.RESTClient
	resource string
	options  metav1.ListOptions
	list     runtime.Object
	object   runtime.Object
}

// sources are what a Rollout's view is made of, the Rollout first.
func (c *Client) sources(ro *v1alpha1.Rollout) []source {
	owned := metav1.ListOptions{LabelSelector: Selector(ro)}
	hashed := metav1.ListOptions{LabelSelector: v1alpha1.LabelPodTemplateHash}
	self := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", ro.Name).String()}
	return []source{
		{c.argo, Rollouts, self, &v1alpha1.RolloutList{}, &v1alpha1.Rollout{}},
		{c.apps, "replicasets", owned, &appsv1.ReplicaSetList{}, &appsv1.ReplicaSet{}},
		{c.core, "pods", owned, &corev1.PodList{}, &corev1.Pod{}},
		{c.argo, AnalysisRuns, hashed, &v1alpha1.AnalysisRunList{}, &v1alpha1.AnalysisRun{}},
		{c.argo, Experiments, hashed, &v1alpha1.ExperimentList{}, &v1alpha1.Experiment{}},
	}
}

func (s source) get(ctx context.Context, namespace string) error {
	err := s.client.Get().Namespace(namespace).Resource(s.resource).
		VersionedParams(&s.options, scheme.ParameterCodec).Do(ctx).Into(s.list)
	if err != nil {
		return fmt.Errorf("list %s: %w", s.resource, err)
	}
	return nil
}

// hidden reports whether err means that a kind cannot be shown at all: it is
// left out then, because a person who may see less must still see the rest.
func hidden(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) }

// Objects reads a Rollout and what belongs to it. hiddenKinds are those that
// we may not see.
func (c *Client) Objects(ctx context.Context, name string) (o view.Objects, hiddenKinds []string, err error) {
	ro := &v1alpha1.Rollout{}
	if err := c.Get(ctx, Rollouts, name, ro); err != nil {
		return o, nil, err
	}
	o.Rollout = ro
	for _, s := range c.sources(ro)[1:] {
		err := s.get(ctx, c.Namespace)
		switch {
		case err != nil && hidden(err):
			hiddenKinds = append(hiddenKinds, s.resource)
			continue
		case err != nil:
			return o, nil, err
		}
		switch list := s.list.(type) {
		case *appsv1.ReplicaSetList:
			o.ReplicaSets = list.Items
		case *corev1.PodList:
			o.Pods = list.Items
		case *v1alpha1.AnalysisRunList:
			o.AnalysisRuns = list.Items
		case *v1alpha1.ExperimentList:
			o.Experiments = list.Items
		}
	}
	return o, hiddenKinds, nil
}

// A Watch keeps a Rollout and what belongs to it up to date.
type Watch struct {
	// Changed receives a value after a change. Changes that come before it is
	// read are one.
	Changed chan struct{}
	// Lost receives what went wrong with the connection; it is tried again
	// meanwhile.
	Lost chan error

	stores []cache.Store
	synced []cache.InformerSynced
}

// Watch starts to follow a Rollout until ctx ends. A connection that drops is
// made again.
func (c *Client) Watch(ctx context.Context, ro *v1alpha1.Rollout) (*Watch, error) {
	w := &Watch{Changed: make(chan struct{}, 1), Lost: make(chan error, 1)}
	for _, s := range c.sources(ro) {
		if err := w.follow(ctx, c.Namespace, s); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// WatchAll starts to follow all Rollouts of a namespace, or of all of them.
func (c *Client) WatchAll(ctx context.Context, namespace string) (*Watch, error) {
	w := &Watch{Changed: make(chan struct{}, 1), Lost: make(chan error, 1)}
	err := w.follow(ctx, namespace, source{c.argo, Rollouts, metav1.ListOptions{}, &v1alpha1.RolloutList{}, &v1alpha1.Rollout{}})
	return w, err
}

// WatchRollout starts to follow a Rollout alone.
func (c *Client) WatchRollout(ctx context.Context, name string) (*Watch, error) {
	w := &Watch{Changed: make(chan struct{}, 1), Lost: make(chan error, 1)}
	self := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()}
	err := w.follow(ctx, c.Namespace, source{c.argo, Rollouts, self, &v1alpha1.RolloutList{}, &v1alpha1.Rollout{}})
	return w, err
}

// WatchExperiment starts to follow an Experiment and its AnalysisRuns.
func (c *Client) WatchExperiment(ctx context.Context, name string) (*Watch, error) {
	w := &Watch{Changed: make(chan struct{}, 1), Lost: make(chan error, 1)}
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
	informer := cache.NewSharedInformer(lw, s.object, 0)
	err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		select {
		case w.Lost <- err:
		default:
		}
	})
	if err != nil {
		return fmt.Errorf("follow %s: %w", s.resource, err)
	}
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

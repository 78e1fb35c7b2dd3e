// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package peer_test

import (
	"fmt"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
)

// A witness writes down everything in a namespace that users would feel: pods
// that come and go, sizes of ReplicaSets, weights, and what Services select.
type witness struct {
	*release
	cl client.WithWatch

	mu       sync.Mutex
	changes  []string
	versions map[string]string // resourceVersions, by kind and name
	felt     map[string]string
}

// witness begins to look.
func (r *release) witness() *witness {
	r.Helper()
	config := r.Cluster.Config()
	config.QPS = -1
	cl, err := client.NewWithWatch(config, client.Options{Scheme: r.Client.Scheme()})
	if err != nil {
		r.Fatal(err)
	}
	w := &witness{release: r, cl: cl, versions: map[string]string{}, felt: map[string]string{}}
	for _, list := range w.kinds() {
		for _, obj := range w.list(list) {
			w.versions[key(obj)], w.felt[key(obj)] = obj.GetResourceVersion(), feel(obj)
		}
		stream, err := cl.Watch(r.Context(), list, client.InNamespace(r.ns), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}})
		if err != nil {
			r.Fatal(err)
		}
		r.Cleanup(stream.Stop)
		go w.follow(stream)
	}
	return w
}

func (r *release) kinds() []client.ObjectList {
	kinds := []client.ObjectList{&corev1.PodList{}, &appsv1.ReplicaSetList{}, &corev1.ServiceList{}}
	if r.plan.file != plain {
		routes := &unstructured.UnstructuredList{}
		routes.SetGroupVersionKind(virtualServices)
		kinds = append(kinds, routes)
	}
	return kinds
}

// list reads all objects of a kind.
func (w *witness) list(list client.ObjectList) []client.Object {
	w.Helper()
	if err := w.cl.List(w.Context(), list, client.InNamespace(w.ns)); err != nil {
		w.Fatal(err)
	}
	var out []client.Object
	err := meta.EachListItem(list, func(obj runtime.Object) error {
		out = append(out, obj.(client.Object))
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return out
}

func (w *witness) follow(stream watch.Interface) {
	for e := range stream.ResultChan() {
		obj, ok := e.Object.(client.Object)
		if !ok {
			continue
		}
		now := feel(obj)
		if e.Type == watch.Deleted {
			now = "gone"
		}
		w.mu.Lock()
		k := key(obj)
		if w.felt[k] != now {
			w.changes = append(w.changes, fmt.Sprintf("%s: %q became %q", k, w.felt[k], now))
		}
		w.versions[k], w.felt[k] = obj.GetResourceVersion(), now
		w.mu.Unlock()
	}
}

// seen returns the changes until now.
func (w *witness) seen() []string {
	w.Helper()
	w.Eventually("the witness has seen everything", func() error {
		for _, kind := range w.kinds() {
			for _, obj := range w.list(kind) {
				w.mu.Lock()
				seen := w.versions[key(obj)]
				w.mu.Unlock()
				if seen != obj.GetResourceVersion() {
					return fmt.Errorf("%s is at %s, seen at %s", key(obj), obj.GetResourceVersion(), seen)
				}
			}
		}
		return nil
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changes)
}

func key(obj client.Object) string { return fmt.Sprintf("%T %s", obj, obj.GetName()) }

// feel is what users would feel of an object.
func feel(obj client.Object) string {
	switch obj := obj.(type) {
	case *corev1.Pod:
		if obj.DeletionTimestamp != nil {
			return "on its way out"
		}
		return "there"
	case *appsv1.ReplicaSet:
		return fmt.Sprintf("%d pods", *obj.Spec.Replicas)
	case *corev1.Service:
		return obj.Spec.Selector[v1alpha1.LabelPodTemplateHash]
	case *unstructured.Unstructured:
		return split(obj)
	}
	return ""
}

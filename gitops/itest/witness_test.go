// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package itest_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/gitops/scripts"
)

// A witness writes down every state that the objects of an application are in.
type witness struct {
	*service
	mu     sync.Mutex
	states map[string][]*unstructured.Unstructured // by kind, in order
}

// witness begins to look.
func (s *service) witness() *witness {
	s.Helper()
	config := s.Cluster.Config()
	config.QPS = -1
	cl, err := client.NewWithWatch(config, client.Options{Scheme: s.Client.Scheme()})
	if err != nil {
		s.Fatal(err)
	}
	w := &witness{service: s, states: map[string][]*unstructured.Unstructured{}}
	for kind, ns := range map[schema.GroupVersionKind]string{
		v1alpha1.SchemeGroupVersion.WithKind("Rollout"):     s.ns,
		v1alpha1.SchemeGroupVersion.WithKind("AnalysisRun"): s.ns,
		virtualServices: s.ns,
		corev1.SchemeGroupVersion.WithKind("Service"): s.ns,
		corev1.SchemeGroupVersion.WithKind("Pod"):     s.ns,
		applications: argoNamespace,
		{Group: "apps", Version: "v1", Kind: "ReplicaSet"}: s.ns,
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		stream, err := cl.Watch(s.Context(), list, client.InNamespace(ns))
		if meta.IsNoMatchError(err) && kind == applications {
			continue // Argo CD is not installed
		}
		if err != nil {
			s.Fatal(err)
		}
		s.Cleanup(stream.Stop)
		go w.follow(kind.Kind, stream)
	}
	return w
}

func (w *witness) follow(kind string, stream watch.Interface) {
	for e := range stream.ResultChan() {
		obj, ok := e.Object.(*unstructured.Unstructured)
		if !ok || kind == "Application" && obj.GetName() != w.ns {
			continue
		}
		if e.Type == watch.Deleted {
			obj.SetKind("Deleted" + kind)
		}
		w.mu.Lock()
		w.states[kind] = append(w.states[kind], obj)
		w.mu.Unlock()
	}
}

// seen are the states of a kind until now: the witness has seen the object that is
// named as it is now.
func (w *witness) seen(kind schema.GroupVersionKind, name string) []*unstructured.Unstructured {
	w.Helper()
	ns := w.ns
	if kind == applications {
		ns = argoNamespace
	}
	now := &unstructured.Unstructured{}
	now.SetGroupVersionKind(kind)
	if err := w.Client.Get(w.Context(), client.ObjectKey{Namespace: ns, Name: name}, now); err != nil {
		w.Fatal(err)
	}
	var states []*unstructured.Unstructured
	w.Eventually("the witness has seen "+name, func() error {
		states = w.all(kind.Kind)
		for _, obj := range states {
			if obj.GetName() == name && obj.GetResourceVersion() == now.GetResourceVersion() {
				return nil
			}
		}
		return fmt.Errorf("it is at %s", now.GetResourceVersion())
	})
	return states
}

// all are the states of a kind until now.
func (w *witness) all(kind string) []*unstructured.Unstructured {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.states[kind])
}

// splits are the weights that the VirtualService went through.
func (w *witness) splits() []string {
	w.Helper()
	var out []string
	for _, obj := range w.seen(virtualServices, "checkout-vsvc") {
		out = append(out, split(obj))
	}
	return slices.Compact(out)
}

// selected are the revisions that a Service selected, one after the other.
func (w *witness) selected(name string) []string {
	w.Helper()
	var out []string
	for _, obj := range w.seen(corev1.SchemeGroupVersion.WithKind("Service"), name) {
		if obj.GetName() == name {
			hash, _, _ := unstructured.NestedString(obj.Object, "spec", "selector", v1alpha1.LabelPodTemplateHash)
			out = append(out, hash)
		}
	}
	return slices.Compact(out)
}

// born and gone are the names of the objects of a kind that came and went.
func (w *witness) born(kind string) (born, gone []string) {
	for _, obj := range w.all(kind) {
		switch name := obj.GetName(); {
		case obj.GetKind() != kind:
			gone = append(gone, name)
		case !slices.Contains(born, name):
			born = append(born, name)
		}
	}
	return born, gone
}

// A verdict is what Argo CD says of the health of an object in one state.
type verdict struct {
	scripts.Health
	of *unstructured.Unstructured
}

// health judges objects by Argo CD's own scripts.
func (w *witness) health(objects []*unstructured.Unstructured) []verdict {
	w.Helper()
	verdicts := make([]verdict, len(objects))
	for i, obj := range objects {
		h, err := scripts.JudgeHealth(obj)
		if err != nil {
			w.Fatal(err)
		}
		verdicts[i] = verdict{Health: h, of: obj}
	}
	return verdicts
}

// split is how a VirtualService shares the traffic out.
func split(vs *unstructured.Unstructured) string {
	routes, _, _ := unstructured.NestedSlice(vs.Object, "spec", "http")
	var out []string
	for _, r := range routes {
		destinations, _, _ := unstructured.NestedSlice(r.(map[string]any), "route")
		for _, d := range destinations {
			w, _, _ := unstructured.NestedInt64(d.(map[string]any), "weight")
			out = append(out, fmt.Sprint(w))
		}
	}
	return strings.Join(out, "/")
}

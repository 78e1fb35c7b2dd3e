// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kill

import (
	"cmp"
	"slices"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/itest/bed"
)

// A version is one state of an object, as it was stored.
type version struct {
	at  int64 // resourceVersion: etcd's order over all objects
	obj *unstructured.Unstructured
}

// A history is every state that was ever stored of the kinds that matter. It
// comes from watches that begin before there is anything: the audit log lacks
// the writes whose client was killed before it had the answer.
type history struct {
	mu    sync.Mutex
	all   []version
	ended bool
	// stirred has something whenever the controller's work has just changed.
	stirred chan struct{}
}

var kinds = []schema.GroupVersionKind{
	{Group: "networking.istio.io", Version: "v1beta1", Kind: "VirtualServiceList"},
	{Group: "apps", Version: "v1", Kind: "ReplicaSetList"},
	{Version: "v1", Kind: "ServiceList"},
	v1alpha1.SchemeGroupVersion.WithKind("RolloutList"),
	v1alpha1.SchemeGroupVersion.WithKind("AnalysisRunList"),
}

// record begins a history, which must be before the first object is created.
func record(b *bed.Bed) *history {
	b.Helper()
	cl, err := client.NewWithWatch(b.Cluster.Config(), client.Options{Scheme: b.Client.Scheme()})
	if err != nil {
		b.Fatal(err)
	}
	h := &history{stirred: make(chan struct{}, 1)}
	for _, kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		w, err := cl.Watch(b.Context(), list, client.InNamespace(namespace))
		if err != nil {
			b.Fatal(err)
		}
		stop := make(chan struct{})
		b.Cleanup(func() { close(stop); w.Stop() })
		go h.follow(w, stop)
	}
	return h
}

func (h *history) follow(w watch.Interface, stop <-chan struct{}) {
	for e := range w.ResultChan() {
		obj, ok := e.Object.(*unstructured.Unstructured)
		if !ok || e.Type == watch.Deleted {
			continue
		}
		at, err := strconv.ParseInt(obj.GetResourceVersion(), 10, 64)
		if err != nil {
			continue
		}
		h.mu.Lock()
		h.all = append(h.all, version{at, obj})
		h.mu.Unlock()
		select {
		case h.stirred <- struct{}{}:
		default:
		}
	}
	select {
	case <-stop:
	default: // somebody else ended it
		h.mu.Lock()
		h.ended = true
		h.mu.Unlock()
	}
}

// versions returns what was stored, in the order in which etcd did.
func (h *history) versions() (all []version, whole bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all = slices.Clone(h.all)
	slices.SortFunc(all, func(a, b version) int { return cmp.Compare(a.at, b.at) })
	return all, !h.ended
}

func number(obj *unstructured.Unstructured, path ...string) int64 {
	v, _, _ := unstructured.NestedFieldNoCopy(obj.Object, path...)
	switch n := v.(type) {
	case float64:
		return int64(n)
	case int64:
		return n
	}
	return 0
}

func text(obj *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(obj.Object, path...)
	return s
}

func truth(obj *unstructured.Unstructured, path ...string) bool {
	b, _, _ := unstructured.NestedBool(obj.Object, path...)
	return b
}

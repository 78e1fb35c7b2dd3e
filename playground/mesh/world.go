// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package mesh

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// A world is what the mesh was told of Kubernetes.
type world struct {
	mu              sync.Mutex
	services        map[types.NamespacedName]*corev1.Service
	slices          map[types.NamespacedName]*discoveryv1.EndpointSlice
	pods            map[types.NamespacedName]*corev1.Pod
	virtualServices map[types.NamespacedName]*unstructured.Unstructured
}

func newWorld() world {
	return world{
		services:        map[types.NamespacedName]*corev1.Service{},
		slices:          map[types.NamespacedName]*discoveryv1.EndpointSlice{},
		pods:            map[types.NamespacedName]*corev1.Pod{},
		virtualServices: map[types.NamespacedName]*unstructured.Unstructured{},
	}
}

// Observe takes in a new or changed Service, EndpointSlice, Pod or (unstructured)
// VirtualService; requests follow it from then on. Objects of other kinds are
// ignored. The object must not be changed afterwards.
func (m *Mesh) Observe(obj any) {
	o, ok := obj.(metav1.Object)
	if !ok {
		return
	}
	m.change(func(w *world) {
		key := types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
		switch o := obj.(type) {
		case *corev1.Service:
			w.services[key] = o
		case *discoveryv1.EndpointSlice:
			w.slices[key] = o
		case *corev1.Pod:
			w.pods[key] = o
		case *unstructured.Unstructured:
			w.virtualServices[key] = o
		}
	})
}

// Forget takes out an object that was deleted.
func (m *Mesh) Forget(obj any) {
	o, ok := obj.(metav1.Object)
	if !ok {
		return
	}
	m.change(func(w *world) {
		key := types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
		switch obj.(type) {
		case *corev1.Service:
			delete(w.services, key)
		case *discoveryv1.EndpointSlice:
			delete(w.slices, key)
		case *corev1.Pod:
			delete(w.pods, key)
		case *unstructured.Unstructured:
			delete(w.virtualServices, key)
		}
	})
}

// change makes f's change to the world, and the table that follows from it.
func (m *Mesh) change(f func(*world)) {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	f(&m.world)
	t := m.world.build()
	m.table.Store(t)
	m.timeline.note(m.now(), t, m.world.services)
}

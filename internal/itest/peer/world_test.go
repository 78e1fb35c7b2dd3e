// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package peer_test

import (
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
)

var virtualServices = schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1beta1", Kind: "VirtualServiceList"}

// size is how many pods the ReplicaSet of a revision asks for.
func (r *release) size(hash string) int32 {
	for _, rs := range r.replicaSets() {
		if rs.Labels[v1alpha1.LabelPodTemplateHash] == hash {
			return *rs.Spec.Replicas
		}
	}
	return 0
}

// image is the version of a revision.
func (r *release) image(hash string) string {
	for _, rs := range r.replicaSets() {
		if rs.Labels[v1alpha1.LabelPodTemplateHash] == hash {
			_, version, _ := strings.Cut(rs.Spec.Template.Spec.Containers[0].Image, ":")
			return version
		}
	}
	return ""
}

func (r *release) replicaSets() []appsv1.ReplicaSet {
	r.Helper()
	list := &appsv1.ReplicaSetList{}
	if err := r.Client.List(r.Context(), list, client.InNamespace(r.ns)); err != nil {
		r.Fatal(err)
	}
	return list.Items
}

func (r *release) runs() []v1alpha1.AnalysisRun {
	r.Helper()
	list := &v1alpha1.AnalysisRunList{}
	if err := r.Client.List(r.Context(), list, client.InNamespace(r.ns)); err != nil {
		r.Fatal(err)
	}
	return list.Items
}

// pods are the UIDs of the pods that are not on their way out.
func (r *release) pods() []string {
	r.Helper()
	list := &corev1.PodList{}
	if err := r.Client.List(r.Context(), list, client.InNamespace(r.ns)); err != nil {
		r.Fatal(err)
	}
	var out []string
	for _, p := range list.Items {
		if p.DeletionTimestamp.IsZero() {
			out = append(out, p.Labels[v1alpha1.LabelPodTemplateHash]+" "+string(p.UID))
		}
	}
	slices.Sort(out)
	return out
}

func (r *release) virtualService() *unstructured.Unstructured {
	r.Helper()
	vs := &unstructured.Unstructured{}
	vs.SetGroupVersionKind(schema.GroupVersionKind{Group: virtualServices.Group, Version: virtualServices.Version, Kind: "VirtualService"})
	if err := r.Client.Get(r.Context(), client.ObjectKey{Namespace: r.ns, Name: name}, vs); err != nil {
		r.Fatal(err)
	}
	return vs
}

// weights are those of the stable and the canary Service.
func (r *release) weights() string { r.Helper(); return split(r.virtualService()) }

// split is what a VirtualService gives to its destinations.
func split(vs *unstructured.Unstructured) string {
	var out []string
	routes, _, _ := unstructured.NestedSlice(vs.Object, "spec", "http")
	for _, route := range routes {
		dests, _, _ := unstructured.NestedSlice(route.(map[string]any), "route")
		for _, d := range dests {
			w, _, _ := unstructured.NestedInt64(d.(map[string]any), "weight")
			out = append(out, strconv.FormatInt(w, 10))
		}
	}
	return strings.Join(out, "/")
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package rollout_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var virtualServices = schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1beta1", Kind: "VirtualServiceList"}

// weights follows the splits that the VirtualService of ns goes through.
func weights(t *testing.T, b *bed.Bed, ns string) func() []string {
	t.Helper()
	cl, err := client.NewWithWatch(b.Cluster.Config(), client.Options{Scheme: b.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(virtualServices)
	w, err := cl.Watch(t.Context(), list, client.InNamespace(ns))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1000)
	go func() {
		defer close(seen)
		for e := range w.ResultChan() {
			if obj, ok := e.Object.(*unstructured.Unstructured); ok && e.Type != watch.Deleted {
				seen <- split(obj)
			}
		}
	}()
	return func() []string {
		w.Stop()
		var out []string
		for s := range seen {
			out = append(out, s)
		}
		return slices.Compact(out)
	}
}

func split(vs *unstructured.Unstructured) string {
	routes, _, _ := unstructured.NestedSlice(vs.Object, "spec", "http")
	var out []string
	for _, r := range routes {
		dests, _, _ := unstructured.NestedSlice(r.(map[string]any), "route")
		for _, d := range dests {
			w, _, _ := unstructured.NestedInt64(d.(map[string]any), "weight")
			out = append(out, fmt.Sprint(w))
		}
	}
	return strings.Join(out, "/")
}

func TestTheWeightsClimbAndReturn(t *testing.T) {
	b := bed.New(t, cluster.Options{})
	b.Controller()
	b.Namespace("payments")
	ro := read(t, "rollout.yaml")
	// The guide's Rollout without its analyses: they have tests of their own.
	noAnalysis := ro[:strings.Index(ro, "      # background guard")] + `      steps:
        - setWeight: 10
        - pause: { duration: 1 }
        - setWeight: 25
        - setWeight: 50
        - pause: { duration: 1s }
        - setWeight: 100
`
	b.Apply(read(t, "services.yaml"))
	b.Apply(read(t, "virtualservice.yaml"))
	b.Apply(noAnalysis)
	first := b.Phase("payments", "checkout", v1alpha1.RolloutPhaseHealthy)
	seen := weights(t, b, "payments")
	b.Apply(noAnalysis, "checkout:1.0.0", "checkout:1.1.0")
	b.Eventually("the new revision is stable", func() error {
		now := b.Rollout("payments", "checkout")
		if now.Status.StableRS == first.Status.StableRS || now.Status.Phase != v1alpha1.RolloutPhaseHealthy {
			return fmt.Errorf("stable is %s, %s: %s, step %d, weights %+v", now.Status.StableRS, now.Status.Phase, now.Status.Message, *now.Status.CurrentStepIndex, now.Status.Canary.Weights)
		}
		return nil
	})
	want := []string{"100/0", "90/10", "75/25", "50/50", "0/100", "100/0"}
	if got := seen(); !slices.Equal(got, want) {
		t.Errorf("weights went %v, want %v", got, want)
	}
	for _, name := range []string{"checkout-stable", "checkout-canary"} {
		svc := &corev1.Service{}
		if err := b.Client.Get(t.Context(), client.ObjectKey{Namespace: "payments", Name: name}, svc); err != nil {
			t.Fatal(err)
		}
		now := b.Rollout("payments", "checkout").Status.StableRS
		if got := svc.Spec.Selector[v1alpha1.LabelPodTemplateHash]; got != now {
			t.Errorf("Service %s selects %q, want %q", name, got, now)
		}
	}
}

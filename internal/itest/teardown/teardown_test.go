// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package teardown_test

import (
	"fmt"
	"maps"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/traffic"
)

const shop = `
apiVersion: v1
kind: Service
metadata: {namespace: NS, name: stable}
spec: {selector: {app: checkout}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: NS, name: canary}
spec: {selector: {app: checkout}, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {namespace: NS, name: routes, annotations: {theirs: stays}}
spec:
  hosts: [checkout]
  http:
    - name: primary
      route:
        - {destination: {host: stable}, weight: 100}
        - {destination: {host: canary}, weight: 0}
    - name: other
      route:
        - {destination: {host: other}, weight: 60}
        - {destination: {host: another}, weight: 40}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {namespace: NS, name: checkout}
spec:
  replicas: 4
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec: {containers: [{name: checkout, image: "checkout:1"}]}
  strategy:
    canary:
      stableService: stable
      canaryService: canary
      trafficRouting: {istio: {virtualService: {name: routes, routes: [primary]}}}
      steps: [{setWeight: 25}, {pause: {}}]
`

// A stand is a namespace with a release that is paused at 25 %.
type stand struct {
	*bed.Bed
	ns             string
	stable, canary string
}

func release(b *bed.Bed, ns string) *stand {
	b.Helper()
	b.Namespace(ns)
	s := &stand{Bed: b, ns: ns}
	b.Apply(shop, "NS", ns)
	s.stable = b.Phase(ns, "checkout", v1alpha1.RolloutPhaseHealthy).Status.StableRS
	b.Apply(shop, "NS", ns, "checkout:1", "checkout:2")
	s.canary = b.Phase(ns, "checkout", v1alpha1.RolloutPhasePaused).Status.CurrentPodHash
	if got := s.split(); got != "75/25 60/40" {
		b.Fatalf("the release is at %s, want 75/25", got)
	}
	return s
}

func (s *stand) delete(propagation metav1.DeletionPropagation) {
	s.Helper()
	if err := s.Client.Delete(s.Context(), s.Rollout(s.ns, "checkout"), client.PropagationPolicy(propagation)); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) gone() {
	s.Helper()
	s.Eventually("the Rollout is gone", func() error {
		return gone(s.get(&v1alpha1.Rollout{}, "checkout"))
	})
}

func gone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("it is there, or %w", err)
}

func (s *stand) get(obj client.Object, name string) error {
	return s.Client.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, obj)
}

func (s *stand) routes() *unstructured.Unstructured {
	s.Helper()
	vs := &unstructured.Unstructured{}
	vs.SetAPIVersion("networking.istio.io/v1beta1")
	vs.SetKind("VirtualService")
	if err := s.get(vs, "routes"); err != nil {
		s.Fatal(err)
	}
	return vs
}

// split are the weights of the two routes.
func (s *stand) split() string {
	s.Helper()
	routes, _, _ := unstructured.NestedSlice(s.routes().Object, "spec", "http")
	var out [2]string
	for i := range out {
		to := routes[i].(map[string]any)["route"].([]any)
		out[i] = fmt.Sprintf("%v/%v", to[0].(map[string]any)["weight"], to[1].(map[string]any)["weight"])
	}
	return out[0] + " " + out[1]
}

// home waits until the stable Service has all traffic, and nothing of ours is
// on the VirtualService.
func (s *stand) home() {
	s.Helper()
	s.Eventually("all traffic goes to the stable Service", func() error {
		if got := s.split(); got != "100/0 60/40" {
			return fmt.Errorf("the weights are %s", got)
		}
		if a := s.routes().GetAnnotations(); a[traffic.AnnotationAborted] != "" || a["theirs"] != "stays" {
			return fmt.Errorf("its annotations are %v", a)
		}
		return nil
	})
}

// selects waits until a Service selects the pods of one revision, or for ""
// what it did before the Rollout.
func (s *stand) selects(name, hash string) {
	s.Helper()
	want := map[string]string{"app": "checkout"}
	if hash != "" {
		want[v1alpha1.LabelPodTemplateHash] = hash
	}
	s.Eventually(fmt.Sprintf("Service %s selects %v", name, want), func() error {
		svc := &corev1.Service{}
		if err := s.get(svc, name); err != nil {
			return err
		}
		if by := svc.Annotations[v1alpha1.AnnotationManagedByRollouts]; !maps.Equal(svc.Spec.Selector, want) || (by == "") != (hash == "") {
			return fmt.Errorf("it selects %v, and is managed by %q", svc.Spec.Selector, by)
		}
		return nil
	})
}

// serves waits until a Service has that many ready endpoints.
func (s *stand) serves(name string, want int) {
	s.Helper()
	s.Eventually(fmt.Sprintf("Service %s has %d endpoints", name, want), func() error {
		var list discoveryv1.EndpointSliceList
		err := s.Client.List(s.Context(), &list, client.InNamespace(s.ns), client.MatchingLabels{discoveryv1.LabelServiceName: name})
		n := 0
		for _, slice := range list.Items {
			for _, e := range slice.Endpoints {
				if e.Conditions.Ready != nil && *e.Conditions.Ready {
					n++
				}
			}
		}
		if err == nil && n != want {
			err = fmt.Errorf("it has %d", n)
		}
		return err
	})
}

const successor = `
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: NS, name: checkout}
spec:
  replicas: 3
  selector: {matchLabels: {app: checkout, by: deployment}}
  template:
    metadata: {labels: {app: checkout, by: deployment}}
    spec: {containers: [{name: checkout, image: "checkout:1"}]}
`

func TestADeletedRolloutGivesBackItsTraffic(t *testing.T) {
	b := bed.New(t, cluster.Options{})
	stop := b.Controller()
	for name, propagation := range map[string]metav1.DeletionPropagation{
		"background": metav1.DeletePropagationBackground, "foreground": metav1.DeletePropagationForeground,
	} {
		t.Run(name, func(t *testing.T) {
			s := release(b, name)
			s.delete(propagation)
			s.home()
			s.selects("stable", "")
			s.selects("canary", "")
			s.gone()
			b.Apply(successor, "NS", name)
			s.serves("stable", 3)
			s.serves("canary", 3)
		})
	}
	t.Run("an abort leaves no mark", func(t *testing.T) {
		s := release(b, "aborted")
		patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"abort":true}}`))
		if err := b.Client.Status().Patch(t.Context(), s.Rollout(s.ns, "checkout"), patch); err != nil {
			t.Fatal(err)
		}
		b.Phase(s.ns, "checkout", v1alpha1.RolloutPhaseDegraded)
		s.delete(metav1.DeletePropagationBackground)
		s.home()
		s.selects("stable", "")
	})
	t.Run("pods that are left stay behind their Services", func(t *testing.T) { orphan(t, release(b, "orphan")) })
	t.Run("somebody's finalizer", func(t *testing.T) { held(t, release(b, "held")) })
	t.Run("a VirtualService that is gone first", func(t *testing.T) {
		s := release(b, "unrouted")
		if err := b.Client.Delete(t.Context(), s.routes()); err != nil {
			t.Fatal(err)
		}
		s.delete(metav1.DeletePropagationBackground)
		s.selects("stable", "")
		s.selects("canary", "")
	})
	t.Run("while no controller runs", func(t *testing.T) {
		s := release(b, "unwatched")
		stop()
		s.delete(metav1.DeletePropagationBackground)
		s.gone()
		b.Controller()
		s.selects("stable", "")
		s.selects("canary", "")
		// The two Services select the same pods, so the shares mean nothing.
		b.Apply(successor, "NS", s.ns)
		s.serves("stable", 3)
		s.serves("canary", 3)
	})
}

// orphan: what a canary had not yet proved to deserve it does not keep, and
// nobody's traffic goes to pods of two versions.
func orphan(t *testing.T, s *stand) {
	s.delete(metav1.DeletePropagationOrphan)
	s.gone()
	s.home()
	s.serves("stable", 4)
	s.serves("canary", 1)
	s.selects("stable", s.stable)
	s.selects("canary", s.canary)
	// Once nothing is behind a Service it is given back.
	s.Apply(successor, "NS", s.ns)
	var sets appsv1.ReplicaSetList
	if err := s.Client.List(t.Context(), &sets, client.InNamespace(s.ns), client.MatchingLabels{v1alpha1.LabelPodTemplateHash: s.canary}); err != nil || len(sets.Items) != 1 {
		t.Fatalf("there are %d ReplicaSets of the canary, %v", len(sets.Items), err)
	}
	if err := s.Client.Delete(t.Context(), &sets.Items[0], client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	s.selects("canary", "")
	s.serves("canary", 7)
	s.selects("stable", s.stable)
	s.serves("stable", 4)
}

// held: a Rollout that is going and cannot has its pods, and gets no further.
func held(t *testing.T, s *stand) {
	finalizers := func(list string) {
		t.Helper()
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":`+list+`}}`))
		if err := s.Client.Patch(t.Context(), s.Rollout(s.ns, "checkout"), patch); err != nil {
			t.Fatal(err)
		}
	}
	finalizers(`["somebody.example/waits"]`)
	s.delete(metav1.DeletePropagationBackground)
	s.home()
	s.serves("stable", 4)
	s.selects("stable", s.stable)
	finalizers(`[]`)
	s.gone()
	s.selects("stable", "")
	s.selects("canary", "")
}

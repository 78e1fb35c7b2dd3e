// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package stage_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/playground/demo/stage"
	"sluice.dev/sluice/playground/mesh"
)

// replicaSet makes pods of a revision, as the controller would.
func replicaSet(hash, tag string, replicas int32) *appsv1.ReplicaSet {
	labels := map[string]string{"app": "checkout", mesh.HashLabel: hash}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: stage.Namespace, Name: "checkout-" + hash, Labels: labels},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "checkout", Image: "registry.internal/payments/checkout:" + tag,
					Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
				}}},
			},
		},
	}
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("after 60 s still not true: %s", what)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// TestStageWithoutAController moves the traffic by hand.
func TestStageWithoutAController(t *testing.T) {
	ctx := t.Context()
	s, err := stage.Up(ctx, stage.Options{
		Assets: os.Getenv("KUBEBUILDER_ASSETS"), Factor: 40,
		Say: func(format string, args ...any) { t.Logf(format, args...) },
	})
	if err != nil {
		t.Fatalf("Up: %v", err)
	}
	defer func() {
		if err := s.Down(); err != nil {
			t.Errorf("Down: %v", err)
		}
		if _, err := os.Stat(s.Cluster.Dir()); !os.IsNotExist(err) {
			t.Errorf("the folder %s is still there (%v)", s.Cluster.Dir(), err)
		}
	}()
	if _, err := s.Apply(ctx, "services.yaml", "virtualservice.yaml", "vaultstaticsecret.yaml", "analysistemplate.yaml", "rollout.yaml"); err != nil {
		t.Fatalf("the guide's manifests: %v", err)
	}
	for hash, tag := range map[string]string{"aaa": "1.0.0", "bbb": "1.2.0-errors8"} {
		rs := replicaSet(hash, tag, 2)
		if _, err := s.Kube.AppsV1().ReplicaSets(stage.Namespace).Create(ctx, rs, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for service, hash := range map[string]string{"checkout-stable": "aaa", "checkout-canary": "bbb"} {
		patch := fmt.Sprintf(`{"spec":{"selector":{%q:%q}}}`, mesh.HashLabel, hash)
		if err := s.Patch(ctx, "Service", stage.Namespace, service, patch); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "four pods run", func() bool { return s.Farm.Running() == 4 })
	eventually(t, "the mesh knows which pods are whose", func() bool {
		r := s.Mesh.Route(stage.Host)
		return len(r) == 2 && slices.Equal(r[0].Hashes, []string{"aaa"}) && slices.Equal(r[1].Hashes, []string{"bbb"})
	})
	s.Open()
	eventually(t, "stable serves", func() bool { return s.Mesh.Tally("aaa").Requests > 200 })
	if n := s.Mesh.Tally("bbb").Requests; n != 0 {
		t.Errorf("the canary got %d requests at 100/0, want 0", n)
	}
	weights := `{"spec":{"http":[{"name":"primary","route":[` +
		`{"destination":{"host":"checkout-stable"},"weight":50},{"destination":{"host":"checkout-canary"},"weight":50}]}]}}`
	if err := s.Patch(ctx, "VirtualService", stage.Namespace, "checkout-vsvc", weights); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the canary serves", func() bool { return s.Mesh.Tally("bbb").Requests > 300 })
	got := s.Mesh.Tally("bbb")
	if share := float64(got.Failures) / float64(got.Requests); share < 0.06 || share > 0.10 {
		t.Errorf("%d of %d of the canary's requests failed, want 8 %%", got.Failures, got.Requests)
	}
	shifts := []string{}
	for _, w := range s.Mesh.Shifts(time.Time{}) {
		shifts = append(shifts, w.String())
	}
	if strings.Join(shifts, " ") != "100/0 50/50" {
		t.Errorf("the mesh saw the weights %v, want 100/0 and 50/50", shifts)
	}
	if lost := s.Mesh.Tally(""); lost.Requests != 0 {
		t.Errorf("%d requests reached no pod, want 0", lost.Requests)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/cluster/nodes"
)

// patience bounds every wait here. It is for broken code, not for slow machines.
const patience = time.Minute

// start starts a control plane and, unless the options say otherwise, its nodes.
func start(t *testing.T, opts cluster.Options, sim nodes.Options) *cluster.Cluster {
	t.Helper()
	began := time.Now()
	c, err := cluster.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("the control plane took %s to start", time.Since(began).Round(time.Millisecond))
	simulator, err := nodes.Start(t.Context(), c.Config(), sim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(simulator.Stop)
	t.Logf("with nodes %s", time.Since(began).Round(time.Millisecond))
	return c
}

func clientOf(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

var labels = map[string]string{"app": "shop"}

func replicaSet(replicas int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "shop"},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "app", Image: "example.com/shop:1",
					Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
				}}},
			},
		},
	}
}

func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "shop"},
		Spec: corev1.ServiceSpec{
			Selector: labels,
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
		},
	}
}

// waitReady waits until the ReplicaSet has so many ready pods, and no others.
func waitReady(t *testing.T, client *kubernetes.Clientset, want int32) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d ready pods", want), func(ctx context.Context) error {
		rs, err := client.AppsV1().ReplicaSets("default").Get(ctx, "shop", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if rs.Status.ReadyReplicas != want || rs.Status.Replicas != want {
			return fmt.Errorf("%d ready of %d", rs.Status.ReadyReplicas, rs.Status.Replicas)
		}
		return nil
	})
}

// readyEndpoints are the addresses that the Service's slices call ready.
func readyEndpoints(ctx context.Context, client *kubernetes.Clientset) (map[string]bool, error) {
	slices, err := client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{
		LabelSelector: discoveryv1.LabelServiceName + "=shop",
	})
	if err != nil {
		return nil, err
	}
	ready := map[string]bool{}
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready {
				ready[endpoint.Addresses[0]] = true
			}
		}
	}
	return ready, nil
}

func waitEndpoints(t *testing.T, client *kubernetes.Clientset, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d ready endpoints", want), func(ctx context.Context) error {
		ready, err := readyEndpoints(ctx, client)
		if err == nil && len(ready) != want {
			err = fmt.Errorf("there are %d: %v", len(ready), ready)
		}
		return err
	})
}

func create(t *testing.T, client *kubernetes.Clientset, replicas int32) {
	t.Helper()
	if _, err := client.CoreV1().Services("default").Create(t.Context(), service(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	rs := replicaSet(replicas)
	if _, err := client.AppsV1().ReplicaSets("default").Create(t.Context(), rs, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func scale(t *testing.T, client *kubernetes.Clientset, replicas int32) {
	t.Helper()
	eventually(t, "scale", func(ctx context.Context) error {
		s, err := client.AppsV1().ReplicaSets("default").GetScale(ctx, "shop", metav1.GetOptions{})
		if err != nil {
			return err
		}
		s.Spec.Replicas = replicas
		_, err = client.AppsV1().ReplicaSets("default").UpdateScale(ctx, "shop", s, metav1.UpdateOptions{})
		return err
	})
}

func TestPodsComeAndGo(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Options{Audit: "Metadata"}, nodes.Options{Count: 3, Delay: 10 * time.Millisecond})
	client := clientOf(t, c.Config())
	create(t, client, 5)
	waitReady(t, client, 5)
	waitEndpoints(t, client, 5)
	scale(t, client, 2)
	waitReady(t, client, 2)
	waitEndpoints(t, client, 2)

	background := metav1.DeletePropagationBackground
	err := client.AppsV1().ReplicaSets("default").Delete(t.Context(), "shop",
		metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the garbage collector removes the pods", func(ctx context.Context) error {
		pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d are left", len(pods.Items))
		}
		return err
	})
	audit, err := os.ReadFile(c.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(audit), `"resource":"replicasets"`) {
		t.Error("the audit log does not tell of the ReplicaSet")
	}
}

func TestStopLeavesNothing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	c, err := cluster.Start(t.Context(), cluster.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if running := processesOf(t, root); len(running) != 4 {
		t.Errorf("running: %q, want the four components", running)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if running := processesOf(t, root); len(running) != 0 {
		t.Errorf("still running: %q", running)
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (%v)", c.Dir(), err)
	}
	if err := c.Stop(); err != nil {
		t.Errorf("a second stop: %v", err)
	}
}

// processesOf are the command lines of processes that work in the folder.
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-e", "-o", "args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, dir) {
			found = append(found, strings.Fields(line)[0])
		}
	}
	return found
}

func TestRBACHoldsForOtherUsers(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Options{}, nodes.Options{Count: 1})
	config, err := c.ConfigFor("somebody")
	if err != nil {
		t.Fatal(err)
	}
	_, err = clientOf(t, config).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("error %v, want that it is forbidden", err)
	}
}

func TestTheAPIServerComesBack(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Options{}, nodes.Options{Count: 1})
	client := clientOf(t, c.Config())
	create(t, client, 2)
	waitReady(t, client, 2)

	if err := c.PauseAPIServer(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{}); err == nil {
		t.Error("a paused API server answered")
	}
	if err := c.ResumeAPIServer(); err != nil {
		t.Fatal(err)
	}
	scale(t, client, 3)
	waitReady(t, client, 3)

	if err := c.KillAPIServer(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("a dead API server answered")
	}
	if err := c.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	scale(t, client, 4)
	waitReady(t, client, 4)
	waitEndpoints(t, client, 4)
}

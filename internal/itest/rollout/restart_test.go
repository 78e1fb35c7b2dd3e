// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package rollout_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
)

const restarted = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, namespace: shop}
spec:
  replicas: 5
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "web:1"}]
  strategy:
    canary: {maxUnavailable: 2, maxSurge: 0}
`

func TestARestartReplacesThePodsAFewAtATime(t *testing.T) {
	b := bed.New(t, cluster.Options{Audit: "Metadata"})
	b.Controller()
	b.Namespace("shop")
	b.Apply(restarted)
	b.Phase("shop", "web", v1alpha1.RolloutPhaseHealthy)
	old := pods(t, b, "shop")
	if n := podReads(t, b); n != 0 {
		t.Errorf("the controller read pods %d times before anybody asked for a restart", n)
	}
	least := fewest(t, b, "shop")
	at := restart(t, b, "shop", "web", 0)
	b.Eventually("the restart is over", func() error {
		ro := b.Rollout("shop", "web")
		if !ro.Status.RestartedAt.Equal(&at) || ro.Status.Phase != v1alpha1.RolloutPhaseHealthy {
			return fmt.Errorf("restartedAt is %v, %s: %s", ro.Status.RestartedAt, ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
	if n := least(); n < 3 {
		t.Errorf("at one time %d pods were ready and not on their way out, want at least 3 of 5", n)
	}
	for name := range pods(t, b, "shop") {
		if old[name] {
			t.Errorf("pod %s survived the restart", name)
		}
	}
	if ro := b.Rollout("shop", "web"); ro.Status.CurrentPodHash != ro.Status.StableRS || ro.Annotations[v1alpha1.AnnotationRevision] == "2" {
		t.Error("a restart made a new revision")
	}
	// An annotation wakes the controller; it has nothing to read.
	before := podReads(t, b)
	patch(t, b, `{"metadata":{"annotations":{"touched":"yes"}}}`)
	patch(t, b, `{"spec":{"replicas":6}}`)
	b.Eventually("the pass after the restart is over", func() error {
		if ro := b.Rollout("shop", "web"); ro.Status.AvailableReplicas != 6 {
			return fmt.Errorf("%d pods are available", ro.Status.AvailableReplicas)
		}
		return nil
	})
	if n := podReads(t, b) - before; n != 0 {
		t.Errorf("the controller read pods %d times after the restart", n)
	}
}

func TestARestartWaitsForADisruptionBudget(t *testing.T) {
	b := bed.New(t, cluster.Options{})
	b.Controller()
	b.Namespace("shop")
	b.Apply(restarted)
	b.Phase("shop", "web", v1alpha1.RolloutPhaseHealthy)
	pdb := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "keep-web"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: new(intstr.FromInt32(5)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		},
	}
	if err := b.Client.Create(t.Context(), pdb); err != nil {
		t.Fatal(err)
	}
	b.Eventually("the budget counts its pods", func() error {
		if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(pdb), pdb); err != nil {
			return err
		}
		if pdb.Status.ObservedGeneration != pdb.Generation || pdb.Status.CurrentHealthy != 5 {
			return fmt.Errorf("status is %+v", pdb.Status)
		}
		return nil
	})
	at := restart(t, b, "shop", "web", 0)
	b.Eventually("the Rollout says what holds its restart up", func() error {
		ro := b.Rollout("shop", "web")
		if ro.Status.Phase != v1alpha1.RolloutPhaseProgressing || !strings.HasPrefix(ro.Status.Message, "rollout is restarting: ") || !strings.Contains(ro.Status.Message, "keep-web") {
			return fmt.Errorf("%s: %s", ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
	if ro := b.Rollout("shop", "web"); ro.Status.RestartedAt != nil || ro.Status.AvailableReplicas != 5 {
		t.Errorf("restartedAt is %v with %d pods available", ro.Status.RestartedAt, ro.Status.AvailableReplicas)
	}
	if err := b.Client.Delete(t.Context(), pdb); err != nil {
		t.Fatal(err)
	}
	b.Eventually("the restart goes on by itself", func() error {
		ro := b.Rollout("shop", "web")
		if !ro.Status.RestartedAt.Equal(&at) || ro.Status.Phase != v1alpha1.RolloutPhaseHealthy {
			return fmt.Errorf("restartedAt is %v, %s: %s", ro.Status.RestartedAt, ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
}

func TestARestartInTheFutureWaitsForItsTime(t *testing.T) {
	b := bed.New(t, cluster.Options{})
	b.Controller()
	b.Namespace("shop")
	b.Apply(restarted, "replicas: 5", "replicas: 2")
	b.Phase("shop", "web", v1alpha1.RolloutPhaseHealthy)
	at := restart(t, b, "shop", "web", 4*time.Second)
	ro := b.Phase("shop", "web", v1alpha1.RolloutPhaseHealthy)
	if ro.Status.RestartedAt != nil && time.Now().Before(at.Time) {
		t.Errorf("restarted before its time: %v", ro.Status.RestartedAt)
	}
	b.Eventually("the restart is over", func() error {
		ro := b.Rollout("shop", "web")
		if !ro.Status.RestartedAt.Equal(&at) {
			return fmt.Errorf("restartedAt is %v, %s: %s", ro.Status.RestartedAt, ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
	for name, created := range ages(t, b, "shop") {
		if created.Before(&at) {
			t.Errorf("pod %s is from %v, before the restart at %v", name, created, at)
		}
	}
}

// restart asks for a restart once every pod is older than the second that the
// API keeps, and returns the time asked for.
func restart(t *testing.T, b *bed.Bed, ns, name string, in time.Duration) metav1.Time {
	t.Helper()
	at := metav1.NewTime(time.Now().Add(in).Truncate(time.Second))
	b.Eventually("the pods are older than a second", func() error {
		if in == 0 {
			at = metav1.NewTime(time.Now().Truncate(time.Second))
		}
		for pod, created := range ages(t, b, ns) {
			if in == 0 && !created.Before(&at) {
				return fmt.Errorf("pod %s is from %v", pod, created)
			}
		}
		return nil
	})
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	body := fmt.Sprintf(`{"spec":{"restartAt":%q}}`, at.UTC().Format(time.RFC3339))
	if err := b.Client.Patch(t.Context(), ro, client.RawPatch(types.MergePatchType, []byte(body))); err != nil {
		t.Fatal(err)
	}
	return at
}

func patch(t *testing.T, b *bed.Bed, body string) {
	t.Helper()
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	if err := b.Client.Patch(t.Context(), ro, client.RawPatch(types.MergePatchType, []byte(body))); err != nil {
		t.Fatal(err)
	}
}

func ages(t *testing.T, b *bed.Bed, ns string) map[string]metav1.Time {
	t.Helper()
	var list corev1.PodList
	if err := b.Client.List(t.Context(), &list, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	out := map[string]metav1.Time{}
	for i := range list.Items {
		if pod := &list.Items[i]; pod.DeletionTimestamp == nil {
			out[pod.Name] = pod.CreationTimestamp
		}
	}
	return out
}

func pods(t *testing.T, b *bed.Bed, ns string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for name := range ages(t, b, ns) {
		out[name] = true
	}
	return out
}

// fewest follows the pods of ns and returns how many were at least ready and
// not on their way out, from the time of the call.
func fewest(t *testing.T, b *bed.Bed, ns string) func() int {
	t.Helper()
	cl, err := client.NewWithWatch(b.Cluster.Config(), client.Options{Scheme: b.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	var list corev1.PodList
	if err := cl.List(t.Context(), &list, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	up := map[string]bool{}
	for i := range list.Items {
		up[list.Items[i].Name] = serving(&list.Items[i])
	}
	w, err := cl.Watch(t.Context(), &corev1.PodList{}, client.InNamespace(ns), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}})
	if err != nil {
		t.Fatal(err)
	}
	least := make(chan int, 1)
	go func() {
		n := count(up)
		for e := range w.ResultChan() {
			if pod, ok := e.Object.(*corev1.Pod); ok {
				up[pod.Name] = e.Type != watch.Deleted && serving(pod)
				n = min(n, count(up))
			}
		}
		least <- n
	}()
	return func() int { w.Stop(); return <-least }
}

func count(up map[string]bool) int {
	n := 0
	for _, is := range up {
		if is {
			n++
		}
	}
	return n
}

func serving(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// podReads counts what the controller has read of pods.
func podReads(t *testing.T, b *bed.Bed) int {
	t.Helper()
	text, err := os.ReadFile(b.Cluster.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		var e struct {
			Stage, Verb, RequestURI string
			UserAgent               string
			ObjectRef               struct{ Resource string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Stage != "ResponseComplete" || e.ObjectRef.Resource != "pods" {
			continue
		}
		if strings.Contains(e.UserAgent, ".test") && strings.Contains(e.RequestURI, "labelSelector=") {
			n++
		}
	}
	return n
}

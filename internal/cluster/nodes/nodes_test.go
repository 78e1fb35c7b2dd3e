// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
)

// recorder is a Kubelet that notes what it is asked and fails on request.
type recorder struct {
	mu      sync.Mutex
	failing error
	running map[string]bool
	starts  int
	stops   int
}

func (r *recorder) Start(_ context.Context, pod *corev1.Pod) (map[string]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing != nil {
		return nil, r.failing
	}
	r.starts++
	if r.running == nil {
		r.running = map[string]bool{}
	}
	r.running[pod.Name] = true
	return map[string]string{ListenerAnnotation: "127.0.0.1:1"}, nil
}

func (r *recorder) Stop(pod *corev1.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stops++
	delete(r.running, pod.Name)
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = err
}

func (r *recorder) state() (running map[string]bool, starts, stops int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.running), r.starts, r.stops
}

// world is a fake API with a simulator on it, in a bubble of its own time.
type world struct {
	t      *testing.T
	client *fake.Clientset
	sim    *Simulator
}

// inWorld runs the test in a bubble. The simulator is stopped at its end.
func inWorld(t *testing.T, opts Options, test func(*testing.T, world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		sim, err := StartWithClient(t.Context(), client, opts)
		if err != nil {
			t.Fatal(err)
		}
		defer sim.Stop()
		test(t, world{t, client, sim})
	})
}

// pod makes a pod that is bound to the node, with whatever change does to it.
func (w world) pod(name, node string, change ...func(*corev1.Pod)) {
	w.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID("uid-" + name)},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "app", Image: "shop:1"}}},
		Status: corev1.PodStatus{
			Phase:      corev1.PodPending,
			Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}},
		},
	}
	for _, f := range change {
		f(pod)
	}
	if _, err := w.client.CoreV1().Pods("default").Create(w.t.Context(), pod, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// get reads a pod after everything that is due has been done.
func (w world) get(name string) *corev1.Pod {
	w.t.Helper()
	synctest.Wait()
	pod, err := w.client.CoreV1().Pods("default").Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return pod
}

func (w world) gone(name string) bool {
	w.t.Helper()
	synctest.Wait()
	_, err := w.client.CoreV1().Pods("default").Get(w.t.Context(), name, metav1.GetOptions{})
	return apierrors.IsNotFound(err)
}

func terminating(pod *corev1.Pod) {
	now := metav1.Now()
	pod.DeletionTimestamp = &now
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func TestAPodBecomesReadyAfterTheDelay(t *testing.T) {
	inWorld(t, Options{Count: 1, Delay: time.Second}, func(t *testing.T, w world) {
		w.pod("a", "node-000")
		pass(time.Second - time.Nanosecond)
		if pod := w.get("a"); ready(pod) || pod.Status.PodIP != "" {
			t.Errorf("ready before the delay is over: %+v", pod.Status)
		}
		pass(time.Nanosecond)
		pod := w.get("a")
		if !ready(pod) || pod.Status.Phase != corev1.PodRunning {
			t.Errorf("not ready after the delay: %+v", pod.Status)
		}
		if pod.Status.PodIP != "10.128.0.1" || pod.Status.HostIP != "10.0.0.1" {
			t.Errorf("addresses %s and %s, want one of pods and one of nodes", pod.Status.PodIP, pod.Status.HostIP)
		}
		var types []string
		for _, c := range pod.Status.Conditions {
			types = append(types, string(c.Type))
		}
		want := []string{"PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready", "PodScheduled"}
		if diff := cmp.Diff(want, types); diff != "" {
			t.Errorf("conditions (-want +got):\n%s", diff)
		}
		if cs := pod.Status.ContainerStatuses; len(cs) != 1 || !cs[0].Ready || cs[0].State.Running == nil {
			t.Errorf("containers %+v, want one that runs", cs)
		}
	})
}

func TestAPodCostsOneWrite(t *testing.T) {
	inWorld(t, Options{Count: 1, Kubelet: &recorder{}}, func(t *testing.T, w world) {
		w.pod("a", "node-000")
		w.get("a")
		pass(time.Minute)
		synctest.Wait()
		writes := 0
		for _, action := range w.client.Actions() {
			if action.GetResource().Resource == "pods" && action.GetVerb() != "get" &&
				action.GetVerb() != "list" && action.GetVerb() != "watch" {
				writes++
			}
		}
		if writes != 2 { // the test's own create is one
			t.Errorf("%d writes, want one besides the create: %v", writes, w.client.Actions())
		}
	})
}

func TestPodsOfOtherNodesAreLeftAlone(t *testing.T) {
	inWorld(t, Options{Count: 1}, func(t *testing.T, w world) {
		w.pod("a", "elsewhere")
		w.pod("b", "elsewhere", terminating)
		pass(time.Minute)
		if ready(w.get("a")) || w.gone("b") {
			t.Error("a pod of another node was touched")
		}
	})
}

func TestTheKubeletIsAskedOncePerPod(t *testing.T) {
	kubelet := &recorder{}
	inWorld(t, Options{Count: 2, Kubelet: kubelet}, func(t *testing.T, w world) {
		w.pod("a", "node-000")
		w.pod("b", "node-001")
		pod := w.get("a")
		if got := pod.Annotations[ListenerAnnotation]; got != "127.0.0.1:1" || !ready(pod) {
			t.Errorf("annotation %q and ready %v, want both", got, ready(pod))
		}
		pod.Labels = map[string]string{"touched": "yes"}
		terminating(pod)
		if _, err := w.client.CoreV1().Pods("default").Update(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if !w.gone("a") {
			t.Error("a terminating pod was not removed")
		}
		running, starts, stops := kubelet.state()
		if diff := cmp.Diff(map[string]bool{"b": true}, running); diff != "" || starts != 2 || stops != 1 {
			t.Errorf("running (-want +got):\n%s; %d starts and %d stops, want 2 and 1", diff, starts, stops)
		}
		w.sim.Stop()
		if running, _, stops := kubelet.state(); len(running) != 0 || stops != 2 {
			t.Errorf("after the simulator's end: running %v, %d stops, want none and 2", running, stops)
		}
	})
}

func TestAPodRemovedByForceIsStopped(t *testing.T) {
	kubelet := &recorder{}
	inWorld(t, Options{Count: 1, Kubelet: kubelet}, func(t *testing.T, w world) {
		w.pod("a", "node-000")
		w.get("a")
		if err := w.client.CoreV1().Pods("default").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.pod("a", "node-000", func(pod *corev1.Pod) { pod.UID = "second" })
		if !ready(w.get("a")) {
			t.Error("the second pod of the name is not ready")
		}
		if _, starts, stops := kubelet.state(); starts != 2 || stops != 1 {
			t.Errorf("%d starts and %d stops, want 2 and 1", starts, stops)
		}
	})
}

func TestAPodThatCannotStartSaysWhyAndIsTriedAgain(t *testing.T) {
	kubelet := &recorder{}
	kubelet.fail(errors.New("image not found"))
	inWorld(t, Options{Count: 1, Kubelet: kubelet}, func(t *testing.T, w world) {
		w.pod("a", "node-000")
		pass(10 * time.Second)
		pod := w.get("a")
		want := &corev1.ContainerStateWaiting{Reason: "StartError", Message: "image not found"}
		if diff := cmp.Diff(want, pod.Status.ContainerStatuses[0].State.Waiting); diff != "" || ready(pod) {
			t.Errorf("ready %v, waiting (-want +got):\n%s", ready(pod), diff)
		}
		kubelet.fail(nil)
		pass(time.Minute)
		if !ready(w.get("a")) {
			t.Error("not ready after the Kubelet recovered")
		}
		if _, starts, _ := kubelet.state(); starts != 1 {
			t.Errorf("started %d times, want once", starts)
		}
	})
}

func TestPodsThatAreMeantToEndEnd(t *testing.T) {
	kubelet := &recorder{}
	never := func(pod *corev1.Pod) { pod.Spec.RestartPolicy = corev1.RestartPolicyNever }
	inWorld(t, Options{Count: 1, Kubelet: kubelet}, func(t *testing.T, w world) {
		w.pod("good", "node-000", never)
		if pod := w.get("good"); pod.Status.Phase != corev1.PodSucceeded || ready(pod) {
			t.Errorf("status %+v, want that it succeeded", pod.Status)
		}
		kubelet.fail(errors.New("exit 1"))
		w.pod("bad", "node-000", never)
		pod := w.get("bad")
		if pod.Status.Phase != corev1.PodFailed || pod.Status.ContainerStatuses[0].State.Terminated.Message != "exit 1" {
			t.Errorf("status %+v, want that it failed with the error", pod.Status)
		}
	})
}

func TestASecondSimulatorTakesOver(t *testing.T) {
	first, second := &recorder{}, &recorder{}
	inWorld(t, Options{Count: 1, Kubelet: first}, func(t *testing.T, w world) {
		w.pod("a", "node-000")
		had := w.get("a").Status.PodIP
		w.sim.Stop()
		sim, err := StartWithClient(t.Context(), w.client, Options{Count: 1, Kubelet: second})
		if err != nil {
			t.Fatal(err)
		}
		defer sim.Stop()
		w.pod("b", "node-000")
		a, b := w.get("a"), w.get("b")
		if a.Status.PodIP != had || b.Status.PodIP == had || !ready(a) || !ready(b) {
			t.Errorf("addresses %s and %s, want %s kept and another one; ready %v and %v",
				a.Status.PodIP, b.Status.PodIP, had, ready(a), ready(b))
		}
		running, _, _ := second.state()
		if diff := cmp.Diff(map[string]bool{"a": true, "b": true}, running); diff != "" {
			t.Errorf("running (-want +got):\n%s", diff)
		}
	})
}

func TestLeasesAreRenewed(t *testing.T) {
	inWorld(t, Options{Count: 2}, func(t *testing.T, w world) {
		pass(time.Hour)
		synctest.Wait()
		for _, name := range []string{"node-000", "node-001"} {
			lease, err := w.client.CoordinationV1().Leases("kube-node-lease").Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if age := time.Since(lease.Spec.RenewTime.Time); age > renewEvery {
				t.Errorf("the lease of %s is %s old", name, age)
			}
			// The control plane never sees a lease that has run out.
			if err := w.client.CoordinationV1().Leases("kube-node-lease").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		pass(renewEvery)
		synctest.Wait()
		if _, err := w.client.CoordinationV1().Leases("kube-node-lease").Get(t.Context(), "node-000", metav1.GetOptions{}); err != nil {
			t.Errorf("a deleted lease was not made again: %v", err)
		}
	})
}

func TestStartWaitsUntilPodsMayCome(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node-000"},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "node.kubernetes.io/not-ready"}}},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := StartWithClient(ctx, client, Options{Count: 1})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that the deadline passed", err)
	}
}

func TestAPodIsStoppedAlsoWhenItsNameIsTakenAlready(t *testing.T) {
	kubelet := &recorder{}
	inWorld(t, Options{Count: 1, Kubelet: kubelet}, func(t *testing.T, w world) {
		w.pod("a", "node-000")
		pod := w.get("a")
		// The news of the old pod's end comes after the new one is known.
		old := pod.DeepCopy()
		old.UID = "old"
		w.sim.mu.Lock()
		w.sim.started[old.UID] = old
		w.sim.mu.Unlock()
		w.sim.deleted(old)
		synctest.Wait()
		if _, _, stops := kubelet.state(); stops != 1 {
			t.Errorf("%d stops, want one", stops)
		}
		if !w.sim.isStarted(pod.UID) || w.sim.isStarted(old.UID) {
			t.Error("the wrong pod was stopped")
		}
	})
}

func TestNothingIsKeptOfPodsThatAreGone(t *testing.T) {
	inWorld(t, Options{Count: 1}, func(t *testing.T, w world) {
		w.pod("a", "node-000")
		w.get("a")
		if err := w.client.CoreV1().Pods("default").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(w.sim.started) != 0 || len(w.sim.addresses.of) != 0 || len(w.sim.addresses.owner) != 0 {
			t.Errorf("kept: %v, %v", w.sim.started, w.sim.addresses)
		}
	})
}

// pass lets time pass in the bubble of a test.
func pass(d time.Duration) { <-time.After(d) }

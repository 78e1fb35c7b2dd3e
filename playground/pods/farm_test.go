// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package pods_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sluice.dev/sluice/internal/cluster/nodes"

	"sluice.dev/sluice/playground/pods"
)

// pod makes a pod of an image.
func pod(name, image string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: name, UID: types.UID(name)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "checkout", Image: image}}},
	}
}

// ask sends one request to the listener and returns the status and the body.
func ask(t *testing.T, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("ask %s: %v", address, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the reply: %v", err)
	}
	return resp.StatusCode, string(body)
}

// listens reports whether anything accepts connections at address.
func listens(t *testing.T, address string) bool {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("after 10 s still not true: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func start(t *testing.T, f *pods.Farm, p *corev1.Pod) string {
	t.Helper()
	got, err := f.Start(t.Context(), p)
	if err != nil {
		t.Fatalf("Start(%s): %v", p.Name, err)
	}
	address := got[nodes.ListenerAnnotation]
	if !strings.HasPrefix(address, "127.0.0.1:") {
		t.Fatalf("Start(%s) annotates %v, want %s on the loopback interface", p.Name, got, nodes.ListenerAnnotation)
	}
	return address
}

func TestFarmServesWhatTheTagSays(t *testing.T) {
	t.Parallel()
	f := pods.New(pods.Options{Baseline: -1})
	defer f.Close()
	good := start(t, f, pod("good", "checkout:1.0.0"))
	bad := start(t, f, pod("bad", "checkout:1.1.0-errors100"))

	status, body := ask(t, good)
	if status != http.StatusOK || !strings.Contains(body, `"version":"1.0.0"`) || !strings.Contains(body, `"pod":"good"`) {
		t.Errorf("the good pod said %d %s, want 200 with its version and name", status, body)
	}
	if status, _ = ask(t, bad); status != http.StatusInternalServerError {
		t.Errorf("the bad pod said %d, want 500", status)
	}
	f.Turn("checkout:1.1.0-errors100")
	if status, _ = ask(t, bad); status != http.StatusOK {
		t.Errorf("after its turn the bad pod said %d, want 200", status)
	}
	f.Turn("checkout:never-seen")
}

func TestFarmRefuses(t *testing.T) {
	t.Parallel()
	f := pods.New(pods.Options{})
	defer f.Close()
	start(t, f, pod("a", "checkout:1"))
	if _, err := f.Start(t.Context(), pod("a", "checkout:1")); err == nil {
		t.Error("starting a pod twice gave no error")
	}
	if _, err := f.Start(t.Context(), &corev1.Pod{}); err == nil {
		t.Error("starting a pod without containers gave no error")
	}
	if got := f.Running(); got != 1 {
		t.Errorf("Running() = %d, want 1", got)
	}
	f.Close()
	if _, err := f.Start(t.Context(), pod("b", "checkout:1")); err == nil {
		t.Error("starting a pod of a closed farm gave no error")
	}
}

func TestStoppedPodDrainsThenCloses(t *testing.T) {
	t.Parallel()
	f := pods.New(pods.Options{Baseline: -1, Drain: 300 * time.Millisecond})
	defer f.Close()
	p := pod("a", "checkout:1.0.0")
	address := start(t, f, p)
	f.Stop(p)
	f.Stop(p)
	if got := f.Running(); got != 0 {
		t.Errorf("Running() = %d after the stop, want 0", got)
	}
	if status, _ := ask(t, address); status != http.StatusOK {
		t.Errorf("a draining pod said %d, want 200", status)
	}
	eventually(t, "the port is free", func() bool { return !listens(t, address) })
}

func TestCloseFreesEveryPort(t *testing.T) {
	t.Parallel()
	f := pods.New(pods.Options{Drain: time.Hour})
	addresses := []string{start(t, f, pod("a", "checkout:1")), start(t, f, pod("b", "checkout:1"))}
	f.Stop(pod("a", "checkout:1"))
	f.Close()
	f.Close()
	for _, a := range addresses {
		if listens(t, a) {
			t.Errorf("%s still listens after Close", a)
		}
	}
}

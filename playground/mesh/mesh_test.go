// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package mesh_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sluice.dev/sluice/internal/cluster/nodes"

	"sluice.dev/sluice/playground/mesh"
)

const namespace = "payments"

// virtualService makes the guide's, with the given weights.
func virtualService(stable, canary int64) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"namespace": namespace, "name": "checkout-vsvc", "resourceVersion": "7"},
		"spec": map[string]any{
			"hosts": []any{"checkout"},
			"http": []any{map[string]any{"name": "primary", "route": []any{
				map[string]any{"destination": map[string]any{"host": "checkout-stable"}, "weight": stable},
				map[string]any{"destination": map[string]any{"host": "checkout-canary"}, "weight": canary},
			}}},
		},
	}}
}

func service(name, hash string) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	s.Spec.Selector = map[string]string{"app": "checkout"}
	if hash != "" {
		s.Spec.Selector[mesh.HashLabel] = hash
	}
	return s
}

func pod(name, hash, tag, address string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name,
			Labels:      map[string]string{"app": "checkout", mesh.HashLabel: hash},
			Annotations: map[string]string{nodes.ListenerAnnotation: address},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: "registry.internal/payments/checkout:" + tag}}},
	}
}

// slice makes the EndpointSlice of a Service with ready pods, and those whose
// name starts with "unready" not.
func slice(service string, names ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: service + "-abcde",
		Labels: map[string]string{discoveryv1.LabelServiceName: service},
	}}
	for _, n := range names {
		ready := !strings.HasPrefix(n, "unready")
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{"10.0.0.1"},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Name: n},
		})
	}
	return s
}

// server starts a pod's server that answers with status.
func server(t *testing.T, status int) (address string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Pod", "yes")
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// sink keeps what it is given.
type sink struct {
	mu     sync.Mutex
	counts map[string]float64
	values map[string][]float64
}

// series names a series as a query would.
func series(metric string, tags map[string]string) string {
	return metric + "{" + mesh.TagService + ":" + tags[mesh.TagService] + "," +
		mesh.TagHash + ":" + tags[mesh.TagHash] + "," + mesh.TagVersion + ":" + tags[mesh.TagVersion] + "}"
}

func (s *sink) Count(metric string, tags map[string]string, _ time.Time, n float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]float64{}
	}
	s.counts[series(metric, tags)] += n
}

func (s *sink) Distribution(metric string, tags map[string]string, _ time.Time, value float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = map[string][]float64{}
	}
	key := series(metric, tags)
	s.values[key] = append(s.values[key], value)
}

// ask sends n requests for the host through m and returns how often each status
// came back.
func ask(t *testing.T, m *mesh.Mesh, host string, n int) map[int]int {
	t.Helper()
	got := map[int]int{}
	for range n {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		got[w.Code]++
	}
	return got
}

// shop is a mesh with a healthy stable pod and a failing canary pod.
func shop(t *testing.T, s mesh.Sink) *mesh.Mesh {
	t.Helper()
	m := mesh.New(mesh.Options{Sink: s, Seed: 7})
	for _, o := range []any{
		service("checkout-stable", "aaa"), service("checkout-canary", "bbb"),
		pod("stable-1", "aaa", "1.0.0", server(t, http.StatusOK)),
		pod("canary-1", "bbb", "1.1.0-errors100", server(t, http.StatusInternalServerError)),
		slice("checkout-stable", "stable-1"), slice("checkout-canary", "canary-1"),
		virtualService(100, 0),
	} {
		m.Observe(o)
	}
	return m
}

func TestMeshSplitsByWeight(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		stable, canary int64
		low, high      int // of 1,000 to the canary
	}{
		"nothing to a weight of zero": {stable: 100, canary: 0, low: 0, high: 0},
		"a tenth":                     {stable: 90, canary: 10, low: 70, high: 130},
		"half":                        {stable: 50, canary: 50, low: 450, high: 550},
		"everything":                  {stable: 0, canary: 100, low: 1000, high: 1000},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := shop(t, nil)
			m.Observe(virtualService(tc.stable, tc.canary))
			got := ask(t, m, "checkout", 1000)
			if n := got[http.StatusInternalServerError]; n < tc.low || n > tc.high {
				t.Errorf("%d of 1,000 requests went to the canary, want %d to %d", n, tc.low, tc.high)
			}
			if n := m.Tally("bbb"); n.Requests != got[http.StatusInternalServerError] || n.Failures != n.Requests {
				t.Errorf("the canary's tally is %+v, want %d requests, all failed", n, got[http.StatusInternalServerError])
			}
		})
	}
}

func TestMeshMeasuresAsATracerWould(t *testing.T) {
	t.Parallel()
	s := &sink{}
	m := shop(t, s)
	ask(t, m, "checkout", 3)
	m.Observe(virtualService(0, 100))
	ask(t, m, "checkout", 2)

	const stable = "{service:checkout,kube_pod_label_rollouts_pod_template_hash:aaa,version:1.0.0}"
	const canary = "{service:checkout,kube_pod_label_rollouts_pod_template_hash:bbb,version:1.1.0-errors100}"
	want := map[string]float64{
		mesh.MetricHits + stable:   3,
		mesh.MetricHits + canary:   2,
		mesh.MetricErrors + canary: 2,
	}
	if diff := cmp.Diff(want, s.counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if n := len(s.values[mesh.MetricLatency+stable]); n != 3 {
		t.Errorf("the stable revision has %d latencies, want 3", n)
	}
	for _, v := range s.values[mesh.MetricLatency+canary] {
		if v <= 0 || v > 5000 {
			t.Errorf("a latency is %v, want milliseconds", v)
		}
	}
}

func TestMeshNamesOfAHost(t *testing.T) {
	t.Parallel()
	m := shop(t, nil)
	for _, host := range []string{
		"checkout", "checkout:8080", "checkout.payments", "checkout.payments.svc.cluster.local",
	} {
		if got := ask(t, m, host, 1); got[http.StatusOK] != 1 {
			t.Errorf("a request for %q got %v, want 200", host, got)
		}
	}
	if got := ask(t, m, "basket", 1); got[http.StatusNotFound] != 1 {
		t.Errorf("a request for a host nobody has got %v, want 404", got)
	}
}

func TestMeshWithoutAnEndpoint(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		why    string
		change func(*testing.T, *mesh.Mesh)
		want   int
	}{
		"no ready endpoint": {
			why:    "An endpoint that is not ready gets no request.",
			change: func(_ *testing.T, m *mesh.Mesh) { m.Observe(slice("checkout-stable", "unready-1")) },
			want:   http.StatusServiceUnavailable,
		},
		"the pod is gone": {
			why:    "A slice may lag behind the pod.",
			change: func(_ *testing.T, m *mesh.Mesh) { m.Forget(pod("stable-1", "aaa", "1.0.0", "")) },
			want:   http.StatusServiceUnavailable,
		},
		"the Service is gone": {
			why:    "A destination is a Service, not its slices.",
			change: func(_ *testing.T, m *mesh.Mesh) { m.Forget(service("checkout-stable", "")) },
			want:   http.StatusServiceUnavailable,
		},
		"the VirtualService is gone": {
			why:    "Nobody else has the host.",
			change: func(_ *testing.T, m *mesh.Mesh) { m.Forget(virtualService(0, 0)) },
			want:   http.StatusNotFound,
		},
		"no weight at all": {
			why:    "Nothing can be picked.",
			change: func(_ *testing.T, m *mesh.Mesh) { m.Observe(virtualService(0, 0)) },
			want:   http.StatusServiceUnavailable,
		},
		"one pod of two does not listen": {
			why: "A refused connection is tried on the next endpoint.",
			change: func(_ *testing.T, m *mesh.Mesh) {
				m.Observe(pod("stable-0", "aaa", "1.0.0", "127.0.0.1:1"))
				m.Observe(slice("checkout-stable", "stable-0", "stable-1"))
			},
			want: http.StatusOK,
		},
		"no pod listens": {
			why:    "There is nobody left to try.",
			change: func(_ *testing.T, m *mesh.Mesh) { m.Observe(pod("stable-1", "aaa", "1.0.0", "127.0.0.1:1")) },
			want:   http.StatusServiceUnavailable,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := shop(t, nil)
			tc.change(t, m)
			if got := ask(t, m, "checkout", 4); got[tc.want] != 4 {
				t.Errorf("4 requests got %v, want %d; %s", got, tc.want, tc.why)
			}
		})
	}
}

func TestMeshRemembersShiftsAndMoves(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	m := mesh.New(mesh.Options{Now: func() time.Time { return now }})
	m.Observe(service("checkout-stable", ""))
	m.Observe(pod("stable-1", "aaa", "1.0.0", "127.0.0.1:1"))
	m.Observe(slice("checkout-stable", "stable-1"))
	m.Observe(virtualService(100, 0))
	now = now.Add(time.Second)
	m.Observe(virtualService(100, 0))
	m.Observe(service("checkout-stable", "aaa"))
	m.Observe(virtualService(90, 10))

	first, second := time.Unix(1000, 0), time.Unix(1001, 0)
	wantShifts := []mesh.Shift{
		{At: first, Version: 7, VirtualService: "checkout-vsvc", Weights: []mesh.Weight{
			{Service: "checkout-stable", Percent: 100, Hashes: []string{"aaa"}}, {Service: "checkout-canary"},
		}},
		{At: second, Version: 7, VirtualService: "checkout-vsvc", Weights: []mesh.Weight{
			{Service: "checkout-stable", Percent: 90, Hashes: []string{"aaa"}}, {Service: "checkout-canary", Percent: 10},
		}},
	}
	if diff := cmp.Diff(wantShifts, m.Shifts(time.Time{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Shifts (-want +got):\n%s", diff)
	}
	if got := m.Shifts(second); len(got) != 1 || got[0].String() != "90/10" {
		t.Errorf("Shifts(since the second) = %v, want one to 90/10", got)
	}
	wantMoves := []mesh.Move{
		{At: first, Service: "checkout-stable"},
		{At: second, Service: "checkout-stable", Hash: "aaa"},
	}
	if diff := cmp.Diff(wantMoves, m.Moves(time.Time{})); diff != "" {
		t.Errorf("Moves (-want +got):\n%s", diff)
	}
	if got := m.Moves(second.Add(1)); got != nil {
		t.Errorf("Moves(later) = %v, want none", got)
	}
}

func TestMeshTellsARoute(t *testing.T) {
	t.Parallel()
	m := shop(t, nil)
	want := []mesh.Weight{
		{Service: "checkout-stable", Percent: 100, Hashes: []string{"aaa"}},
		{Service: "checkout-canary", Hashes: []string{"bbb"}},
	}
	if diff := cmp.Diff(want, m.Route("checkout")); diff != "" {
		t.Errorf("Route(checkout) (-want +got):\n%s", diff)
	}
	if got := m.Route("basket"); got != nil {
		t.Errorf("Route(basket) = %v, want none", got)
	}
}

func TestMeshPassesOverRoutesWithAMatch(t *testing.T) {
	t.Parallel()
	m := shop(t, nil)
	vs := virtualService(100, 0)
	routes, _, _ := unstructured.NestedSlice(vs.Object, "spec", "http")
	header := map[string]any{
		"match": []any{map[string]any{"headers": map[string]any{"x-canary": map[string]any{"exact": "yes"}}}},
		"route": []any{map[string]any{"destination": map[string]any{"host": "checkout-canary"}}},
	}
	if err := unstructured.SetNestedSlice(vs.Object, append([]any{header}, routes...), "spec", "http"); err != nil {
		t.Fatal(err)
	}
	m.Observe(vs)
	if got := ask(t, m, "checkout", 20); got[http.StatusOK] != 20 {
		t.Errorf("20 requests got %v, want 200 from the stable pod", got)
	}
}

func TestMeshALoneDestinationNeedsNoWeight(t *testing.T) {
	t.Parallel()
	m := shop(t, nil)
	vs := virtualService(0, 0)
	route := []any{map[string]any{"destination": map[string]any{"host": "checkout-stable.payments.svc.cluster.local"}}}
	if err := unstructured.SetNestedSlice(vs.Object, []any{map[string]any{"route": route}}, "spec", "http"); err != nil {
		t.Fatal(err)
	}
	m.Observe(vs)
	if got := ask(t, m, "checkout", 5); got[http.StatusOK] != 5 {
		t.Errorf("5 requests got %v, want 200", got)
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	m := shop(t, nil)
	url, _, err := m.Serve(t.Context())
	if err != nil {
		t.Fatalf("Serve: %v", err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/pay", strings.NewReader("card=1"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "checkout"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("send a request through the mesh: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Pod") != "yes" {
		t.Errorf("the mesh answered %d with headers %v, want the pod's answer", resp.StatusCode, resp.Header)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package pass

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/apply"
	"sluice.dev/sluice/internal/builtin"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/observe"
)

const objects = `
apiVersion: v1
kind: Service
metadata: {name: stable}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: canary}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: routes
  labels: {team: shop}
  annotations: {theirs: stays}
spec:
  hosts: [web]
  gateways: [mesh]
  exportTo: ["."]
  http:
    - name: admin
      match: [{uri: {prefix: /admin}, withoutHeaders: {x-user: {}}}]
      route: [{destination: {host: admin, port: {number: 8080}}, weight: 100, headers: {request: {set: {a: b}}}}]
    - name: primary
      timeout: 3s
      retries: {attempts: 2, perTryTimeout: 1s}
      mirror: {host: shadow}
      mirrorPercentage: {value: 12.5}
      corsPolicy: {allowOrigins: [{exact: "https://web.internal"}]}
      route:
        - {destination: {host: stable}, weight: 100, headers: {response: {add: {v: stable}}}}
        - {destination: {host: canary}, weight: 0}
    - name: delegated
      delegate: {name: other, namespace: elsewhere}
  tls:
    - match: [{port: 443, sniHosts: [web.internal]}]
      route: [{destination: {host: tls}}]
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: gate}
spec:
  metrics: [{name: m, count: 1, provider: {datadog: {apiVersion: v2, query: "sum:x{*}"}}}]
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, annotations: {note: kept}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "web:1"}]
  strategy:
    canary:
      canaryService: canary
      stableService: stable
      trafficRouting:
        istio: {virtualService: {name: routes, routes: [primary]}}
      steps:
        - setWeight: 20
        - analysis: {templates: [{templateName: gate}]}
`

// A counter counts requests by verb and path, watches apart.
type counter struct {
	next http.RoundTripper
	mu   sync.Mutex
	seen []string
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Query().Get("watch") == "" {
		c.mu.Lock()
		c.seen = append(c.seen, r.Method+" "+r.URL.Path)
		c.mu.Unlock()
	}
	return c.next.RoundTrip(r) //nolint:wrapcheck // it is passed on as it is
}

func (c *counter) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.seen
	c.seen = nil
	return out
}

// A stand is an observer and an applier on a real API server.
type stand struct {
	*bed.Bed
	observer *observe.Observer
	applier  *apply.Applier
	requests *counter
	ns       string
}

func newStand(t *testing.T) *stand {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	b := bed.New(t, cluster.Options{})
	config := b.Cluster.Config()
	requests := &counter{}
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { requests.next = rt; return requests })
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: b.Client.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	if err := observe.Index(ctx, mgr.GetFieldIndexer()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	routes := &observe.RouteReader{
		Make: builtin.Router, Cached: mgr.GetClient(), Live: mgr.GetAPIReader(), Mapper: mgr.GetRESTMapper(),
		Watch: func(context.Context, schema.GroupVersionKind) error { return nil },
	}
	overlay := observe.NewOverlay()
	return &stand{
		Bed: b, requests: requests,
		observer: &observe.Observer{Cached: mgr.GetClient(), Live: mgr.GetAPIReader(), Routers: routes, Overlay: overlay, Semantics: analysis.Guide},
		applier:  &apply.Applier{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Routes: routes, Overlay: overlay, Clock: clock.RealClock{}},
	}
}

// in gives the objects a namespace of their own, with pairs replaced first.
func (s *stand) in(t *testing.T, pairs ...string) *stand {
	t.Helper()
	b := *s.Bed
	b.TB = t
	out := *s
	out.Bed = &b
	out.ns = strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(t.Name()[max(0, len(t.Name())-50):])), "-")
	out.Namespace(out.ns)
	for doc := range strings.SplitSeq(strings.NewReplacer(pairs...).Replace(objects), "\n---\n") {
		out.put(doc)
	}
	return &out
}

func (s *stand) put(doc string) {
	s.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(doc), &obj.Object); err != nil {
		s.Fatal(err)
	}
	obj.SetNamespace(s.ns)
	err := s.Client.Apply(s.Context(), client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("git"), client.ForceOwnership)
	if err != nil {
		s.Fatalf("apply %s: %v", obj.GetName(), err)
	}
}

// object reads an object as the API server has it now.
func (s *stand) object(apiVersion, kind, name string) *unstructured.Unstructured {
	s.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, obj); err != nil {
		s.Fatal(err)
	}
	return obj
}

func (s *stand) vs() *unstructured.Unstructured {
	s.Helper()
	return s.object("networking.istio.io/v1beta1", "VirtualService", "routes")
}

func (s *stand) patch(obj client.Object, body string) {
	s.Helper()
	if err := s.Client.Patch(s.Context(), obj, client.RawPatch(types.MergePatchType, []byte(body))); err != nil {
		s.Fatal(err)
	}
}

// observe looks at the Rollout as the API server has it now, once the cache has
// what ready asks for.
func (s *stand) observe(ready func(*observe.World) error) *observe.World {
	s.Helper()
	var w *observe.World
	s.Eventually("the cache shows it", func() error {
		ro := s.Rollout(s.ns, "web")
		var err error
		if w, err = s.observer.Observe(s.Context(), ro, time.Now()); err != nil {
			return fmt.Errorf("observe: %w", err)
		}
		return ready(w)
	})
	return w
}

// whole is satisfied when the cache has all that objects made.
func whole(w *observe.World) error {
	if len(w.Snapshot.Problems) > 0 || w.Stable == nil || w.Canary == nil || w.Routes == nil {
		return fmt.Errorf("%v", w.Snapshot.Problems)
	}
	return nil
}

func (s *stand) status(body string) {
	s.Helper()
	ro := &v1alpha1.Rollout{}
	ro.Namespace, ro.Name = s.ns, "web"
	if err := s.Client.Status().Patch(s.Context(), ro, client.RawPatch(types.MergePatchType, []byte(body))); err != nil {
		s.Fatal(err)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package evidence_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// objects are what one release needs. Its gate measures every second until it
// has five readings.
const objects = `
apiVersion: v1
kind: Service
metadata: {namespace: payments, name: stable}
spec: {selector: {app: checkout}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: payments, name: canary}
spec: {selector: {app: checkout}, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {namespace: payments, name: routes}
spec:
  hosts: [checkout]
  http:
    - name: primary
      route:
        - {destination: {host: stable}, weight: 100}
        - {destination: {host: canary}, weight: 0}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {namespace: payments, name: gate}
spec:
  args: [{name: hash}]
  metrics:
    - name: error-rate
      interval: 1s
      count: 5
      successCondition: result < 0.01
      failureCondition: result >= 0.05
      failureLimit: 2
      provider:
        datadog:
          apiVersion: v2
          interval: 5s
          formula: default_zero(errors) / hits
          queries:
            errors: "sum:errors{hash:{{args.hash}}}.as_count()"
            hits: "sum:hits{hash:{{args.hash}}}.as_count()"
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  namespace: payments
  name: checkout
  annotations: {}
spec:
  replicas: 2
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec:
      containers: [{name: checkout, image: "registry.internal/checkout:1"}]
  strategy:
    canary:
      canaryService: canary
      stableService: stable
      trafficRouting:
        istio: {virtualService: {name: routes, routes: [primary]}}
      steps:
        - setWeight: 20
        - analysis:
            templates: [{templateName: gate}]
            args: [{name: hash, valueFrom: {podTemplateHashValue: Latest}}]
        - setWeight: 50
`

// An answer is what Datadog said, by column.
type answer struct {
	aggregator string
	columns    map[string]*float64
}

// answers notes what passes between the controller and Datadog.
type answers struct {
	*httptest.Server
	mu  sync.Mutex
	all []answer
}

func note(t *testing.T, to string) *answers {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	a := &answers{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header.Del("Accept-Encoding")
		rec := httptest.NewRecorder()
		proxy.ServeHTTP(rec, r)
		a.take(body, rec.Body.Bytes())
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *answers) take(asked, said []byte) {
	var q struct {
		Data struct {
			Attributes struct {
				Queries []struct{ Aggregator string }
			}
		}
	}
	var s struct {
		Data struct {
			Attributes struct {
				Columns []struct {
					Name   string
					Type   string
					Values []*float64
				}
			}
		}
	}
	if json.Unmarshal(asked, &q) != nil || json.Unmarshal(said, &s) != nil || len(q.Data.Attributes.Queries) == 0 {
		return
	}
	out := answer{aggregator: q.Data.Attributes.Queries[0].Aggregator, columns: map[string]*float64{}}
	for _, c := range s.Data.Attributes.Columns {
		if len(c.Values) == 1 {
			out.columns[c.Name] = c.Values[0]
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, out)
}

// values are the formula's, as they are written down, where it had one and the
// hits were there.
func (a *answers) values() []string {
	var out []string
	for _, x := range a.of("last") {
		for name, v := range x.columns {
			if strings.Contains(name, "/") && v != nil {
				out = append(out, strconv.FormatFloat(*v, 'f', -1, 64))
			}
		}
	}
	return out
}

// counts are what the queries counted, where there were hits.
func (a *answers) counts() []map[string]float64 { return known(a.of("last")) }

// sums are what was counted over whole attempts.
func (a *answers) sums() []map[string]float64 { return known(a.of("sum")) }

func known(all []answer) []map[string]float64 {
	var out []map[string]float64
	for _, x := range all {
		counts := map[string]float64{}
		for name, v := range x.columns {
			if v != nil && !strings.Contains(name, "/") {
				counts[name] = *v
			}
		}
		out = append(out, counts)
	}
	return out
}

// of are the answers with an aggregator that had hits.
func (a *answers) of(aggregator string) []answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []answer
	for _, x := range a.all {
		if x.aggregator == aggregator && x.columns["hits"] != nil {
			out = append(out, x)
		}
	}
	return out
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

func TestARotatedKeyIsUsedAtTheNextMeasurement(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.Distribution("latency", nil, now.Add(ago), 42)
	s.SetKeys(datadogtest.Keys{API: "a1", App: "p1"})
	data := map[string]string{"address": s.URL(), "apiKey": "a1", "appKey": "p1"}
	source := open(t, holding(data), v1alpha1.DatadogMetric{APIVersion: "v2", Query: "p99:latency{*}"})
	if r, err := source.Measure(t.Context(), now); err != nil || r.Value != 42.0 {
		t.Fatalf("got %+v, %v", r, err)
	}
	s.SetKeys(datadogtest.Keys{API: "a2", App: "p2"})
	if _, err := source.Measure(t.Context(), now); err == nil {
		t.Fatal("the old keys still work")
	}
	data["apiKey"], data["appKey"] = "a2", "p2\n"
	if r, err := source.Measure(t.Context(), now); err != nil || r.Value != 42.0 {
		t.Errorf("after the rotation: got %+v, %v", r, err)
	}
}

func TestWhereTheKeysComeFrom(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.Distribution("latency", nil, now.Add(ago), 1)
	ref := func(name string, namespaced bool) v1alpha1.SecretRef {
		return v1alpha1.SecretRef{Name: name, Namespaced: namespaced}
	}
	type m = map[string]string
	full := func(app string) m { return m{"address": s.URL(), "api-key": apiKey, "app-key": app} }
	env := m{"DD_API_KEY": apiKey, "DD_APP_KEY": "env", "DD_ADDRESS": s.URL()}
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "datadog", errors.New("no"))
	for name, tc := range map[string]struct {
		secrets map[string]m
		err     error
		env     m
		ref     v1alpha1.SecretRef
		wantApp string
		want    string
		class   metric.Class
	}{
		"the Secret datadog in the controller's namespace": {
			secrets: map[string]m{"argo-rollouts/datadog": full("shared"), "payments/datadog": full("run's")}, wantApp: "shared",
		},
		"camel case": {
			secrets: map[string]m{"argo-rollouts/datadog": {"address": s.URL(), "apiKey": apiKey, "appKey": "camel"}}, wantApp: "camel",
		},
		"an empty key does not hide the other spelling": {
			secrets: map[string]m{"argo-rollouts/datadog": {"address": s.URL(), "apiKey": apiKey, "api-key": " ", "appKey": "camel", "app-key": ""}}, wantApp: "camel",
		},
		"the environment comes before the Secret": {
			secrets: map[string]m{"argo-rollouts/datadog": full("shared")}, env: env, wantApp: "env",
		},
		"the environment counts only when complete": {
			secrets: map[string]m{"argo-rollouts/datadog": full("shared")}, env: m{"DD_API_KEY": "x", "DD_APP_KEY": "y"}, wantApp: "shared",
		},
		"secretRef comes before the environment": {
			secrets: map[string]m{"argo-rollouts/mine": full("mine")}, env: env, ref: ref("mine", false), wantApp: "mine",
		},
		"secretRef in the run's namespace": {
			secrets: map[string]m{"payments/mine": full("run's"), "argo-rollouts/mine": full("shared")}, ref: ref("mine", true), wantApp: "run's",
		},
		"secretRef has no fallback": {
			secrets: map[string]m{"argo-rollouts/datadog": full("shared")}, env: env, ref: ref("mine", false),
			want: "Secret argo-rollouts/mine, which should hold the Datadog keys (api-key, app-key and, optionally, address), does not exist", class: metric.Misconfigured,
		},
		"no Secret": {
			want: "Secret argo-rollouts/datadog, which should hold the Datadog keys", class: metric.Misconfigured,
		},
		"no keys in it": {
			secrets: map[string]m{"argo-rollouts/datadog": {"address": s.URL()}},
			want:    `Secret argo-rollouts/datadog has no key "api-key" (or "apiKey") and key "app-key" (or "appKey"); Datadog needs both`, class: metric.Misconfigured,
		},
		"one key in it": {
			secrets: map[string]m{"argo-rollouts/datadog": {"api-key": apiKey}},
			want:    `Secret argo-rollouts/datadog has no key "app-key" (or "appKey"); Datadog needs both`, class: metric.Misconfigured,
		},
		"a Secret that may not be read": {
			err: forbidden, want: "Secret argo-rollouts/datadog, which should hold the Datadog keys, may not be read", class: metric.Misconfigured,
		},
		"an API server that is away": {
			err: errors.New("connection refused"), want: "read Secret argo-rollouts/datadog for the Datadog keys: connection refused", class: metric.Unavailable,
		},
		"a key in place of the address": {
			secrets: map[string]m{"argo-rollouts/datadog": {"address": apiKey, "api-key": apiKey, "app-key": appKey}},
			want:    "the Datadog address of Secret argo-rollouts/datadog is not the URL of a site", class: metric.Misconfigured,
		},
		"a key that no header can hold": {
			secrets: map[string]m{"argo-rollouts/datadog": {"api-key": apiKey, "app-key": "a\nb"}},
			want:    "a Datadog key of Secret argo-rollouts/datadog holds a character that no key has", class: metric.Misconfigured,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := metric.Env{
				ControllerNamespace: "argo-rollouts", RunNamespace: "payments",
				Getenv: func(k string) string { return tc.env[k] },
				Secrets: func(_ context.Context, namespace, name string) (map[string][]byte, error) {
					if tc.err != nil {
						return nil, tc.err
					}
					data, ok := tc.secrets[namespace+"/"+name]
					if !ok {
						return nil, notFound(name)
					}
					bytes := map[string][]byte{}
					for k, v := range data {
						bytes[k] = []byte(v)
					}
					return bytes, nil
				},
			}
			source := open(t, e, v1alpha1.DatadogMetric{APIVersion: "v2", Query: "avg:latency{*}", SecretRef: tc.ref})
			_, err := source.Measure(t.Context(), now)
			if tc.wantApp != "" {
				if err != nil {
					t.Fatal(err)
				}
				if !askedWith(s, tc.wantApp) {
					t.Errorf("no request with the application key %q", tc.wantApp)
				}
				return
			}
			var me *metric.Error
			if !errors.As(err, &me) || me.Class != tc.class || !strings.Contains(me.Message, tc.want) {
				t.Errorf("got %v, want %s with %q", err, tc.class, tc.want)
			}
			if strings.Contains(fmt.Sprint(err), apiKey) {
				t.Errorf("a key is in %v", err)
			}
		})
	}
}

func askedWith(s *datadogtest.Server, app string) bool {
	for _, r := range s.Requests() {
		if r.Keys == (datadogtest.Keys{API: apiKey, App: app}) {
			return true
		}
	}
	return false
}

func TestWhatAnErrorSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault datadogtest.Fault
		query string
		want  string
		class metric.Class
		wait  time.Duration
	}{
		"403": {
			fault: datadogtest.Fault{Mode: datadogtest.Forbidden},
			want: `Datadog at SITE (/api/v2/query/scalar) answered 403 Forbidden: "Forbidden"; likely cause: SITE is not the site of the organisation ` +
				`that the keys belong to (address), or a key is wrong or revoked, or the application key lacks the scope timeseries_query; ` +
				`the keys are from Secret argo-rollouts/datadog`,
			class: metric.Unauthorized,
		},
		"404": {
			fault: datadogtest.Fault{Mode: datadogtest.NotFound},
			want: `Datadog at SITE (/api/v2/query/scalar) answered 404 Not Found: "Not Found"; likely cause: SITE is not a Datadog API ` +
				`(address in Secret argo-rollouts/datadog); it looks like https://api.datadoghq.com or https://api.datadoghq.eu`,
			class: metric.Misconfigured,
		},
		"429 with both headers": {
			fault: datadogtest.Fault{Mode: datadogtest.RateLimited, RetryAfter: 12 * time.Second, Reset: 50 * time.Second},
			want: `Datadog at SITE (/api/v2/query/scalar) answered 429 Too Many Requests: "Rate limit of 100 requests in 60 seconds reached. ` +
				`Please try again later."; the rate limit "metrics_query" of 100 requests in 60 seconds is used up; asked again when Datadog allows it`,
			class: metric.RateLimited, wait: 12 * time.Second,
		},
		"429 with X-RateLimit-Reset only": {
			fault: datadogtest.Fault{Mode: datadogtest.RateLimited, RetryAfter: -1, Reset: 50 * time.Second},
			want:  `answered 429`, class: metric.RateLimited, wait: 50 * time.Second,
		},
		"400": {
			query: "sum:hits{a:b OR c:d}",
			want:  `the query itself is at fault`, class: metric.Misconfigured,
		},
		"keys repeated": {
			fault: datadogtest.Fault{Mode: datadogtest.EchoKeys},
			want:  `"Forbidden for api_key=***** application_key=*****"`, class: metric.Unauthorized,
		},
		"a redirect": {
			fault: datadogtest.Fault{Mode: datadogtest.RedirectAway, Location: "https://evil.example.com/x?key=y"},
			want:  `a redirect to evil.example.com was not followed, because the keys are for SITE only`, class: metric.Misconfigured,
		},
		"half a body": {
			fault: datadogtest.Fault{Mode: datadogtest.HalfBody},
			want:  `Datadog at SITE (/api/v2/query/scalar) broke off in the middle of its answer`, class: metric.Unavailable,
		},
		"too much of a body": {
			fault: datadogtest.Fault{Mode: datadogtest.HugeBody},
			want:  `answered with more than 4 MiB; ask for fewer groups`, class: metric.Malformed,
		},
		"no JSON": {
			fault: datadogtest.Fault{Mode: datadogtest.MalformedJSON},
			want:  `answered with something that is not a query result: invalid character '<'`, class: metric.Malformed,
		},
		"no answer": {
			fault: datadogtest.Fault{Mode: datadogtest.Hang},
			want:  `Datadog at SITE (/api/v2/query/scalar) did not answer within 200ms (requestTimeout)`, class: metric.Unavailable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			if tc.fault.Mode != "" {
				s.Fail(tc.fault)
			}
			config := v1alpha1.DatadogMetric{APIVersion: "v2", Query: "avg:latency{*}"}
			if tc.query != "" {
				config.Query = tc.query
			}
			if tc.fault.Mode == datadogtest.Hang {
				config.RequestTimeout = "200ms"
			}
			_, err := open(t, keys(s.URL()), config).Measure(t.Context(), now)
			var e *metric.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if want := strings.ReplaceAll(tc.want, "SITE", s.URL()); e.Class != tc.class || e.RetryAfter != tc.wait || !strings.Contains(e.Message, want) {
				t.Errorf("got %s, wait %s: %s\nwant %s, wait %s: %s", e.Class, e.RetryAfter, e.Message, tc.class, tc.wait, want)
			}
			if strings.Contains(e.Message, apiKey) || strings.Contains(e.Message, appKey) {
				t.Errorf("a key is in %q", e.Message)
			}
		})
	}
}

func TestAKeyInAHeaderIsNotPassedOn(t *testing.T) {
	t.Parallel()
	for header, status := range map[string]int{"X-RateLimit-Name": 429, "X-RateLimit-Limit": 429, "X-RateLimit-Period": 429, "Location": 307} {
		for _, before := range []int{0, 8, 40, 50, 80} {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("X-RateLimit-Limit", "1")
				w.Header().Set("X-RateLimit-Period", "1")
				w.Header().Set(header, "http://"+strings.Repeat("x", before)+apiKey+"."+strings.ToUpper(appKey))
				w.WriteHeader(status)
			}))
			_, err := open(t, keys(s.URL), v1alpha1.DatadogMetric{Query: "avg:x{*}"}).Measure(t.Context(), now)
			s.Close()
			if err == nil || strings.Contains(err.Error(), apiKey[:8]) || strings.Contains(err.Error(), strings.ToUpper(appKey[:8])) {
				t.Errorf("%s after %d: got %v", header, before, err)
			}
		}
	}
}

func TestV1(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.Count("hits", tags("checkout", "bbb"), now.Add(ago), 7)
	s.Count("hits", tags("checkout", "ccc"), now.Add(ago), 8)
	measure := func(query string) metric.Reading {
		t.Helper()
		r, err := open(t, keys(s.URL()+"/"), v1alpha1.DatadogMetric{Query: query}).Measure(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	want := metric.Reading{
		Value: 7.0, Query: "sum:hits{service:checkout} by {" + hashTag + "}.as_count()",
		Window: metric.Window{From: now.Add(-5 * time.Minute), To: now}, Notes: map[string]string{"series_ignored": "1"},
	}
	if diff := cmp.Diff(want, measure("sum:hits{service:checkout}\n  by {"+hashTag+"}.as_count()\n")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if r := measure("sum:hits{service:other}.as_count()"); r.Value != nil || r.NoData != `query "sum:hits{service:other}.as_count()" returned no series for the last 5m` {
		t.Errorf("nothing: got %+v", r)
	}
	s.Fail(datadogtest.Fault{Mode: datadogtest.NullValues})
	if r := measure("sum:hits{*}.as_count()"); r.Value != nil || r.NoData != `query "sum:hits{*}.as_count()" has no value at its last point in the last 5m` {
		t.Errorf("null: got %+v", r)
	}
}

// canned answers every request with body.
func canned(t *testing.T, body string) metric.Env {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return keys(s.URL)
}

func TestAnAnswerThatRefusesIsAnError(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ version, body, want string }{
		"v1 in words":           {"v1", `{"status":"error","error":"Rule 'scope_expr' didn't match"}`, "could not answer the query: Rule 'scope_expr' didn't match"},
		"v1 without words":      {"v1", `{"status":"error","series":[]}`, "could not answer the query: status is error, without a reason"},
		"v2 beside the data":    {"v2", `{"data":{"attributes":{"columns":[]}},"errors":"boom"}`, "could not answer the query: boom"},
		"v2 within the data":    {"v2", `{"data":{"attributes":{"columns":[]},"errors":["a","b"]}}`, "could not answer the query: a; b"},
		"v2 in JSON:API's form": {"v2", `{"errors":[{"title":"Bad","detail":"worse"}]}`, "could not answer the query: Bad; worse"},
	} {
		_, err := open(t, canned(t, tc.body), v1alpha1.DatadogMetric{APIVersion: tc.version, Query: "avg:x{*}"}).Measure(t.Context(), now)
		var e *metric.Error
		if !errors.As(err, &e) || e.Class != metric.Misconfigured || !strings.Contains(e.Message, tc.want) {
			t.Errorf("%s: got %v, want Misconfigured with %q", name, err, tc.want)
		}
	}
}

func TestColumnsAreFoundByNameThenByOrder(t *testing.T) {
	t.Parallel()
	config := v1alpha1.DatadogMetric{
		APIVersion: "v2", Formula: "(e / h) * 100",
		Queries: map[string]string{"e": "sum:e{v:1}.as_count()", "h": "sum:h{v:1}.as_count()"},
	}
	column := func(name, values string) string {
		return `{"name":"` + name + `","type":"number","values":[` + values + `]}`
	}
	for name, tc := range map[string]struct {
		columns string
		value   any
		noData  string
	}{
		"by name, in any order":         {column("h", "50") + "," + column("e", "1") + "," + column("(e/h)*100", "2"), 2.0, ""},
		"by order":                      {column("query0", "2") + "," + column("query1", "1") + "," + column("query2", "50"), 2.0, ""},
		"the formula alone":             {column("x", "2"), 2.0, ""},
		"the formula alone, and silent": {column("x", "null"), nil, `formula "(e / h) * 100" returned nothing`},
		"no columns":                    {"", nil, `queries "e" and "h" returned nothing`},
		"a silent query, whatever the formula's column says": {
			column("(e / h) * 100", "0") + "," + column("e", "null") + "," + column("h", "50"), nil,
			`query "e" returned nothing for the last 5m, which is not taken as 0: it has had no data for any value of v`,
		},
	} {
		r, err := open(t, canned(t, `{"data":{"attributes":{"columns":[`+tc.columns+`]}}}`), config).Measure(t.Context(), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tc.value, r.Value); diff != "" || !strings.Contains(r.NoData, tc.noData) || (tc.noData == "") != (r.NoData == "") {
			t.Errorf("%s: got %+v, want %v, no data %q", name, r, tc.value, tc.noData)
		}
	}
}

func TestAFormulaBeyondUs(t *testing.T) {
	t.Parallel()
	config := errorRate()
	config.Formula = "clamp_min(errors, 0) / hits"
	columns := func(errors string) string {
		return `{"data":{"attributes":{"columns":[{"name":"clamp_min(errors, 0) / hits","type":"number","values":[0.5]},` +
			`{"name":"errors","type":"number","values":[` + errors + `]},{"name":"hits","type":"number","values":[2]}]}}}`
	}
	if r, err := open(t, canned(t, columns("1")), config).Measure(t.Context(), now); err != nil || r.Value != 0.5 {
		t.Errorf("with data: got %+v, %v", r, err)
	}
	r, err := open(t, canned(t, columns("null")), config).Measure(t.Context(), now)
	if err != nil || r.Value != nil || !strings.Contains(r.NoData, "the formula uses functions that only Datadog evaluates") {
		t.Errorf("with a silent query: got %+v, %v", r, err)
	}
}

func TestAtMostAHundredGroupsAreKept(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for i := range 250 {
		s.Distribution("latency", map[string]string{"pod": fmt.Sprintf("p%03d", i)}, now.Add(ago), float64(1000-i))
	}
	r, err := open(t, keys(s.URL()), v1alpha1.DatadogMetric{APIVersion: "v2", Query: "max:latency{*} by {pod}"}).Measure(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	if values, ok := r.Value.([]float64); !ok || len(values) != 250 {
		t.Errorf("the value is %v, want all 250", r.Value)
	}
	var kept []struct {
		Tags  map[string]string
		Value float64
	}
	if err := json.Unmarshal([]byte(r.Notes["groups"]), &kept); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 100 || kept[0].Value != 751 || kept[49].Value != 800 || kept[50].Value != 951 || kept[99].Value != 1000 || kept[99].Tags["pod"] != "p000" {
		t.Errorf("kept %d groups: %v", len(kept), kept)
	}
	if r.Notes["groups_truncated"] != "150" {
		t.Errorf("truncated: %q, want 150", r.Notes["groups_truncated"])
	}
}

func TestAProvenZeroOverridesTheFormulasColumn(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ := io.ReadAll(r.Body)
		if strings.Contains(string(asked), "by {"+hashTag+"}") {
			_, _ = io.WriteString(w, `{"data":{"attributes":{"columns":[{"name":"`+hashTag+`","type":"group","values":[["N/A"],["old"]]},`+
				`{"name":"query","type":"number","values":[null,3]}]}}}`)
			return
		}
		_, _ = io.WriteString(w, `{"data":{"attributes":{"columns":[{"name":"errors / hits","type":"number","values":[7]},`+
			`{"name":"errors","type":"number","values":[null]},{"name":"hits","type":"number","values":[50]}]}}}`)
	}))
	t.Cleanup(s.Close)
	r, err := open(t, keys(s.URL), errorRate()).Measure(t.Context(), now)
	if err != nil || r.Value != 0.0 || r.Notes["zero"] == "" {
		t.Errorf("got %+v, %v; want 0 with a note", r, err)
	}
}

func TestAGroupWithoutAnyDataHasNoValue(t *testing.T) {
	t.Parallel()
	config := errorRate()
	config.Formula = "default_zero(errors) + default_zero(hits)"
	r, err := open(t, canned(t, `{"data":{"attributes":{"columns":[{"name":"zone","type":"group","values":[["a"],["b"]]},`+
		`{"name":"default_zero(errors) + default_zero(hits)","type":"number","values":[null,null]},`+
		`{"name":"errors","type":"number","values":[1,null]},{"name":"hits","type":"number","values":[2,null]}]}}}`), config).Measure(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float64{3}, r.Value); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

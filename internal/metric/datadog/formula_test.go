// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

const (
	hits   = "trace.http.request.hits"
	failed = "trace.http.request.errors"
	ago    = -2 * time.Minute
	day    = 24 * time.Hour
)

func TestAnAbsentCountIsZeroOnlyWhenProven(t *testing.T) {
	t.Parallel()
	canary, stable := tags("checkout", "bbb"), tags("checkout", "aaa")
	for name, tc := range map[string]struct {
		feed   func(*datadogtest.Server)
		change func(*v1alpha1.DatadogMetric)
		env    func(*metric.Env)
		value  any
		noData string
		zero   string
	}{
		"both have data": {
			feed: func(s *datadogtest.Server) {
				s.Count(hits, canary, now.Add(ago), 200)
				s.Count(failed, canary, now.Add(ago), 4)
			},
			value: 0.02,
		},
		"no errors, and the stable version has had some": {
			feed: func(s *datadogtest.Server) {
				s.Count(hits, canary, now.Add(ago), 200)
				s.Count(failed, stable, now.Add(-time.Hour), 1)
			},
			value: 0.0,
			zero:  `query "errors" has no series where ` + hashTag + `:bbb, and was taken as 0: it has had data for other values of ` + hashTag + ` within the last 7 days`,
		},
		"no errors now, and the canary itself has had some": {
			feed: func(s *datadogtest.Server) {
				s.Count(hits, canary, now.Add(ago), 200)
				s.Count(failed, canary, now.Add(-10*time.Minute), 1)
			},
			value: 0.0,
			zero:  "was taken as 0",
		},
		"the last errors are six days old": {
			feed: func(s *datadogtest.Server) {
				s.Count(hits, canary, now.Add(ago), 200)
				s.Count(failed, stable, now.Add(-6*day), 1)
			},
			value: 0.0,
			zero:  "was taken as 0",
		},
		"the last errors are eight days old": {
			feed: func(s *datadogtest.Server) {
				s.Count(hits, canary, now.Add(ago), 200)
				s.Count(failed, stable, now.Add(-8*day), 1)
			},
			noData: `query "errors" returned nothing for the last 5m, which is not taken as 0: it has had no data for any value of ` + hashTag + ` within the last 7 days`,
		},
		"there have never been errors": {
			feed:   func(s *datadogtest.Server) { s.Count(hits, canary, now.Add(ago), 200) },
			noData: `it has had no data for any value of`,
		},
		"errors are counted without the tag": {
			feed: func(s *datadogtest.Server) {
				s.Count(hits, canary, now.Add(ago), 200)
				s.Count(failed, tags("checkout", ""), now.Add(ago), 7)
			},
			noData: `it has had no data for any value of`,
		},
		"errors are counted for another service": {
			feed: func(s *datadogtest.Server) {
				s.Count(hits, canary, now.Add(ago), 200)
				s.Count(failed, tags("checkout-http", "bbb"), now.Add(ago), 7)
			},
			noData: `it has had no data for any value of`,
		},
		"neither has data": {
			feed:   func(s *datadogtest.Server) { s.Count(failed, stable, now.Add(ago), 1) },
			noData: `queries "errors" and "hits" returned nothing for the last 5m`,
		},
		"errors without hits": {
			feed: func(s *datadogtest.Server) {
				s.Count(failed, canary, now.Add(ago), 3)
				s.Count(hits, stable, now.Add(ago), 100)
			},
			noData: `no traffic: query "hits" is 0 for the last 5m, so "errors / hits" has no value`,
		},
		"hits that are zero": {
			feed: func(s *datadogtest.Server) {
				s.Count(failed, canary, now.Add(ago), 0)
				s.Count(hits, canary, now.Add(ago), 0)
			},
			noData: `no traffic: query "hits" is 0`,
		},
		"no errors and no hits, both proven": {
			feed: func(s *datadogtest.Server) {
				s.Count(failed, stable, now.Add(ago), 1)
				s.Count(hits, canary, now.Add(ago), 0)
			},
			noData: `no traffic: query "hits" is 0`,
		},
		"default_zero is the author's word": {
			feed:   func(s *datadogtest.Server) { s.Count(hits, canary, now.Add(ago), 200) },
			change: func(c *v1alpha1.DatadogMetric) { c.Formula = "default_zero(errors) / hits" },
			value:  0.0,
		},
		"default_zero does not hide that nothing is measured": {
			feed:   func(*datadogtest.Server) {},
			change: func(c *v1alpha1.DatadogMetric) { c.Formula = "default_zero(errors) / (default_zero(hits) + 1)" },
			noData: `queries "errors" and "hits" returned nothing`,
		},
		"a gauge that is silent is never zero": {
			feed: func(s *datadogtest.Server) {
				s.Count(hits, canary, now.Add(ago), 200)
				s.Count("queue", stable, now.Add(ago), 1)
			},
			change: func(c *v1alpha1.DatadogMetric) {
				c.Queries["errors"] = "avg:queue{service:checkout," + hashTag + ":bbb}"
			},
			noData: "only a plain query that ends in .as_count() counts events",
		},
		"queries that share no tag of the canary": {
			feed: func(s *datadogtest.Server) {
				s.Count(hits, canary, now.Add(ago), 200)
				s.Count(failed, stable, now.Add(ago), 1)
			},
			change: func(c *v1alpha1.DatadogMetric) {
				c.Queries["hits"] = "sum:" + hits + "{service:checkout}.as_count()"
				c.Queries["errors"] = "sum:" + failed + "{pod:x," + hashTag + ":bbb}.as_count()"
			},
			noData: `it shares no tag with query "hits" that can be told to be the canary's`,
		},
		"the canary's hash tells its tag": {
			feed: func(s *datadogtest.Server) {
				s.Count(hits, map[string]string{"track": "x1", "zone": "z"}, now.Add(ago), 200)
				s.Count(failed, map[string]string{"track": "x0", "zone": "z"}, now.Add(ago), 1)
			},
			change: func(c *v1alpha1.DatadogMetric) {
				c.Queries["hits"] = "sum:" + hits + "{track:x1,zone:z}.as_count()"
				c.Queries["errors"] = "sum:" + failed + "{zone:z,track:x1}.as_count()"
			},
			env:   func(e *metric.Env) { e.PodTemplateHash = "x1" },
			value: 0.0,
			zero:  "no series where track:x1",
		},
		"tags that could both be the canary's": {
			feed: func(s *datadogtest.Server) {
				s.Count(hits, map[string]string{"track": "x1", "zone": "z"}, now.Add(ago), 200)
				s.Count(failed, map[string]string{"track": "x0", "zone": "z"}, now.Add(ago), 1)
			},
			change: func(c *v1alpha1.DatadogMetric) {
				c.Queries["hits"] = "sum:" + hits + "{track:x1,zone:z}.as_count()"
				c.Queries["errors"] = "sum:" + failed + "{zone:z,track:x1}.as_count()"
			},
			noData: "can be told to be the canary's",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			tc.feed(s)
			config, env := errorRate(), keys(s.URL())
			if tc.change != nil {
				tc.change(&config)
			}
			if tc.env != nil {
				tc.env(&env)
			}
			r, err := open(t, env, config).Measure(t.Context(), now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.value, r.Value); diff != "" {
				t.Errorf("value: -want +got:\n%s\n%+v", diff, r)
			}
			if !strings.Contains(r.NoData, tc.noData) || (tc.noData == "") != (r.NoData == "") {
				t.Errorf("no data is %q, want %q in it", r.NoData, tc.noData)
			}
			if zero := r.Notes["zero"]; !strings.Contains(zero, tc.zero) || (tc.zero == "" && tc.noData == "" && zero != "") {
				t.Errorf("the note is %q, want %q in it", zero, tc.zero)
			}
		})
	}
}

func TestAProofIsNotAskedForAtEveryMeasurement(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for i := range 8 * 60 {
		s.Count(hits, tags("checkout", "bbb"), now.Add(time.Duration(i)*time.Minute), 10)
	}
	s.Count(failed, tags("checkout", "aaa"), now.Add(-7*day+3*time.Hour), 1)
	source := open(t, keys(s.URL()), errorRate())
	asked := 0
	measure := func(at time.Time) (metric.Reading, int) {
		t.Helper()
		r, err := source.Measure(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		n := len(s.Requests()) - asked
		asked += n
		return r, n
	}
	for _, step := range []struct {
		after    time.Duration
		requests int
		noData   bool
	}{
		{5 * time.Minute, 2, false},
		{6 * time.Minute, 1, false},
		{64 * time.Minute, 1, false},
		{66 * time.Minute, 2, false},
		{2 * time.Hour, 1, false},
		// The evidence must be within seven days to the end of the proof's life.
		{2*time.Hour + 7*time.Minute, 2, true},
		{3*time.Hour + time.Minute, 2, true},
	} {
		r, n := measure(now.Add(step.after))
		if n != step.requests || (r.NoData != "") != step.noData {
			t.Errorf("after %s: %d requests, no data %q; want %d, %t", step.after, n, r.NoData, step.requests, step.noData)
		}
	}
	last := s.Requests()[len(s.Requests())-1]
	want := map[string]string{"query": "sum:" + failed + "{service:checkout} by {" + hashTag + "}.as_count()"}
	if diff := cmp.Diff(want, last.Queries); diff != "" {
		t.Errorf("the proof asks: -want +got:\n%s", diff)
	}
}

func TestAProofIsOfOneOrganisation(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.Count(hits, tags("checkout", "bbb"), now.Add(ago), 10)
	s.Count(failed, tags("checkout", "aaa"), now.Add(ago), 1)
	for _, app := range []string{"one", "two"} {
		before := len(s.Requests())
		env := holding(map[string]string{"address": s.URL(), "api-key": apiKey, "app-key": app})
		if _, err := open(t, env, errorRate()).Measure(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if n := len(s.Requests()) - before; n != 2 {
			t.Errorf("with key %q: %d requests, want 2", app, n)
		}
	}
}

func TestAProofThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.Count(hits, tags("checkout", "bbb"), now.Add(ago), 10)
	s.Count(failed, tags("checkout", "aaa"), now.Add(ago), 1)
	s.Fail(datadogtest.Fault{Times: 1})
	s.Fail(datadogtest.Fault{Mode: datadogtest.RateLimited, RetryAfter: 9 * time.Second})
	_, err := open(t, keys(s.URL()), errorRate()).Measure(t.Context(), now)
	var e *metric.Error
	if !errors.As(err, &e) || e.Class != metric.RateLimited || e.RetryAfter != 9*time.Second {
		t.Fatalf("got %#v, want RateLimited with a wait of 9s", err)
	}
	if !strings.HasPrefix(e.Message, "asking whether a silent count exists at all: Datadog at http://127.0.0.1") {
		t.Errorf("got %q", e.Message)
	}
}

func TestTheGuidesQueriesAsTheyAreSent(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.Count(hits, tags("checkout", "bbb"), now.Add(ago), 100)
	s.Count(failed, tags("checkout", "bbb"), now.Add(ago), 5)
	r, err := open(t, keys(s.URL()+"//"), errorRate()).Measure(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	scope := "{service:checkout," + hashTag + ":bbb}.as_count()"
	want := metric.Reading{
		Value:  0.05,
		Window: metric.Window{From: now.Add(-5 * time.Minute), To: now},
		Query:  "errors / hits; errors = sum:" + failed + scope + "; hits = sum:" + hits + scope,
		Notes:  map[string]string{"counts": `{"errors":5,"hits":100}`},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	got := s.Requests()
	if len(got) != 1 {
		t.Fatalf("got %d requests", len(got))
	}
	wantRequest := datadogtest.Request{
		Time: got[0].Time, Method: "POST", Path: datadogtest.ScalarPath, Status: 200,
		Keys:     datadogtest.Keys{API: apiKey, App: appKey},
		Queries:  map[string]string{"errors": "sum:" + failed + scope, "hits": "sum:" + hits + scope},
		Formulas: []string{"errors / hits", "errors", "hits"},
		From:     now.Add(-5 * time.Minute).Local(), To: now.Local(),
	}
	if diff := cmp.Diff(wantRequest, got[0]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestGroupsOfAFormula(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for zone, n := range map[string]float64{"a": 100, "b": 50, "c": 0} {
		scope := tags("checkout", "bbb")
		scope["zone"] = zone
		s.Count(hits, scope, now.Add(ago), n)
		if zone == "a" {
			s.Count(failed, scope, now.Add(ago), 10)
		}
	}
	config := errorRate()
	for name, q := range config.Queries {
		config.Queries[name] = strings.Replace(q, "}.as_count", "} by {zone}.as_count", 1)
	}
	r, err := open(t, keys(s.URL()), config).Measure(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float64{0.1, 0}, r.Value); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want := map[string]string{
		"groups": `[{"tags":{"zone":"b"},"value":0},{"tags":{"zone":"a"},"value":0.1}]`,
		"counts": `{"errors":10,"hits":150}`,
		"zero":   `query "errors" is missing in 2 of 3 groups and was taken as 0 there: it has data in the others`,
	}
	if diff := cmp.Diff(want, r.Notes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestASilentQueryUnderDefaultZeroIsNotSaidToHaveData(t *testing.T) {
	t.Parallel()
	s := serve(t)
	scope := tags("checkout", "bbb")
	scope["zone"] = "a"
	s.Count(hits, scope, now.Add(ago), 100)
	config := errorRate()
	config.Formula = "default_zero(errors) / hits"
	for name, q := range config.Queries {
		config.Queries[name] = strings.Replace(q, "}.as_count", "} by {zone}.as_count", 1)
	}
	r, err := open(t, keys(s.URL()), config).Measure(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"groups": `[{"tags":{"zone":"a"},"value":0}]`, "counts": `{"hits":100}`}
	if diff := cmp.Diff(want, r.Notes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

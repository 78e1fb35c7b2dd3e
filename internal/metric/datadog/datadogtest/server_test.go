// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadogtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

// now is the end of every window in these tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func start(t testing.TB, o datadogtest.Options) *datadogtest.Server {
	t.Helper()
	s, err := datadogtest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func send(t testing.TB, req *http.Request) (int, http.Header, string) {
	t.Helper()
	req.Header.Set("DD-API-KEY", "a")
	req.Header.Set("DD-APPLICATION-KEY", "b")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, strings.TrimSpace(string(body))
}

// scalar asks API v2 for formulas over queries a, b, c with a window of five
// minutes, and returns the columns as name=values lines.
func scalar(t testing.TB, s *datadogtest.Server, aggregator, formulas string, queries ...string) []string {
	t.Helper()
	type m = map[string]any
	var qs, fs []any
	for i, q := range queries {
		qs = append(qs, m{"name": string(rune('a' + i)), "query": q, "data_source": "metrics", "aggregator": aggregator})
	}
	for f := range strings.SplitSeq(formulas, ";") {
		if f != "" {
			fs = append(fs, m{"formula": f})
		}
	}
	body, _ := json.Marshal(m{"data": m{"type": "scalar_request", "attributes": m{
		"from": now.Add(-5 * time.Minute).UnixMilli(), "to": now.UnixMilli(), "queries": qs, "formulas": fs,
	}}})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+datadogtest.ScalarPath, strings.NewReader(string(body)))
	status, _, text := send(t, req)
	if status != http.StatusOK {
		return []string{fmt.Sprintf("%d %s", status, text)}
	}
	var answer struct {
		Data struct {
			Attributes struct {
				Columns []struct {
					Name   string          `json:"name"`
					Values json.RawMessage `json:"values"`
				} `json:"columns"`
			} `json:"attributes"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, c := range answer.Data.Attributes.Columns {
		columns = append(columns, c.Name+"="+string(c.Values))
	}
	return columns
}

// fill feeds five minutes: each minute i (0 is the oldest) has i+1 hits a
// second of the stable version and one of the canary; the stable one has an
// error each minute, and latencies 1..100 ms.
func fill(s *datadogtest.Server) {
	stable := map[string]string{"service": "shop", "hash": "aaa"}
	canary := map[string]string{"service": "shop", "hash": "bbb"}
	for i := range 5 {
		minute := now.Add(time.Duration(i-5) * time.Minute)
		for second := range 60 {
			at := minute.Add(time.Duration(second) * time.Second)
			s.Count("hits", stable, at, float64(i+1))
			s.Count("hits", canary, at, 1)
		}
		s.Count("errors", stable, minute, 1)
		for v := range 100 {
			s.Distribution("latency", stable, minute.Add(time.Second*time.Duration(v%60)), float64(v+1))
		}
	}
	// A day ago is outside every window.
	s.Count("hits", stable, now.Add(-24*time.Hour), 1e6)
}

func TestScalar(t *testing.T) {
	t.Parallel()
	s := start(t, datadogtest.Options{Retention: 48 * time.Hour})
	fill(s)

	for name, tc := range map[string]struct {
		aggregator string
		formulas   string
		queries    []string
		want       []string
	}{
		"last is the last whole minute":         {"last", "", []string{"sum:hits{hash:aaa}.as_count()"}, []string{"a=[300]"}},
		"sum is all five minutes":               {"sum", "", []string{"sum:hits{hash:aaa}.as_count()"}, []string{"a=[900]"}},
		"avg is the mean minute":                {"avg", "", []string{"sum:hits{hash:aaa}.as_count()"}, []string{"a=[180]"}},
		"min is the least minute":               {"min", "", []string{"sum:hits{hash:aaa}.as_count()"}, []string{"a=[60]"}},
		"max is the greatest minute":            {"max", "", []string{"sum:hits{hash:aaa}.as_count()"}, []string{"a=[300]"}},
		"as_rate is per second":                 {"last", "", []string{"sum:hits{hash:aaa}.as_rate()"}, []string{"a=[5]"}},
		"a roll-up of one bucket":               {"last", "", []string{"sum:hits{hash:aaa}.as_count().rollup(sum, 300)"}, []string{"a=[900]"}},
		"all tags":                              {"last", "", []string{"sum:hits{*}.as_count()"}, []string{"a=[360]"}},
		"a wildcard":                            {"last", "", []string{"sum:hits{hash:b*}.as_count()"}, []string{"a=[60]"}},
		"a negation":                            {"last", "", []string{"sum:hits{service:shop,!hash:aaa}.as_count()"}, []string{"a=[60]"}},
		"AND":                                   {"last", "", []string{"sum:hits{service:shop AND hash:bbb}.as_count()"}, []string{"a=[60]"}},
		"a tag never seen has no series":        {"last", "", []string{"sum:hits{hash:zzz}.as_count()"}, []string{"a=[]"}},
		"a metric never seen has no series":     {"last", "", []string{"sum:nothing{*}.as_count()"}, []string{"a=[]"}},
		"a percentile of a distribution":        {"last", "", []string{"p50:latency{hash:aaa}"}, []string{"a=[50]"}},
		"the extremes of a distribution":        {"last", "a;b;c", []string{"max:latency{*}", "min:latency{*}", "avg:latency{*}"}, []string{"a=[100]", "b=[1]", "c=[50.5]"}},
		"a percentile of a count is refused":    {"last", "", []string{"p99:hits{*}"}, []string{`400 {"errors":["Percentile aggregations are not enabled for hits"]}`}},
		"default_zero of nothing":               {"last", "", []string{"default_zero(sum:nothing{*}.as_count())"}, []string{"a=[0]"}},
		"groups":                                {"last", "", []string{"sum:hits{service:shop} by {hash}.as_count()"}, []string{`hash=[["aaa"],["bbb"]]`, "a=[300,60]"}},
		"series without the tag":                {"last", "", []string{"sum:hits{*} by {zone}.as_count()"}, []string{`zone=[["N/A"]]`, "a=[360]"}},
		"a formula and its queries":             {"sum", "b / a;a;b", []string{"sum:hits{hash:aaa}.as_count()", "sum:errors{hash:aaa}.as_count()"}, []string{"b / a=[0.005555555555555556]", "a=[900]", "b=[5]"}},
		"a formula with a silent query":         {"sum", "b / a;a;b", []string{"sum:hits{hash:bbb}.as_count()", "sum:errors{hash:bbb}.as_count()"}, []string{"b / a=[null]", "a=[300]", "b=[null]"}},
		"a formula of silent queries":           {"sum", "b / a;a;b", []string{"sum:hits{hash:z}.as_count()", "sum:errors{hash:z}.as_count()"}, []string{"b / a=[]", "a=[]", "b=[]"}},
		"default_zero in a formula":             {"sum", "default_zero(b) / a", []string{"sum:hits{hash:bbb}.as_count()", "sum:errors{hash:bbb}.as_count()"}, []string{"default_zero(b) / a=[0]"}},
		"a formula of groups":                   {"sum", "b / a", []string{"sum:hits{*} by {hash}.as_count()", "sum:errors{*} by {hash}.as_count()"}, []string{`hash=[["aaa"],["bbb"]]`, "b / a=[0.005555555555555556,null]"}},
		"groups beside a query without":         {"sum", "a / b", []string{"sum:hits{*} by {hash}.as_count()", "sum:hits{*}.as_count()"}, []string{`hash=[["aaa"],["bbb"]]`, "a / b=[0.75,0.25]"}},
		"precedence, parentheses and signs":     {"sum", "-(a - 2 * 3) + 1e1 / 4", []string{"sum:hits{hash:bbb}.as_count()"}, []string{"-(a - 2 * 3) + 1e1 / 4=[-291.5]"}},
		"division by zero is null":              {"sum", "a / (a - a)", []string{"sum:hits{hash:bbb}.as_count()"}, []string{"a / (a - a)=[null]"}},
		"an unknown aggregator":                 {"median", "", []string{"sum:hits{*}"}, []string{`400 {"errors":["Invalid data_source \"metrics\" or aggregator \"median\""]}`}},
		"a formula that names no query":         {"sum", "x", []string{"sum:hits{*}"}, []string{`400 {"errors":["Formula refers to unknown query x"]}`}},
		"l2norm":                                {"l2norm", "", []string{"sum:hits{hash:bbb}.as_count()"}, []string{fmt.Sprintf("a=[%v]", math.Sqrt(5*3600))}},
		"area":                                  {"area", "", []string{"sum:hits{hash:bbb}.as_count()"}, []string{"a=[18000]"}},
		"the percentile aggregator is over all": {"percentile", "", []string{"p99:latency{*}"}, []string{"a=[99]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := scalar(t, s, tc.aggregator, tc.formulas, tc.queries...)
			if strings.HasPrefix(tc.queries[0], "p") && len(got) == 1 && strings.HasPrefix(got[0], "a=") {
				near(t, got[0], tc.want[0])
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// near compares a=[x] within the accuracy of sketches.
func near(t *testing.T, got, want string) {
	t.Helper()
	var g, w float64
	if _, err := fmt.Sscanf(got, "a=[%g]", &g); err != nil {
		t.Fatalf("got %q: %v", got, err)
	}
	if _, err := fmt.Sscanf(want, "a=[%g]", &w); err != nil {
		t.Fatal(err)
	}
	if math.Abs(g-w) > 0.03*w {
		t.Errorf("got %v, want %v within 3 %%", g, w)
	}
}

func TestBadQueriesAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, datadogtest.Options{})
	for _, q := range []string{
		"", "hits", "sum:hits", "sum:hits{", "sum:hits{}", "sum:hits{a:}", "sum:hits{a:b", "sum:hits{a:b} by {}", "sum:hits{*}.nope()",
		"sum:hits{*}.rollup(sum)", "sum:hits{*}.as_count() /", "med:hits{*}", "sum:hits{a:b OR c:d}", "nope(sum:hits{*})", "(sum:hits{*}",
		strings.Repeat("(", 10_000), strings.Repeat("-", 10_000), "sum:hits{*}" + strings.Repeat("+1", 10_000), "sum:hits{*}.rollup(sum,0.01)",
	} {
		if got := scalar(t, s, "last", "", q); len(got) != 1 || !strings.HasPrefix(got[0], "400 {\"errors\":[") {
			t.Errorf("%.40q: got %.200q, want 400", q, got)
		}
	}
}

func series(t testing.TB, s *datadogtest.Server, query string) (int, http.Header, string) {
	t.Helper()
	args := url.Values{
		"query": {query}, "to": {strconv.FormatInt(now.Unix(), 10)}, "from": {strconv.FormatInt(now.Add(-5*time.Minute).Unix(), 10)},
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+datadogtest.SeriesPath+"?"+args.Encode(), nil)
	return send(t, req)
}

func TestSeries(t *testing.T) {
	t.Parallel()
	s := start(t, datadogtest.Options{})
	fill(s)
	type answer struct {
		Status string
		Series []struct {
			Scope     string
			Pointlist [][2]float64
		}
	}
	get := func(q string) answer {
		status, _, text := series(t, s, q)
		var a answer
		if err := json.Unmarshal([]byte(text), &a); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s: %v", q, status, text, err)
		}
		return a
	}
	a := get("sum:hits{*} by {hash}.as_count()")
	if len(a.Series) != 2 || a.Series[0].Scope != "hash:aaa" || len(a.Series[0].Pointlist) != 5 {
		t.Fatalf("got %+v", a)
	}
	first, last := a.Series[0].Pointlist[0], a.Series[0].Pointlist[4]
	if first != [2]float64{float64(now.Add(-5 * time.Minute).UnixMilli()), 60} || last != [2]float64{float64(now.Add(-time.Minute).UnixMilli()), 300} {
		t.Errorf("got first %v, last %v", first, last)
	}
	if a := get("100 * sum:errors{hash:aaa}.as_count() / sum:hits{hash:aaa}.as_count()"); len(a.Series) != 1 || a.Series[0].Pointlist[4][1] != 100./300 {
		t.Errorf("arithmetic by bucket: got %+v", a)
	}
	if a := get("sum:errors{hash:bbb}.as_count()"); a.Status != "ok" || len(a.Series) != 0 {
		t.Errorf("no data: got %+v", a)
	}
}

func TestKeysAndValidate(t *testing.T) {
	t.Parallel()
	s := start(t, datadogtest.Options{Keys: []datadogtest.Keys{{API: "a", App: "b"}}})
	ask := func(path, api, app string) int {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+path, nil)
		req.Header.Set("DD-API-KEY", api)
		req.Header.Set("DD-APPLICATION-KEY", app)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	query := datadogtest.SeriesPath + "?from=1&to=2&query=avg:m{*}"
	for _, tc := range []struct {
		path, api, app string
		want           int
	}{
		{query, "a", "b", 200},
		{query, "a", "wrong", 403},
		{query, "wrong", "b", 403},
		{query, "a", "", 401},
		{datadogtest.ValidatePath, "a", "", 200},
		{datadogtest.ValidatePath, "wrong", "", 403},
		{"/api/v1/nothing", "a", "b", 404},
	} {
		if got := ask(tc.path, tc.api, tc.app); got != tc.want {
			t.Errorf("%+v: got %d", tc, got)
		}
	}
	s.SetKeys(datadogtest.Keys{API: "a2", App: "b2"})
	if got := ask(query, "a", "b"); got != 403 {
		t.Errorf("old keys after a rotation: got %d, want 403", got)
	}
	if got := ask(query, "a2", "b2"); got != 200 {
		t.Errorf("new keys after a rotation: got %d, want 200", got)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	s := start(t, datadogtest.Options{})
	fill(s)
	ask := func() (int, http.Header, string) { return series(t, s, "sum:hits{*}.as_count()") }

	s.Fail(datadogtest.Fault{Mode: datadogtest.ServiceUnavailable, Times: 2, Path: datadogtest.SeriesPath})
	s.Fail(datadogtest.Fault{Mode: datadogtest.RateLimited, RetryAfter: 42 * time.Second, Times: 1})
	if got := scalar(t, s, "last", "", "sum:hits{*}.as_count()"); !strings.HasPrefix(got[0], "429") {
		t.Errorf("other path: got %q, want its own fault", got)
	}
	for i, want := range []int{503, 503, 200} {
		if status, _, _ := ask(); status != want {
			t.Errorf("request %d: got %d, want %d", i, status, want)
		}
	}
	s.Fail(datadogtest.Fault{Mode: datadogtest.RateLimited, RetryAfter: 42 * time.Second})
	status, h, _ := ask()
	if status != 429 || h.Get("Retry-After") != "42" || h.Get("X-RateLimit-Reset") != "42" || h.Get("X-RateLimit-Remaining") != "0" || h.Get("X-RateLimit-Name") == "" {
		t.Errorf("got %d %v", status, h)
	}
	s.Clear()
	for mode, want := range map[datadogtest.Mode]string{
		datadogtest.NullValues:    "null]",
		datadogtest.EmptySeries:   `"series":[]`,
		datadogtest.MalformedJSON: "<html>",
		datadogtest.EchoKeys:      "api_key=a",
	} {
		s.Fail(datadogtest.Fault{Mode: mode, Times: 1})
		if _, _, body := ask(); !strings.Contains(body, want) {
			t.Errorf("%s: got %.300s, want %s in it", mode, body, want)
		}
	}
	if status, h, _ := ask(); status != 200 || h.Get("X-RateLimit-Remaining") == "" {
		t.Errorf("afterwards: got %d %v", status, h)
	}
}

func TestHangEndsWithTheClientOrTheServer(t *testing.T) {
	t.Parallel()
	s := start(t, datadogtest.Options{})
	s.Fail(datadogtest.Fault{Mode: datadogtest.Hang})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	ask := func(ctx context.Context) {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+datadogtest.SeriesPath, nil)
		req.Header.Set("DD-API-KEY", "a")
		req.Header.Set("DD-APPLICATION-KEY", "b")
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}
	arrived := func(n int) {
		for len(s.Requests()) < n && t.Context().Err() == nil {
			runtime.Gosched()
		}
	}
	go ask(ctx)
	arrived(1)
	cancel()
	if err := <-done; err == nil {
		t.Error("cancelled: got an answer")
	}
	go ask(t.Context())
	arrived(2)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("closed: got an answer")
	}
}

func TestRequestsAreRemembered(t *testing.T) {
	t.Parallel()
	s := start(t, datadogtest.Options{})
	scalar(t, s, "last", "a / b", "sum:errors{service:shop,hash:bbb}.as_count()", "sum:hits{service:shop, hash:bbb}.as_count()")
	got := s.Requests()
	if len(got) != 1 {
		t.Fatalf("got %d requests", len(got))
	}
	want := datadogtest.Request{
		Method: http.MethodPost, Path: datadogtest.ScalarPath, Keys: datadogtest.Keys{API: "a", App: "b"}, Status: 200,
		Queries:  map[string]string{"a": "sum:errors{service:shop,hash:bbb}.as_count()", "b": "sum:hits{service:shop, hash:bbb}.as_count()"},
		Formulas: []string{"a / b"}, From: now.Add(-5 * time.Minute).Local(), To: now.Local(), Time: got[0].Time,
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"bbb"}, got[0].TagValues("hash")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOldPointsAreForgotten(t *testing.T) {
	t.Parallel()
	s := start(t, datadogtest.Options{Retention: time.Minute})
	tags := map[string]string{"hash": "a"}
	s.Count("hits", tags, now.Add(-4*time.Minute), 7)
	s.Count("hits", tags, now.Add(-time.Second), 1)
	if diff := cmp.Diff([]string{"a=[1]"}, scalar(t, s, "sum", "", "sum:hits{*}.as_count()")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPercentilesAreWithinTwoPercent(t *testing.T) {
	t.Parallel()
	s := start(t, datadogtest.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	var values []float64
	for i := range 20_000 {
		v := math.Exp(random.NormFloat64()) * 100
		values = append(values, v)
		s.Distribution("latency", nil, now.Add(-time.Duration(1+i%299)*time.Second), v)
	}
	slices.Sort(values)
	for q, share := range map[string]float64{"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99} {
		var got float64
		column := scalar(t, s, "percentile", "", q+":latency{*}")[0]
		if _, err := fmt.Sscanf(column, "a=[%g]", &got); err != nil {
			t.Fatal(column, err)
		}
		if want := values[int(share*float64(len(values)-1))]; math.Abs(got-want) > 0.02*want {
			t.Errorf("%s: got %v, want %v", q, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, q := range []string{
		"sum:hits{service:shop,hash:aaa}.as_count()", "default_zero(p99:latency{*} by {hash}) / 2", "avg:m{!a:b*,c}.rollup(sum, 60).fill(zero)",
		"-(1 + 2e3) * .5", "m{*}", "sum:hits{a:b AND NOT c:d}",
	} {
		f.Add(q)
	}
	s, err := datadogtest.New(datadogtest.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	fill(s)
	f.Fuzz(func(t *testing.T, q string) {
		answer := datadogtest.Evaluate(s, q, now.Add(-5*time.Minute), now)
		if !json.Valid([]byte(answer)) {
			t.Errorf("%q: not JSON: %s", q, answer)
		}
	})
}

func BenchmarkIngest(b *testing.B) {
	s := start(b, datadogtest.Options{})
	tags := map[string]string{"service": "shop", "hash": "aaa"}
	i := 0
	for b.Loop() {
		at := now.Add(time.Duration(i) * 2500 * time.Microsecond)
		s.Count("hits", tags, at, 1)
		s.Distribution("latency", tags, at, float64(10+i%400))
		i++
	}
}

func BenchmarkScalar(b *testing.B) {
	s := start(b, datadogtest.Options{})
	fill(s)
	for b.Loop() {
		scalar(b, s, "last", "a / b;a;b", "sum:errors{hash:aaa}.as_count()", "sum:hits{hash:aaa}.as_count()")
	}
}

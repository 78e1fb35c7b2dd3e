// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrictest holds what every metric provider that speaks HTTP must
// do, whatever it asks: values, the lack of them, and failures are told apart,
// and no secret ever leaves a Source but in the request. It does not test what
// a provider asks; the provider's own tests do.
package metrictest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/internal/metric"
)

// A Harness is what the suite must know of a provider.
type Harness struct {
	// Open returns a Source that asks the server at url, gives up after
	// timeout, and proves itself with Secrets.
	Open func(t testing.TB, url string, timeout time.Duration) metric.Source
	// Secrets are what no error, reading or note may hold.
	Secrets []string
	// Value is the body of an answer with one value.
	Value func(v float64) string
	// Vector is the body of an answer with several; nil if there is no such.
	Vector func(vs []float64) string
	// Empty, Null and NaN are bodies that say "no data" in three ways: nothing
	// matched, a value that is null, a value that is not a number. Those that
	// are empty are not tried.
	Empty, Null, NaN string
}

// at is when measurements are taken.
var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	// enough is a time-out that is not meant to be reached.
	enough = 30 * time.Second
	// brief is one that is.
	brief = 50 * time.Millisecond
)

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	t.Run("readings", func(t *testing.T) { t.Parallel(); readings(t, h) })
	t.Run("failures", func(t *testing.T) { t.Parallel(); failures(t, h) })
	t.Run("a secret that the server repeats is not passed on", func(t *testing.T) { t.Parallel(); echoes(t, h) })
	t.Run("a redirect to another host is not followed", func(t *testing.T) { t.Parallel(); redirect(t, h) })
	t.Run("a refused connection is Unavailable", func(t *testing.T) { t.Parallel(); refusedConnection(t, h) })
	t.Run("a cancelled context ends the measurement", func(t *testing.T) { t.Parallel(); cancelled(t, h) })
	t.Run("measurements may be taken concurrently", func(t *testing.T) { t.Parallel(); concurrent(t, h) })
}

func serve(t testing.TB, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

func body(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func readings(t *testing.T, h Harness) {
	type want struct {
		Value  any
		NoData bool
	}
	cases := map[string]struct {
		body string
		want want
	}{
		"a value":             {h.Value(0.25), want{Value: 0.25}},
		"zero is a value":     {h.Value(0), want{Value: 0.0}},
		"a negative value":    {h.Value(-3), want{Value: -3.0}},
		"an empty answer":     {h.Empty, want{NoData: true}},
		"null":                {h.Null, want{NoData: true}},
		"not a number is not": {h.NaN, want{NoData: true}},
	}
	if h.Vector != nil {
		cases["a vector"] = struct {
			body string
			want want
		}{h.Vector([]float64{3, 1, 2}), want{Value: []float64{3, 1, 2}}}
	}
	for name, tc := range cases {
		if tc.body == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := h.Open(t, serve(t, body(http.StatusOK, tc.body)), enough).Measure(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, want{r.Value, r.NoData != ""}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !r.Window.To.Equal(at) || !r.Window.From.Before(at) {
				t.Errorf("window is %v to %v, want it to end at %v", r.Window.From, r.Window.To, at)
			}
			if r.Query == "" {
				t.Error("the reading does not say what was asked")
			}
			discreet(t, h, fmt.Sprintf("%+v", r))
		})
	}
}

func failures(t *testing.T, h Harness) {
	type want struct {
		Class      metric.Class
		Status     int
		RetryAfter time.Duration
	}
	retry := func(header, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(header, value)
			body(http.StatusTooManyRequests, "slow down")(w, r)
		}
	}
	for name, tc := range map[string]struct {
		serve   http.HandlerFunc
		timeout time.Duration
		want    want
	}{
		"401":                       {body(401, "who are you"), enough, want{metric.Unauthorized, 401, 0}},
		"403":                       {body(403, "you may not"), enough, want{metric.Unauthorized, 403, 0}},
		"404":                       {body(404, "nothing here"), enough, want{metric.Misconfigured, 404, 0}},
		"429 without Retry-After":   {body(429, "slow down"), enough, want{metric.RateLimited, 429, 0}},
		"429 with Retry-After":      {retry("Retry-After", "7"), enough, want{metric.RateLimited, 429, 7 * time.Second}},
		"429 with a bad one":        {retry("Retry-After", "soon"), enough, want{metric.RateLimited, 429, 0}},
		"429 with a negative one":   {retry("Retry-After", "-7"), enough, want{metric.RateLimited, 429, 0}},
		"500":                       {body(500, "oops"), enough, want{metric.Unavailable, 500, 0}},
		"502":                       {body(502, "<html>bad gateway</html>"), enough, want{metric.Unavailable, 502, 0}},
		"503":                       {body(503, ""), enough, want{metric.Unavailable, 503, 0}},
		"no answer in time":         {hang, brief, want{metric.Unavailable, 0, 0}},
		"a body that does not end":  {stall, brief, want{metric.Unavailable, 0, 0}},
		"a body that breaks off":    {breakOff, enough, want{metric.Unavailable, 200, 0}},
		"a body that is too large":  {huge, enough, want{metric.Malformed, 200, 0}},
		"a body that is not JSON":   {body(200, "<html>hello</html>"), enough, want{metric.Malformed, 200, 0}},
		"JSON of another shape":     {body(200, `[1,2,3]`), enough, want{metric.Malformed, 200, 0}},
		"an object that is not one": {body(200, `{"hello":"world"}`), enough, want{metric.Malformed, 200, 0}},
		"an empty body":             {body(200, ""), enough, want{metric.Malformed, 200, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := h.Open(t, serve(t, tc.serve), tc.timeout).Measure(t.Context(), at)
			e := asError(t, h, r, err)
			if diff := cmp.Diff(tc.want, want{e.Class, e.Status, e.RetryAfter}); diff != "" {
				t.Errorf("%v\n-want +got:\n%s", err, diff)
			}
		})
	}
}

// fails checks what holds for every failure.
func fails(t *testing.T, h Harness, r metric.Reading, err error) {
	t.Helper()
	_ = asError(t, h, r, err)
}

// asError checks it too, and returns the failure.
func asError(t *testing.T, h Harness, r metric.Reading, err error) *metric.Error {
	t.Helper()
	var e *metric.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %+v, %v; want a *metric.Error", r, err)
	}
	if r.Value != nil || r.NoData != "" {
		t.Errorf("an error came with the reading %+v", r)
	}
	if e.Message == "" || len(e.Message) > 1024 || strings.ContainsAny(e.Message, "\x00\x1b\n") {
		t.Errorf("message is not fit to be shown: %q", e.Message)
	}
	for err := error(e); err != nil; err = errors.Unwrap(err) {
		discreet(t, h, err.Error())
	}
	return e
}

func discreet(t *testing.T, h Harness, text string) {
	t.Helper()
	for _, secret := range h.Secrets {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is in %q", text)
		}
	}
}

// gone waits for the client to give up. The body must have been read for the
// server to notice.
func gone(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func hang(_ http.ResponseWriter, r *http.Request) { gone(r) }

func stall(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, "{")
	_ = http.NewResponseController(w).Flush()
	gone(r)
}

func breakOff(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, `{"data":`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func huge(w http.ResponseWriter, _ *http.Request) {
	chunk := `{"padding":"` + strings.Repeat("x", 1<<20) + `"},`
	_, _ = io.WriteString(w, "[")
	for range 64 {
		if _, err := io.WriteString(w, chunk); err != nil {
			return
		}
	}
}

// echoes makes the server repeat everything it was sent, the way debug pages
// and chatty proxies do.
func echoes(t *testing.T, h Harness) {
	for _, status := range []int{200, 307, 400, 403, 429, 500} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			sent := fmt.Sprintf("%v %v", r.URL, r.Header)
			for name, values := range r.Header {
				w.Header().Set("X-Ratelimit-"+name, values[0])
			}
			w.Header().Set("X-RateLimit-Name", sent)
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{sent}, "error": sent})
		})
		r, err := h.Open(t, url, enough).Measure(t.Context(), at)
		fails(t, h, r, err)
	}
}

func redirect(t *testing.T, h Harness) {
	var mu sync.Mutex
	reached := false
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		reached = true
		body(http.StatusOK, h.Value(1))(w, r)
	})
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", other)
			w.WriteHeader(status)
		})
		r, err := h.Open(t, url, enough).Measure(t.Context(), at)
		if e := asError(t, h, r, err); e.Class != metric.Misconfigured || e.Status != status {
			t.Errorf("got %s %d, want Misconfigured %d", e.Class, e.Status, status)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if reached {
		t.Error("the other host was asked")
	}
}

func refusedConnection(t *testing.T, h Harness) {
	s := httptest.NewServer(http.NotFoundHandler())
	url := s.URL
	s.Close()
	r, err := h.Open(t, url, enough).Measure(t.Context(), at)
	if e := asError(t, h, r, err); e.Class != metric.Unavailable || e.Status != 0 {
		t.Errorf("got %s %d, want Unavailable without a status", e.Class, e.Status)
	}
}

func cancelled(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		gone(r)
	})
	r, err := h.Open(t, url, enough).Measure(ctx, at)
	fails(t, h, r, err)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled in its chain", err)
	}
}

func concurrent(t *testing.T, h Harness) {
	source := h.Open(t, serve(t, body(http.StatusOK, h.Value(1))), enough)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if r, err := source.Measure(t.Context(), at); err != nil || r.Value != 1.0 {
					t.Errorf("got %+v, %v", r, err)
				}
			}
		})
	}
	wg.Wait()
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package load_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"sluice.dev/sluice/playground/load"
)

// run starts the generator and returns what stops it and waits.
func run(t *testing.T, g *load.Generator) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("after 20 s still not true: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestGeneratorCountsWhatUsersSee(t *testing.T) {
	t.Parallel()
	var n, hosts atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "checkout" {
			hosts.Add(1)
		}
		if n.Add(1)%10 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer srv.Close()
	from := time.Now()
	g := load.New(load.Options{URL: srv.URL, Host: "checkout", Rate: 500})
	stop := run(t, g)
	eventually(t, "200 requests were answered", func() bool { return g.Total().Requests >= 200 })
	stop()

	got := g.Total()
	if share := float64(got.Failures) / float64(got.Requests); share < 0.08 || share > 0.12 {
		t.Errorf("%d of %d requests failed, want a tenth", got.Failures, got.Requests)
	}
	if hosts.Load() != n.Load() {
		t.Errorf("%d of %d requests had the Host header checkout, want all", hosts.Load(), n.Load())
	}
	if between := g.Between(from, time.Now()); between != got {
		t.Errorf("Between(start, now) = %+v, want the total %+v", between, got)
	}
	if before := g.Between(from.Add(-time.Minute), from.Add(-time.Second)); before != (load.Tally{}) {
		t.Errorf("Between(before the start) = %+v, want nothing", before)
	}
}

func TestGeneratorDoesNotWaitForAnswers(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var under atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		under.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	g := load.New(load.Options{URL: srv.URL, Host: "checkout", Rate: 1000})
	stop := run(t, g)
	eventually(t, "more than 300 requests are under way at once", func() bool { return under.Load() > 300 })
	eventually(t, "those beyond the bound are dropped", func() bool { return g.Total().Dropped > 0 })
	close(release)
	eventually(t, "the held requests are answered", func() bool { return g.Total().Requests > 300 })
	stop()
}

func TestGeneratorCountsARefusedConnection(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	url := srv.URL
	srv.Close()
	g := load.New(load.Options{URL: url, Host: "checkout"})
	stop := run(t, g)
	eventually(t, "10 requests failed", func() bool { return g.Total().Failures >= 10 })
	stop()
	if got := g.Total(); got.Requests != got.Failures {
		t.Errorf("%d of %d requests failed, want all", got.Failures, got.Requests)
	}
}

func TestGeneratorRefusesABadURL(t *testing.T) {
	t.Parallel()
	if err := load.New(load.Options{URL: ":", Host: "checkout"}).Run(t.Context()); err == nil {
		t.Error("Run with a broken URL gave no error")
	}
}

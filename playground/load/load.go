// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package load sends the playground's users: a steady stream of requests that
// does not slow down when the answers do, and a record of what they got. It
// judges nothing.
package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// DefaultRate is how many requests a second are sent.
const DefaultRate = 200

const (
	// concurrent bounds the requests under way, and with them the connections.
	concurrent = 512
	// timeout is how long a user waits.
	timeout = 5 * time.Second
	// pace is how often requests that are due are sent.
	pace = 5 * time.Millisecond
)

// Options are what a Generator is told.
type Options struct {
	// URL is where the requests go; it must be set.
	URL string
	// Host is the Host header, which the mesh routes by; it must be set.
	Host string
	// Rate is the number of requests a second; 0 means DefaultRate.
	Rate int
}

// A Generator sends requests. It is safe for concurrent use.
type Generator struct {
	opts   Options
	client *http.Client
	slots  chan struct{}
	record record
	under  sync.WaitGroup
}

// New returns a Generator that does not run yet.
func New(o Options) *Generator {
	if o.Rate <= 0 {
		o.Rate = DefaultRate
	}
	return &Generator{
		opts: o,
		client: &http.Client{
			Timeout:   timeout,
			Transport: &http.Transport{MaxIdleConnsPerHost: concurrent, MaxConnsPerHost: concurrent},
		},
		slots: make(chan struct{}, concurrent),
	}
}

// Run sends requests until ctx ends, and returns after the last answer. A
// request that is due while as many as may be are under way is dropped and
// counted as such.
func (g *Generator) Run(ctx context.Context) error {
	if _, err := g.request(ctx); err != nil {
		return fmt.Errorf("make the load's requests: %w", err)
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	start, sent := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			g.under.Wait()
			g.client.CloseIdleConnections()
			return nil
		case now := <-tick.C:
			due := int(now.Sub(start).Seconds() * float64(g.opts.Rate))
			for ; sent < due; sent++ {
				g.send(ctx)
			}
		}
	}
}

// send starts one request.
func (g *Generator) send(ctx context.Context) {
	select {
	case g.slots <- struct{}{}:
	default:
		g.record.add(time.Now(), dropped)
		return
	}
	g.under.Go(func() {
		defer func() { <-g.slots }()
		outcome := g.ask(ctx)
		if ctx.Err() == nil {
			g.record.add(time.Now(), outcome)
		}
	})
}

// ask sends one request and waits for the whole answer.
func (g *Generator) ask(ctx context.Context) outcome {
	req, err := g.request(ctx)
	if err != nil {
		return failed
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return failed
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode >= http.StatusBadRequest {
		return failed
	}
	return served
}

func (g *Generator) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.opts.URL, nil)
	if err != nil {
		return nil, err
	}
	req.Host = g.opts.Host
	return req, nil
}

// Between returns what users got from one moment to another, to a tenth of a
// second.
func (g *Generator) Between(from, to time.Time) Tally { return g.record.between(from, to) }

// Total returns what users got so far.
func (g *Generator) Total() Tally { return g.record.all() }

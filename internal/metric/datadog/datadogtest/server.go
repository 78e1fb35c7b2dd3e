// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package datadogtest is a server that speaks the part of Datadog's HTTP API
// that gates use (/api/v1/query, /api/v2/query/scalar, /api/v1/validate) over
// time series that are fed to it, and that can be told to fail in the ways
// Datadog fails. Tests and the playground share it.
//
// It is not Datadog: it knows counts and distributions only, and of the query
// language what parse.go says. What it does not know it refuses with 400, as
// Datadog does, rather than guess.
//
// # Time
//
// Points are kept in slots of [Options.Resolution]. A query's window, from
// inclusive to exclusive, is cut into [Options.Buckets] equal buckets that end
// where the window ends, so that the last bucket is always a whole one; Datadog
// aligns its buckets to the clock, which makes its last one a fragment. A scalar
// query reduces the buckets with its aggregator: with the default of 5 buckets
// and a window of five minutes, "last" is the last minute that has data, "sum"
// all five minutes, "avg" the mean minute. A query that ends in .rollup(sum, 60)
// chooses its own.
package datadogtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Options are the choices of a Server; the zero value is ready to use.
type Options struct {
	// Address to listen on. Default 127.0.0.1:0, any free port.
	Address string
	// Keys that are accepted. Default: any pair without an empty key.
	Keys []Keys
	// Buckets that a window is cut into. Default 5.
	Buckets int
	// Resolution of the time series. Default one second.
	Resolution time.Duration
	// Retention is how long points are kept behind the newest of their
	// series. Default two hours.
	Retention time.Duration
}

// Keys are what a request proves itself with.
type Keys struct{ API, App string }

// A Server is a listening server. Its methods may be used concurrently.
type Server struct {
	opts   Options
	store  *store
	log    requestLog
	faults faults
	http   *http.Server
	url    string
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	keys []Keys
}

// New returns a Server that listens.
func New(o Options) (*Server, error) {
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	if o.Buckets <= 0 {
		o.Buckets = 5
	}
	if o.Resolution <= 0 {
		o.Resolution = time.Second
	}
	if o.Retention <= 0 {
		o.Retention = 2 * time.Hour
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("datadogtest: %w", err)
	}
	s := &Server{
		opts: o, store: newStore(o.Resolution, o.Retention), keys: o.Keys,
		url: "http://" + l.Addr().String(), closed: make(chan struct{}),
	}
	s.http = &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(l) }()
	return s, nil
}

// URL is the address to give to a Datadog client, without a slash at its end.
func (s *Server) URL() string { return s.url }

// Close stops the server and ends the requests that hang. Closing twice is
// harmless.
func (s *Server) Close() error {
	s.once.Do(func() { close(s.closed) })
	if err := s.http.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("datadogtest: %w", err)
	}
	return nil
}

// SetKeys replaces the keys that are accepted from now on, as a rotation does.
func (s *Server) SetKeys(keys ...Keys) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = slices.Clone(keys)
}

func (s *Server) accepts(k Keys, app bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) == 0 {
		return k.API != "" && (k.App != "" || !app)
	}
	return slices.ContainsFunc(s.keys, func(want Keys) bool {
		return want.API == k.API && (want.App == k.App || !app)
	})
}

// Count adds n events to a count.
func (s *Server) Count(metric string, tags map[string]string, at time.Time, n float64) {
	s.store.add(metric, tags, at, func(p *point) { p.count(n) })
}

// Distribution adds one value to a distribution.
func (s *Server) Distribution(metric string, tags map[string]string, at time.Time, value float64) {
	s.store.add(metric, tags, at, func(p *point) { p.observe(value) })
}

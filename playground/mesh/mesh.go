// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mesh is the playground's service mesh: a reverse proxy on the loopback
// interface that splits the requests for a host by the weights of its
// VirtualService over the ready endpoints of the Services named there, as Istio
// does with host-level splitting, and measures every one of them.
//
// It reads Kubernetes and never writes to it. Of a VirtualService it knows
// spec.hosts and the weighted destinations of the first HTTP route without a
// match; subsets, matches, mirrors and TLS are not played.
package mesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Sink takes what was measured: counts and distributions of values, by name
// and tags. It must not change the tags. datadogtest.Server is one.
type Sink interface {
	Count(metric string, tags map[string]string, at time.Time, n float64)
	Distribution(metric string, tags map[string]string, at time.Time, value float64)
}

// The metrics a Mesh emits, named as Datadog's tracers name theirs. Errors are
// counted only when they happen, so that a revision without one has no such
// series. Latency is a distribution in milliseconds.
const (
	MetricHits    = "trace.http.request.hits"
	MetricErrors  = "trace.http.request.errors"
	MetricLatency = "trace.http.request"
)

// The keys of the tags of every metric.
const (
	TagService = "service"
	TagHash    = "kube_pod_label_rollouts_pod_template_hash"
	TagVersion = "version"
)

// attempts is how many endpoints a request is tried on before it fails, when
// the connection is refused: Istio's default of one try and two retries.
const attempts = 3

// idleConnections is how many connections to one pod are kept open.
const idleConnections = 32

// A Mesh is the proxy and what it knows. It is safe for concurrent use.
type Mesh struct {
	sink      Sink
	now       func() time.Time
	transport *http.Transport
	world     world
	table     atomic.Pointer[table]
	timeline  timeline
	tallies   tallies

	dice sync.Mutex
	rng  *rand.Rand
}

// Options are what a Mesh can be told.
type Options struct {
	// Sink gets the measurements; nil means nobody does.
	Sink Sink
	// Seed makes the choice of destinations repeatable.
	Seed uint64
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// New returns a Mesh that knows no host yet: [Mesh.Watch] or [Mesh.Observe]
// teach it.
func New(o Options) *Mesh {
	m := &Mesh{sink: o.Sink, now: o.Now, rng: rand.New(rand.NewPCG(o.Seed, 1))}
	if m.now == nil {
		m.now = time.Now
	}
	m.transport = &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConnsPerHost: idleConnections,
		IdleConnTimeout:     30 * time.Second,
	}
	m.world = newWorld()
	m.table.Store(&table{})
	return m
}

// Serve listens on a free port of the loopback interface, answers requests until
// ctx ends, and returns the URL to send them to.
func (m *Mesh) Serve(ctx context.Context) (url string, done <-chan struct{}, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("open the mesh's listener: %w", err)
	}
	srv := &http.Server{Handler: m, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(l) // ends with ErrServerClosed
		m.transport.CloseIdleConnections()
	}()
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	return "http://" + l.Addr().String(), ended, nil
}

// ServeHTTP sends the request to an endpoint of a destination picked by weight.
// A host without a VirtualService is a 404, as in Envoy; a destination without a
// ready endpoint is a 503, and so is one whose endpoints refuse to talk.
func (m *Mesh) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rt := m.table.Load().find(r.Host)
	if rt == nil {
		m.tallies.add("", "", false)
		http.Error(w, "no VirtualService has the host "+r.Host, http.StatusNotFound)
		return
	}
	dst := rt.pick(m.roll(rt.total))
	if dst == nil {
		m.tallies.add("", "", false)
		http.Error(w, "no destination of "+r.Host+" has a weight", http.StatusServiceUnavailable)
		return
	}
	start := m.now()
	ep, resp, err := m.send(r, dst) //nolint:bodyclose // copyResponse closes it
	if err != nil {
		if ep.Hash != "" {
			m.measure(ep, start, http.StatusServiceUnavailable)
		} else {
			m.tallies.add("", "", false)
		}
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	m.measure(ep, start, resp.StatusCode)
	copyResponse(w, resp)
}

// roll returns a random number in [0, n), 0 when n is 0.
func (m *Mesh) roll(n int) int {
	if n <= 0 {
		return 0
	}
	m.dice.Lock()
	defer m.dice.Unlock()
	return m.rng.IntN(n)
}

// send forwards r to endpoints of dst until one accepts the connection. The
// endpoint is the last one tried, zero when there was none.
func (m *Mesh) send(r *http.Request, dst *destination) (Endpoint, *http.Response, error) {
	if len(dst.endpoints) == 0 {
		return Endpoint{}, nil, fmt.Errorf("the Service %s has no ready endpoint", dst.service)
	}
	var last error
	var ep Endpoint
	for range min(attempts, len(dst.endpoints)) {
		ep = dst.next()
		resp, err := m.transport.RoundTrip(outbound(r, ep))
		if err == nil {
			return ep, resp, nil
		}
		last = fmt.Errorf("send to pod %s of the Service %s: %w", ep.Pod, dst.service, err)
		if !refused(err) {
			break
		}
	}
	return ep, nil, last
}

// refused reports whether err is a connection that never came about, so that
// nothing was sent and another endpoint may be tried.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// measure counts one request that ep answered and tells the sink.
func (m *Mesh) measure(ep Endpoint, start time.Time, status int) {
	end := m.now()
	ok := status < http.StatusInternalServerError
	m.tallies.add(ep.Hash, ep.Version, ok)
	if m.sink == nil {
		return
	}
	m.sink.Count(MetricHits, ep.tags, end, 1)
	if !ok {
		m.sink.Count(MetricErrors, ep.tags, end, 1)
	}
	m.sink.Distribution(MetricLatency, ep.tags, end, float64(end.Sub(start))/float64(time.Millisecond))
}

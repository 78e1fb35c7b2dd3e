// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package aborts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"
)

// A gate stands in front of a Datadog and holds every answer back until it is
// let go, so that the moment at which a failing reply arrives is chosen, and
// known.
type gate struct {
	backend string
	http    *http.Server
	url     string

	mu    sync.Mutex
	cases map[string]*passage
}

// A passage is where the answers for one case wait. held has the request that
// waits, if there is one.
type passage struct{ held chan *held }

// A held answer is written when it is let go; when is sent the time at which
// that began.
type held struct {
	letGo chan struct{}
	when  chan time.Time
}

// newGate listens on a free port for requests to backend.
func newGate(ctx context.Context, backend string) (*gate, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for Datadog's requests: %w", err)
	}
	g := &gate{backend: backend, url: "http://" + l.Addr().String(), cases: map[string]*passage{}}
	g.http = &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = g.http.Serve(l) }()
	return g, nil
}

func (g *gate) close() error { return g.http.Close() }

// names finds the case in a query.
var names = regexp.MustCompile(`case:([a-z0-9-]+)`)

// ServeHTTP asks the backend, holds the answer back if it is for a case, and
// passes it on.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	status, header, answer, err := g.ask(r, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	maps.Copy(w.Header(), header)
	m := names.FindSubmatch(append(body, r.URL.RawQuery...))
	if m == nil {
		w.WriteHeader(status)
		_, _ = w.Write(answer)
		return
	}
	h := &held{letGo: make(chan struct{}), when: make(chan time.Time, 1)}
	if !g.wait(r.Context(), string(m[1]), h) {
		return
	}
	w.WriteHeader(status)
	h.when <- time.Now()
	// The answer fits into one packet, which leaves when this returns: the time
	// is a little early, never late.
	_, _ = w.Write(answer)
	_ = http.NewResponseController(w).Flush()
}

// wait puts h where it can be let go and waits for that. It returns false when
// the client does not wait any longer.
func (g *gate) wait(ctx context.Context, name string, h *held) bool {
	p := g.passage(name)
	select {
	case p.held <- h:
	case <-ctx.Done():
		return false
	}
	select {
	case <-h.letGo:
		return true
	case <-ctx.Done():
		select {
		case <-p.held: // it was us
		default:
		}
		return false
	}
}

func (g *gate) ask(r *http.Request, body []byte) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, g.backend+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("pass a request on: %w", err)
	}
	req.Header = r.Header.Clone()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("pass a request on: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("pass an answer on: %w", err)
	}
	return resp.StatusCode, resp.Header, answer, nil
}

func (g *gate) passage(name string) *passage {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.cases[name]
	if p == nil {
		p = &passage{held: make(chan *held, 1)}
		g.cases[name] = p
	}
	return p
}

// holds reports whether a request for the case is waiting.
func (g *gate) holds(name string) bool { return len(g.passage(name).held) > 0 }

// release lets the answer for a case go and returns when that began.
func (g *gate) release(ctx context.Context, name string) (time.Time, error) {
	select {
	case h := <-g.passage(name).held:
		close(h.letGo)
		select {
		case at := <-h.when:
			return at, nil
		case <-time.After(time.Second):
			return time.Time{}, errors.New("the controller did not wait for the answer")
		}
	case <-time.After(patience):
		return time.Time{}, fmt.Errorf("the controller asked nothing for %s", patience)
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package vaulttest is a server that speaks the part of HashiCorp Vault's HTTP
// API that reading a key takes, and that setting it up takes: mounts, policies,
// the Kubernetes auth method, tokens, and the key-value store, version 2. It can
// be told to fail in the ways Vault fails.
//
// A login makes a TokenReview on the API server that the auth method was told
// of, as Vault does. Everything is set up by the API itself, so that what is
// written against this server runs against a real Vault too.
//
// It is not Vault: nothing is encrypted, policies know the wildcards * and +,
// and what it does not know it refuses with 404 or 400, as Vault does, rather
// than guess.
package vaulttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Options are the choices of a Server; the zero value is ready to use.
type Options struct {
	// TLS serves HTTPS; CA returns what vouches for it.
	TLS bool
	// Now is the clock that tokens age by; nil means the system's.
	Now func() time.Time
}

// A Server is a listening server. Its methods may be used concurrently.
type Server struct {
	*core
	http *httptest.Server
	once sync.Once
}

// A core is what a server knows, and answers by.
type core struct {
	now    func() time.Time
	root   string
	closed chan struct{}

	mu     sync.Mutex
	sealed bool
	spaces map[string]*space
	tokens map[string]*token
	faults []Fault
	log    []Request
}

// A space is a namespace of Vault: nothing in it is seen from another.
type space struct {
	mounts   map[string]store
	auths    map[string]*kubernetes
	policies map[string]policy
}

// A Request is what was asked.
type Request struct {
	Method, Path, Namespace string
	Status                  int
}

// New returns a Server that listens on this machine.
func New(o Options) *Server {
	s := &Server{core: &core{
		now: o.Now, root: "hvs.root-" + random(), closed: make(chan struct{}),
		spaces: map[string]*space{"": newSpace()}, tokens: map[string]*token{},
	}}
	if s.now == nil {
		s.now = time.Now
	}
	s.tokens[s.root] = &token{id: s.root, accessor: random(), policies: []string{"root"}}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	if o.TLS {
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	return s
}

func newSpace() *space {
	return &space{mounts: map[string]store{}, auths: map[string]*kubernetes{}, policies: map[string]policy{}}
}

// URL is the address to give to a client.
func (s *Server) URL() string { return s.http.URL }

// CA is the certificate that vouches for a server with TLS, in PEM.
func (s *Server) CA() []byte {
	cert := s.http.Certificate()
	if cert == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// RootToken may do everything.
func (s *Server) RootToken() string { return s.root }

// Admin asks with the root token, as an administrator who sets Vault up does.
func (s *Server) Admin(ctx context.Context, method, path string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("vaulttest: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL()+"/v1/"+path, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("vaulttest: %w", err)
	}
	req.Header.Set("X-Vault-Token", s.root)
	resp, err := s.http.Client().Do(req)
	if err != nil {
		return fmt.Errorf("vaulttest: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusMultipleChoices {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, maxRequest)) // what there is of it
		return fmt.Errorf("vaulttest: %s %s: %s: %s", method, path, resp.Status, said)
	}
	return nil
}

// Close stops the server and ends the requests that hang. Closing twice is
// harmless.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.http.CloseClientConnections()
		s.http.Close()
	})
}

// Requests returns what was asked so far, faults included.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.log...)
}

// Count is how many requests for a path below prefix there were.
func (s *Server) Count(prefix string) int {
	n := 0
	for _, r := range s.Requests() {
		if strings.HasPrefix(r.Path, prefix) {
			n++
		}
	}
	return n
}

// Tokens is how many tokens are alive, the root's aside.
func (s *Server) Tokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for id := range s.tokens {
		if id != s.root && s.alive(id) != nil {
			n++
		}
	}
	return n
}

// Planted are all secrets that the server has given out: its tokens. Nothing
// that a client prints may hold one.
func (s *Server) Planted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id := range s.tokens {
		ids = append(ids, id)
	}
	return ids
}

func random() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// patient bounds what the server itself asks of an API server.
func patient(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), 30*time.Second)
}

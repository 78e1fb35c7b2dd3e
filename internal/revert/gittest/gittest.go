// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gittest is a Git server for tests: git's own http-backend behind TLS
// and basic authentication, which can be told to fail, and GitHub's API for
// pull requests, as strict as its documentation.
package gittest

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/cgi" //nolint:gosec // Go is newer than that
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// The account that the server knows, and where its one repository is.
const (
	User     = "bot"
	Password = "the-password-of-the-bot"
	repoPath = "/acme/config.git"
)

// A Fault handles a request in place of the server, or returns false.
type Fault func(w http.ResponseWriter, r *http.Request) bool

// A Server has one repository, acme/config, with the branch main.
type Server struct {
	*Repo
	*hub
	web *httptest.Server
	git http.Handler

	mu    sync.Mutex
	fault Fault
	seen  []string
}

// New starts a server that keeps its files in the folder dir, which exists.
func New(dir string) (*Server, error) {
	root := filepath.Join(dir, "server")
	bare := filepath.Join(root, filepath.FromSlash(repoPath))
	s := &Server{Repo: &Repo{dir: bare, work: filepath.Join(dir, "work")}}
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", bare},
		{"-C", bare, "config", "http.receivepack", "true"},
		{"init", "--quiet", "--initial-branch=main", s.work},
		{"-C", s.work, "remote", "add", "origin", bare},
	} {
		if _, err := git(args...); err != nil {
			return nil, err
		}
	}
	bin, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("find git: %w", err)
	}
	s.git = &cgi.Handler{
		Path: bin, Args: []string{"http-backend"}, Dir: root,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + User, "GIT_CONFIG_NOSYSTEM=1", "HOME=" + dir},
	}
	s.web = httptest.NewTLSServer(s)
	s.hub = &hub{repo: s.Repo, url: s.web.URL, note: s.note}
	return s, nil
}

// Close stops the server.
func (s *Server) Close() { s.web.Close() }

// URL is that of the repository.
func (s *Server) URL() string { return s.web.URL + repoPath }

// API is the base of GitHub's API.
func (s *Server) API() string { return s.web.URL + apiPath }

// Host is the server's, with its port.
func (s *Server) Host() string { return strings.TrimPrefix(s.web.URL, "https://") }

// Client trusts the server.
func (s *Server) Client() *http.Client { return s.web.Client() }

// Certificate is the server's, as PEM.
func (s *Server) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.web.Certificate().Raw})
}

// Break has f see every request first; nil mends the server. f may hold a
// request for as long as it likes.
func (s *Server) Break(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Seen are the requests that were let in, as method and path.
func (s *Server) Seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// ServeHTTP answers git and the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	if strings.HasPrefix(r.URL.Path, apiPath+"/") {
		s.api(w, r)
		return
	}
	user, password, _ := r.BasicAuth()
	if user != User || password != Password {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	s.note(r)
	s.git.ServeHTTP(w, r)
}

// Answer lets the server do what r asks, and returns what it would say.
func (s *Server) Answer(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	s.git.ServeHTTP(rec, r)
	return rec
}

func (s *Server) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.Method+" "+r.URL.Path)
}

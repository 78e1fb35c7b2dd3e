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
	"net/http/cgi"
	"net/http/httptest"
	"os"
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
	web  *httptest.Server
	dir  string
	work string
	git  http.Handler

	mu    sync.Mutex
	fault Fault
	pulls []Pull
	seen  []string
}

// New starts a server that keeps its files in the folder dir, which exists.
func New(dir string) (*Server, error) {
	s := &Server{dir: filepath.Join(dir, "server"), work: filepath.Join(dir, "work")}
	bare := filepath.Join(s.dir, filepath.FromSlash(repoPath))
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
		Path: bin, Args: []string{"http-backend"}, Dir: s.dir,
		Env: []string{"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + User, "GIT_CONFIG_NOSYSTEM=1", "HOME=" + dir},
	}
	s.web = httptest.NewTLSServer(s)
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

// Commit writes files (an empty text removes one), commits and pushes them to
// main as a person would, and returns the commit.
func (s *Server) Commit(message string, files map[string]string) (string, error) {
	if err := s.pull(); err != nil {
		return "", err
	}
	for name, text := range files {
		path := filepath.Join(s.work, filepath.FromSlash(name))
		if text == "" {
			if err := os.Remove(path); err != nil {
				return "", fmt.Errorf("remove a file: %w", err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", fmt.Errorf("make a folder: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return "", fmt.Errorf("write a file: %w", err)
		}
	}
	if err := s.Work([]string{"add", "--all"}, []string{"commit", "--quiet", "--allow-empty", "-m", message}, []string{"push", "--quiet", "origin", "HEAD:main"}); err != nil {
		return "", err
	}
	return s.Head()
}

// pull brings the working copy to the server's main.
func (s *Server) pull() error {
	if _, err := git("-C", s.work, "fetch", "--quiet", "origin"); err != nil {
		return err
	}
	if _, err := s.bare("rev-parse", "--verify", "--quiet", "main"); err != nil {
		return nil //nolint:nilerr // nothing was pushed yet
	}
	return s.Work([]string{"checkout", "--quiet", "-B", "main", "origin/main"})
}

// Work runs git commands in the working copy.
func (s *Server) Work(commands ...[]string) error {
	for _, c := range commands {
		if _, err := git(append([]string{"-C", s.work}, c...)...); err != nil {
			return err
		}
	}
	return nil
}

// Head is the commit of main on the server.
func (s *Server) Head() (string, error) { return s.bare("rev-parse", "main") }

// Rev is the commit that a revision, such as main~1, names on the server.
func (s *Server) Rev(rev string) (string, error) { return s.bare("rev-parse", "--verify", rev) }

// Same reports whether two commits hold the same files.
func (s *Server) Same(a, b string) (bool, error) {
	out, err := s.bare("diff", "--stat", a, b)
	return out == "", err
}

// Write writes a file in the working copy.
func (s *Server) Write(name, text string) error {
	return os.WriteFile(filepath.Join(s.work, filepath.FromSlash(name)), []byte(text), 0o600)
}

// Log are the subjects of a branch on the server, the newest first.
func (s *Server) Log(branch string) ([]string, error) {
	out, err := s.bare("log", "--format=%s", branch)
	return strings.Split(out, "\n"), err
}

// Show is a file, or "" if there is none, or the message of a commit with
// %B as name.
func (s *Server) Show(branch, name string) string {
	if name == "%B" {
		out, _ := s.bare("log", "-1", "--format=%an <%ae>%n%B", branch)
		return out
	}
	out, err := git("-C", filepath.Join(s.dir, filepath.FromSlash(repoPath)), "show", branch+":"+name)
	if err != nil {
		return ""
	}
	return out
}

// Branches are those of the server.
func (s *Server) Branches() ([]string, error) {
	out, err := s.bare("for-each-ref", "--format=%(refname:short)", "refs/heads")
	return strings.Fields(out), err
}

// Hook installs a hook on the server.
func (s *Server) Hook(name, script string) error {
	path := filepath.Join(s.dir, filepath.FromSlash(repoPath), "hooks", name)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil { //nolint:gosec // a hook is a program
		return fmt.Errorf("install a hook: %w", err)
	}
	return nil
}

// Check reports what is broken in the server's repository.
func (s *Server) Check() error {
	_, err := s.bare("fsck", "--strict", "--full")
	return err
}

func (s *Server) bare(args ...string) (string, error) {
	out, err := git(append([]string{"-C", filepath.Join(s.dir, filepath.FromSlash(repoPath))}, args...)...)
	return strings.TrimSpace(out), err
}

func git(args ...string) (string, error) {
	cmd := exec.Command("git", args...) //nolint:noctx,gosec // tests choose it, and it ends by itself
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=A Person", "GIT_AUTHOR_EMAIL=person@example.com", "GIT_COMMITTER_NAME=A Person", "GIT_COMMITTER_EMAIL=person@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

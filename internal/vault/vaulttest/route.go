// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const maxRequest = 1 << 20

// A refusal is an answer other than success.
type refusal struct {
	status int
	errors []string
}

func (r *refusal) Error() string { return fmt.Sprint(r.status, r.errors) }

func refuse(status int, words ...string) error {
	if words == nil {
		words = []string{}
	}
	return &refusal{status, words}
}

var errDenied = refuse(http.StatusForbidden, "permission denied")

// A call is one request, taken apart.
type call struct {
	*http.Request
	method, path string
	space        *space
	body         map[string]any
	token        *token
}

func (s *core) serve(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	namespace := strings.Trim(r.Header.Get("X-Vault-Namespace"), "/")
	status := http.StatusNotFound
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.log = append(s.log, Request{r.Method, path, namespace, status})
	}()
	if !ok {
		status = reply(w, nil, refuse(http.StatusNotFound))
		return
	}
	if f, ok := s.fault(path); ok {
		status = f.Mode.status()
		s.spoil(w, r, f)
		return
	}
	answer, err := s.answer(r, namespace, path) //nolint:contextcheck // the request carries it
	status = reply(w, answer, err)
}

// reply writes an answer, and returns its status.
func reply(w http.ResponseWriter, answer any, err error) int {
	status := http.StatusOK
	var no *refusal
	switch {
	case errors.As(err, &no):
		status = no.status
		if answer == nil {
			answer = map[string]any{"errors": no.errors}
		}
	case err != nil:
		status, answer = http.StatusInternalServerError, map[string]any{"errors": []string{err.Error()}}
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
		return http.StatusNoContent
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The client may be gone; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(answer)
	return status
}

func (s *core) answer(r *http.Request, namespace, path string) (any, error) {
	if path == "sys/health" {
		return s.health()
	}
	c := &call{Request: r, method: r.Method, path: path}
	if c.method == http.MethodPut {
		c.method = http.MethodPost // they mean the same to Vault
	}
	if err := c.read(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	sealed := s.sealed
	c.space = s.spaces[namespace]
	s.mu.Unlock()
	if path == "sys/unseal" {
		return s.unseal(c)
	}
	if sealed {
		return nil, refuse(http.StatusServiceUnavailable, "Vault is sealed")
	}
	if c.space == nil {
		return nil, refuse(http.StatusNotFound, "no handler for route "+path+". route entry not found.")
	}
	if mount, ok := loginMount(path); ok && c.space.auths[mount] != nil {
		return s.login(c, c.space.auths[mount])
	}
	if err := s.authorize(c); err != nil {
		return nil, err
	}
	return s.route(c)
}

func loginMount(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "auth/")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "/login")
}

// read takes the body, which must be a JSON object where there is one.
func (c *call) read() error {
	data, err := io.ReadAll(io.LimitReader(c.Body, maxRequest+1))
	if err != nil || len(data) > maxRequest {
		return refuse(http.StatusRequestEntityTooLarge, "http: request body too large")
	}
	if len(data) > 0 && json.Unmarshal(data, &c.body) != nil {
		return refuse(http.StatusBadRequest, "failed to parse JSON input")
	}
	return nil
}

func (c *call) text(name string) string {
	s, _ := c.body[name].(string)
	return s
}

// route finds who answers.
func (s *core) route(c *call) (any, error) {
	switch {
	case strings.HasPrefix(c.path, "auth/token/"):
		return s.tokenAPI(c, strings.TrimPrefix(c.path, "auth/token/"))
	case strings.HasPrefix(c.path, "sys/"):
		return s.system(c, strings.TrimPrefix(c.path, "sys/"))
	case strings.HasPrefix(c.path, "auth/"):
		for mount, k := range c.space.auths {
			if rest, ok := strings.CutPrefix(c.path, "auth/"+mount+"/"); ok {
				s.mu.Lock()
				defer s.mu.Unlock()
				return k.configure(c, rest)
			}
		}
	default:
		for mount, kv := range c.space.mounts {
			if rest, ok := strings.CutPrefix(c.path, mount+"/"); ok {
				s.mu.Lock()
				defer s.mu.Unlock()
				return kv.serve(c, rest, s.now())
			}
		}
	}
	return nil, refuse(http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", c.path))
}

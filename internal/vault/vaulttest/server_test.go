// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vaulttest_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sluice.dev/sluice/internal/vault/vaulttest"
)

// ask sends one request and returns the status and the body.
func ask(t *testing.T, s *vaulttest.Server, line, token, body string) (int, map[string]any) {
	t.Helper()
	method, path, _ := strings.Cut(line, " ")
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if resp.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return resp.StatusCode, out
}

// TestTheDocumentedAPI asks one question after the other; each builds on those
// before it.
func TestTheDocumentedAPI(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(vaulttest.Options{})
	t.Cleanup(s.Close)
	for _, q := range []struct {
		ask, body string
		anonymous bool
		status    int
		want      string // in the answer's JSON
	}{
		{ask: "GET /v1/sys/health", anonymous: true, status: 200, want: `"sealed":false`},
		{ask: "GET /hello", anonymous: true, status: 404, want: `"errors":[]`},
		{ask: "GET /v1/secret/data/a", anonymous: true, status: 403, want: `permission denied`},
		{ask: "GET /v1/secret/data/a", status: 404, want: `no handler for route`},
		{ask: "POST /v1/sys/mounts/secret", body: `{"type":"kv","options":{"version":"1"}}`, status: 400, want: `version 2 only`},
		{ask: "POST /v1/sys/mounts/secret", body: `{"type":"kv","options":{"version":"2"}}`, status: 204},
		{ask: "POST /v1/sys/mounts/secret", body: `{"type":"kv","options":{"version":"2"}}`, status: 400, want: `already in use`},
		{ask: "GET /v1/secret/data/a", status: 404, want: `"errors":[]`},
		{ask: "POST /v1/secret/data/a", body: `{`, status: 400, want: `failed to parse JSON`},
		{ask: "POST /v1/secret/data/a", body: `{"a":"b"}`, status: 400, want: `no data provided`},
		{ask: "PUT /v1/secret/data/a", body: `{"data":{"k":"one"}}`, status: 200, want: `"version":1`},
		{ask: "POST /v1/secret/data/a", body: `{"options":{"cas":0},"data":{"k":"two"}}`, status: 400, want: `check-and-set`},
		{ask: "POST /v1/secret/data/a", body: `{"options":{"cas":1},"data":{"k":"two"}}`, status: 200, want: `"version":2`},
		{ask: "GET /v1/secret/data/a", status: 200, want: `"k":"two"`},
		{ask: "GET /v1/secret/data/a?version=1", status: 200, want: `"k":"one"`},
		{ask: "GET /v1/secret/data/a?version=3", status: 404, want: `"errors":[]`},
		{ask: "DELETE /v1/secret/data/a", status: 204},
		{ask: "GET /v1/secret/data/a", status: 404, want: `"data":null,"metadata":{"created_time"`},
		{ask: "GET /v1/secret/data/a?version=1", status: 200, want: `"k":"one"`},
		{ask: "POST /v1/secret/undelete/a", body: `{}`, status: 400, want: `No version number`},
		{ask: "POST /v1/secret/undelete/a", body: `{"versions":[2]}`, status: 204},
		{ask: "POST /v1/secret/destroy/a", body: `{"versions":[2]}`, status: 204},
		{ask: "GET /v1/secret/data/a", status: 404, want: `"destroyed":true`},
		{ask: "GET /v1/secret/metadata/a", status: 200, want: `"current_version":2`},
		{ask: "POST /v1/secret/metadata/a", body: `{}`, status: 405, want: `unsupported operation`},
		{ask: "DELETE /v1/secret/metadata/a", status: 204},
		{ask: "GET /v1/secret/metadata/a", status: 404, want: `"errors":[]`},
		{ask: "POST /v1/sys/auth/k8s", body: `{"type":"userpass"}`, status: 400, want: `plugin not found`},
		{ask: "POST /v1/sys/auth/k8s", body: `{"type":"kubernetes"}`, status: 204},
		{ask: "POST /v1/auth/k8s/config", body: `{}`, status: 400, want: `no host provided`},
		{ask: "POST /v1/auth/k8s/role/r", body: `{"bound_service_account_names":"a"}`, status: 400, want: `bound_service_account_namespaces`},
		{ask: "POST /v1/auth/k8s/role/r", body: `{"bound_service_account_names":"a","bound_service_account_namespaces":"b","token_ttl":"soon"}`, status: 400, want: `invalid duration`},
		{ask: "POST /v1/auth/k8s/role/r", body: `{"bound_service_account_names":"a","bound_service_account_namespaces":"b"}`, status: 204},
		{ask: "POST /v1/auth/k8s/login", body: `{"role":"r"}`, anonymous: true, status: 400, want: `missing jwt`},
		{ask: "POST /v1/auth/k8s/login", body: `{"jwt":"a.b.c"}`, anonymous: true, status: 400, want: `missing role`},
		{ask: "POST /v1/auth/k8s/login", body: `{"jwt":"a.b.c","role":"x"}`, anonymous: true, status: 400, want: `invalid role name`},
		{ask: "POST /v1/auth/k8s/login", body: `{"jwt":"abc","role":"r"}`, anonymous: true, status: 403, want: `permission denied`},
		{ask: "POST /v1/auth/k8s/login", body: `{"jwt":"a.b.c","role":"r"}`, anonymous: true, status: 500, want: `could not load backend configuration`},
		{ask: "POST /v1/auth/other/login", body: `{"jwt":"a.b.c","role":"r"}`, anonymous: true, status: 403, want: `permission denied`},
		{ask: "POST /v1/auth/token/renew-self", body: `{}`, status: 400, want: `cannot be renewed`},
		{ask: "GET /v1/auth/token/renew-self", status: 404, want: `unsupported path`},
		{ask: "POST /v1/sys/policies/acl/p", body: `{"policy":"nonsense"}`, status: 400, want: `failed to parse policy`},
		{ask: "PUT /v1/sys/seal", status: 204},
		{ask: "GET /v1/sys/health", anonymous: true, status: 503, want: `"sealed":true`},
		{ask: "GET /v1/secret/data/a", status: 503, want: `Vault is sealed`},
		{ask: "POST /v1/auth/k8s/login", body: `{"jwt":"a.b.c","role":"r"}`, anonymous: true, status: 503, want: `Vault is sealed`},
		{ask: "PUT /v1/sys/unseal", body: `{}`, anonymous: true, status: 400, want: `'key' must be specified`},
		{ask: "PUT /v1/sys/unseal", body: `{"key":"x"}`, anonymous: true, status: 200, want: `"sealed":false`},
		{ask: "GET /v1/secret/data/a", status: 404, want: `"errors":[]`},
	} {
		token := s.RootToken()
		if q.anonymous {
			token = ""
		}
		status, out := ask(t, s, q.ask, token, q.body)
		text, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		if status != q.status || !strings.Contains(string(text), q.want) {
			t.Errorf("%s %s: %d %s, want %d with %s", q.ask, q.body, status, text, q.status, q.want)
		}
	}
	if n := len(s.Requests()); n < 40 || !slices.ContainsFunc(s.Requests(), func(r vaulttest.Request) bool { return r.Status == 503 }) {
		t.Errorf("the log has %d requests", n)
	}
}

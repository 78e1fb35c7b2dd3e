// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/builtin"
	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
	"sluice.dev/sluice/internal/vault"
	"sluice.dev/sluice/internal/vault/vaulttest"
)

// A site is Vault, Datadog and a clock, and what the controller makes of them.
type site struct {
	*testing.T
	vault   *vaulttest.Server
	datadog *datadogtest.Server
	now     time.Time
	keys    keyStore
}

// everybody is an API server to which every token is the controller's.
func everybody(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(authenticationv1.TokenReview{Status: authenticationv1.TokenReviewStatus{
			Authenticated: true, User: authenticationv1.UserInfo{Username: "system:serviceaccount:argo-rollouts:sluice"},
		}})
	}))
	t.Cleanup(s.Close)
	return s
}

func newSite(t *testing.T) *site {
	t.Helper()
	dd, err := datadogtest.New(datadogtest.Options{Buckets: 1, Retention: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	v := vaulttest.New(vaulttest.Options{})
	t.Cleanup(v.Close)
	t.Cleanup(func() { _ = dd.Close() })
	s := &site{T: t, vault: v, datadog: dd, now: time.Now()}
	api := everybody(t)
	s.admin("sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	s.admin("sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
	s.admin("auth/kubernetes/config", map[string]any{
		"kubernetes_host": api.URL, "kubernetes_ca_cert": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})),
	})
	s.admin("sys/policies/acl/sluice", map[string]any{"policy": `path "secret/data/*" { capabilities = ["read"] }`})
	s.admin("auth/kubernetes/role/sluice", map[string]any{
		"bound_service_account_names": "sluice", "bound_service_account_namespaces": "argo-rollouts", "token_policies": "sluice", "token_ttl": "1h",
	})
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("a.b.c"), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := vault.New(vault.Config{
		Address: v.URL(), Role: "sluice", TokenFile: file, Now: func() time.Time { return s.now }, Timeout: time.Second,
		Allow: []string{"secret/data/sluice/{{namespace}}/*"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.keys = keyStore{client: client, paths: map[string]string{"datadog": "secret/data/argo-rollouts/datadog"}}
	return s
}

func (s *site) admin(path string, body any) {
	s.Helper()
	if err := s.vault.Admin(s.Context(), http.MethodPost, path, body); err != nil {
		s.Fatal(err)
	}
}

// rotate has Datadog accept other keys only, and writes them to Vault.
func (s *site) rotate(name string, n int) {
	s.Helper()
	keys := datadogtest.Keys{API: fmt.Sprintf("api-key-%d", n), App: fmt.Sprintf("app-key-%d", n)}
	s.datadog.SetKeys(keys)
	s.admin("secret/data/"+name, map[string]any{"data": map[string]any{"address": s.datadog.URL(), "api-key": keys.API, "app-key": keys.App}})
}

// measure takes a measurement for a run in the namespace payments.
func (s *site) measure(path string) (metric.Reading, *metric.Error) {
	s.Helper()
	s.datadog.Count("errors", nil, s.now.Add(-time.Second), 1)
	config := v1alpha1.DatadogMetric{APIVersion: "v2", Query: "sum:errors{*}.as_count()"}
	if path != "" {
		config.SecretRef.Vault = &v1alpha1.VaultSecret{Path: path}
	}
	env := metric.Env{Keys: s.keys, RunNamespace: "payments", ControllerNamespace: "argo-rollouts"}
	source, err := builtin.Metrics().Open(env, "datadog", &config)
	if err != nil {
		s.Fatal(err)
	}
	r, err := source.Measure(s.Context(), s.now)
	if err == nil {
		return r, nil
	}
	e, ok := errors.AsType[*metric.Error](err)
	if !ok {
		s.Fatalf("got %v, want a *metric.Error", err)
	}
	return r, e
}

func TestAKeyRotatedInVaultIsUsedAtTheNextQuery(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for n := range 3 {
		s.rotate("argo-rollouts/datadog", n)
		s.rotate("sluice/payments/datadog", n)
		for _, path := range []string{"", "secret/data/sluice/payments/datadog"} {
			if r, err := s.measure(path); err != nil || r.Value == nil || r.Notes["keys"] != "" {
				t.Errorf("rotation %d, path %q: got %+v, %v", n, path, r, err)
			}
		}
		s.now = s.now.Add(15 * time.Second) // the guide's interval is longer
	}
}

// Vault is away for an hour in each of its ways: the gate measures on with the
// last good keys, then it holds, and nothing aborts, because an error of the
// class Unavailable never does; then it goes on by itself.
func TestVaultIsAwayForAnHour(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]vaulttest.Mode{
		"sealed": vaulttest.Sealed, "403": vaulttest.Forbidden, "cut off": vaulttest.CutOff, "standby": vaulttest.PerformanceStandby,
		"a load balancer in its place": vaulttest.NotVault, "slow": vaulttest.Hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.rotate("argo-rollouts/datadog", 1)
			began := s.now
			if _, err := s.measure(""); err != nil {
				t.Fatal(err)
			}
			s.vault.Fail(vaulttest.Fault{Mode: mode})
			for s.now = began.Add(7 * time.Minute); s.now.Sub(began) < time.Hour; s.now = s.now.Add(11 * time.Minute) {
				if r, err := s.measure(""); err != nil || r.Value == nil || !strings.Contains(r.Notes["keys"], "the last good ones: Vault at "+s.vault.URL()) {
					t.Fatalf("after %s: got %+v, %v", s.now.Sub(began), r, err)
				}
			}
			for range 3 {
				s.now = s.now.Add(time.Minute)
				r, err := s.measure("")
				if err == nil || err.Class != metric.Unavailable || !strings.Contains(err.Message, "older than 1h") {
					t.Fatalf("after %s: got %+v, %v", s.now.Sub(began), r, err)
				}
			}
			s.vault.Clear()
			s.now = s.now.Add(time.Minute)
			if r, err := s.measure(""); err != nil || r.Value == nil || r.Notes["keys"] != "" {
				t.Errorf("after it came back: got %+v, %v", r, err)
			}
		})
	}
}

// A hostile author of a template can name paths of their own namespace and no
// others, and nothing about where Vault is.
func TestATemplateCannotReachAnotherTeamsKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.rotate("sluice/orders/datadog", 1)
	s.rotate("argo-rollouts/datadog", 1)
	for _, path := range []string{
		"secret/data/sluice/orders/datadog", "secret/data/argo-rollouts/datadog",
		"secret/data/sluice/payments/../orders/datadog", "secret/data/sluice/payments/%2e%2e/orders/datadog",
		"auth/token/data/create", "sys/data/raw",
	} {
		before := len(s.vault.Requests())
		r, err := s.measure(path)
		if err == nil || err.Class != metric.Misconfigured || len(s.vault.Requests()) != before || len(s.datadog.Requests()) != 0 {
			t.Errorf("%s: got %+v, %v; and Vault was asked %d times", path, r, err, len(s.vault.Requests())-before)
		}
	}
}

// The documentation names only flags that there are.
func TestFlagsOfVaultInTheDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.FromSlash("../../docs/keys.md"))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	flags := c.Flags()
	named := 0
	for _, m := range regexp.MustCompile("--(vault-[a-z-]+)").FindAllStringSubmatch(string(text), -1) {
		named++
		if flags.Lookup(m[1]) == nil {
			t.Errorf("docs/keys.md: there is no flag %s", m[0])
		}
	}
	if named < 8 {
		t.Errorf("docs/keys.md names %d flags of Vault", named)
	}
}

func TestFlagsOfVault(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"none":                      {},
		"all":                       {args: []string{"--vault-address=https://v:8200", "--vault-role=r", "--vault-datadog-path=secret/data/dd", "--vault-allow=secret/data/{{namespace}}/*", "--vault-allow=secret/data/shared"}},
		"a role without an address": {args: []string{"--vault-role=r"}, want: "need --vault-address"},
		"a path without data":       {args: []string{"--vault-address=https://v:8200", "--vault-role=r", "--vault-datadog-path=secret/dd"}, want: "--vault-datadog-path: Vault path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c Config
			if err := c.Flags().Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			err := c.Validate()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if name == "all" && len(c.Vault.Allow) != 2 {
				t.Errorf("allowed are %q", c.Vault.Allow)
			}
		})
	}
}

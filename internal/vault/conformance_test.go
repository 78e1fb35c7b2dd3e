// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"sluice.dev/sluice/internal/vault"
	"sluice.dev/sluice/internal/vault/vaulttest"
)

func trusting(ca []byte) http.RoundTripper {
	t := &http.Transport{DisableKeepAlives: true}
	if ca != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return t
}

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		conforms(t, func(t *testing.T) backend { return ours(t, vaulttest.Options{}) })
	})
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		conforms(t, func(t *testing.T) backend { return ours(t, vaulttest.Options{TLS: true}) })
	})
}

// TestRealVault runs the same against the Vault that VAULT_ADDR names; `make
// test-vault` says that this is meant, because the shell of a person who works
// with Vault names one too.
func TestRealVault(t *testing.T) {
	t.Parallel()
	address := os.Getenv("VAULT_ADDR")
	if os.Getenv("SLUICE_TEST_VAULT") == "" || address == "" {
		t.Skip("no Vault is named; VAULT_ADDR=… VAULT_TOKEN=… make test-vault runs this test against it")
	}
	b := backend{url: strings.TrimRight(address, "/"), root: os.Getenv("VAULT_TOKEN")}
	if file := os.Getenv("VAULT_CACERT"); file != "" {
		var err error
		if b.ca, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	conforms(t, func(*testing.T) backend { return b })
}

// conforms is what the client expects of a Vault. It sets up stores and auth
// methods of its own, and removes them.
func conforms(t *testing.T, start func(*testing.T) backend) {
	for name, test := range map[string]func(*bench){
		"keys are read":                          keysAreRead,
		"a login is refused":                     loginIsRefused,
		"a policy decides":                       policyDecides,
		"what is deleted is gone":                deletedIsGone,
		"a token is renewed":                     tokenIsRenewed,
		"a token that was revoked is replaced":   revokedIsReplaced,
		"a token that ends is replaced":          endedIsReplaced,
		"a batch token is replaced, not renewed": batchIsReplaced,
		"a token is given back":                  tokenIsGivenBack,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newBench(t, start(t)))
		})
	}
}

func keysAreRead(b *bench) {
	path := b.put("payments/datadog", map[string]any{"api-key": "k1", "app-key": "k2", "port": 443, "nested": map[string]any{"a": true}})
	c := b.client()
	first := b.reads(c, path, "api-key", "k1")
	for field, want := range map[string]string{"app-key": "k2", "port": "443", "nested": `{"a":true}`, "none": ""} {
		if got := first.Fields[field].Reveal(); got != want {
			b.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	if first.Path != path || first.Version == "" || !first.ReadAt.Equal(b.clock.Now()) || first.Stale != nil {
		b.Errorf("got %+v", first)
	}
	b.put("payments/datadog", map[string]any{"api-key": "k3"})
	b.reads(c, path, "api-key", "k1") // not due
	refused := func(version, want string) vault.Secret {
		s, err := c.Read(b.Context(), "payments", path, version)
		if err != nil || s.Fields["api-key"].Reveal() != want {
			b.Errorf("after it was refused: got %v, %v, want %s", s, err, want)
		}
		return s
	}
	third := refused(first.Version, "k3") // at once, though it was read just now
	if third.Version == first.Version {
		b.Errorf("version %q is what was refused", third.Version)
	}
	b.put("payments/datadog", map[string]any{"api-key": "k3b"})
	refused(first.Version, "k3") // another has asked since
	refused(third.Version, "k3") // so lately that this may be a hundred gates
	b.clock.advance(time.Second)
	refused(third.Version, "k3b")
	b.put("payments/datadog", map[string]any{"api-key": "k4"})
	b.clock.advance(vault.DefaultRefresh)
	b.reads(c, path, "api-key", "k4")
	if n := b.log.logins(); n != 1 {
		b.Errorf("logged in %d times", n)
	}
}

func loginIsRefused(b *bench) {
	path := b.put("payments/datadog", map[string]any{"api-key": "k1"})
	stale := b.cluster.token("argo-rollouts", "sluice")
	b.cluster.revoke(stale)
	for name, tc := range map[string]struct{ token, role, mount, want string }{
		"no such role":             {role: "nobody", want: "role nobody"},
		"another ServiceAccount":   {token: b.cluster.token("argo-rollouts", "default"), want: "role sluice"},
		"another namespace":        {token: b.cluster.token("payments", "sluice"), want: "role sluice"},
		"a token that was revoked": {token: stale, want: "role sluice"},
		"not a token":              {token: "hello", want: "role sluice"},
		"no such auth method":      {mount: b.mount + "-not", want: "mounted at " + b.mount + "-not"},
		"another audience":         {role: "audience", want: "audience"},
	} {
		c := b.client(func(c *vault.Config) {
			if tc.token != "" {
				c.TokenFile = b.file("token", tc.token)
			}
			if tc.role != "" {
				c.Role = tc.role
			}
			if tc.mount != "" {
				c.AuthMount = tc.mount
			}
		})
		e := b.fails(c, path, vault.Denied, b.url, tc.want)
		if tc.token != "" && strings.Contains(e.Message, tc.token) && tc.token != "hello" {
			b.Errorf("%s: the message holds the token: %s", name, e.Message)
		}
	}
}

func policyDecides(b *bench) {
	b.admin("POST", b.store+"/data/hidden/other", map[string]any{"data": map[string]any{"api-key": "k1"}})
	c := b.client()
	b.fails(c, b.store+"/data/hidden/other", vault.Denied, b.url, b.store+"/data/hidden/other", "403", "policy of the role sluice")
	if n := b.log.logins(); n != 1 {
		b.Errorf("logged in %d times: a token that is good was replaced", n)
	}
}

func deletedIsGone(b *bench) {
	again := func() { b.clock.advance(2 * vault.DefaultRefresh) }
	c := b.client()
	path := b.store + "/data/sluice/payments/datadog"
	b.fails(c, path, vault.Missing, path, "404", "nothing was ever written there")
	again()
	b.put("payments/datadog", map[string]any{"api-key": "k1"})
	first := b.reads(c, path, "api-key", "k1")
	again()
	b.admin("DELETE", path, nil)
	b.fails(c, path, vault.Missing, "version 1 was deleted")
	again()
	b.admin("POST", b.store+"/undelete/sluice/payments/datadog", map[string]any{"versions": []int{1}})
	b.reads(c, path, "api-key", "k1")
	again()
	b.admin("POST", b.store+"/destroy/sluice/payments/datadog", map[string]any{"versions": []int{1}})
	b.fails(c, path, vault.Missing, "version 1 was destroyed")
	again()
	b.admin("DELETE", b.store+"/metadata/sluice/payments/datadog", nil)
	b.put("payments/datadog", map[string]any{"api-key": "k2"})
	if s := b.reads(c, path, "api-key", "k2"); s.Version == first.Version {
		b.Errorf("another first version has the same name: %s", s.Version)
	}
}

func tokenIsRenewed(b *bench) {
	path := b.put("payments/datadog", map[string]any{"api-key": "k1"})
	c := b.client()
	b.reads(c, path, "api-key", "k1")
	b.clock.advance(45 * time.Minute)
	b.reads(c, path, "api-key", "k1")
	b.clock.advance(45 * time.Minute)
	b.reads(c, path, "api-key", "k1")
	if n := b.log.logins(); n != 1 {
		b.Errorf("logged in %d times, want once: after two thirds of its time a token is renewed", n)
	}
}

func revokedIsReplaced(b *bench) {
	path := b.put("payments/datadog", map[string]any{"api-key": "k1"})
	c := b.client()
	b.reads(c, path, "api-key", "k1")
	b.admin("PUT", "sys/leases/revoke-prefix/auth/"+b.mount+"/login", map[string]any{})
	b.put("payments/datadog", map[string]any{"api-key": "k2"})
	b.clock.advance(vault.DefaultRefresh)
	b.reads(c, path, "api-key", "k2")
	if n := b.log.logins(); n != 2 {
		b.Errorf("logged in %d times, want 2", n)
	}
}

// endedIsReplaced needs a Vault whose clock cannot be moved, so it lets time
// pass until the token has ended.
func endedIsReplaced(b *bench) {
	path := b.put("payments/datadog", map[string]any{"api-key": "k1"})
	c := b.client(func(c *vault.Config) { c.Role, c.Refresh, c.Now = "brief", time.Nanosecond, time.Now })
	for b.log.logins() < 2 {
		b.reads(c, path, "api-key", "k1")
	}
}

func batchIsReplaced(b *bench) {
	path := b.put("payments/datadog", map[string]any{"api-key": "k1"})
	c := b.client(func(c *vault.Config) { c.Role = "batch" })
	b.reads(c, path, "api-key", "k1")
	b.clock.advance(45 * time.Minute)
	b.reads(c, path, "api-key", "k1")
	if n := b.log.logins(); n != 2 {
		b.Errorf("logged in %d times, want 2", n)
	}
}

func tokenIsGivenBack(b *bench) {
	path := b.put("payments/datadog", map[string]any{"api-key": "k1"})
	c := b.client()
	b.reads(c, path, "api-key", "k1")
	if err := c.Close(b.Context()); err != nil {
		b.Error(err)
	}
	if err := c.Close(b.Context()); err != nil {
		b.Errorf("again: %v", err)
	}
	if b.server != nil && b.server.Tokens() != 0 {
		b.Errorf("%d tokens are alive", b.server.Tokens())
	}
}

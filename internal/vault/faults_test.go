// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice.dev/sluice/internal/secret/secrettest"
	"sluice.dev/sluice/internal/vault"
	"sluice.dev/sluice/internal/vault/vaulttest"
)

const plantedKey = "planted-key-0123456789abcdef"

func faulty(t *testing.T) (*bench, string) {
	t.Helper()
	b := newBench(t, ours(t, vaulttest.Options{}))
	return b, b.put("payments/datadog", map[string]any{"api-key": plantedKey})
}

// Vault fails in every way it has, for an hour and more: the last good key is
// used while it may be, then there is none, and then there is again.
func TestTheLastGoodKeyIsUsedForAnHourAndNoLonger(t *testing.T) {
	t.Parallel()
	var leaked atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Store(true) }))
	t.Cleanup(elsewhere.Close)
	for name, tc := range map[string]struct {
		fault   vaulttest.Fault
		timeout time.Duration
		reason  vault.Reason
		status  int
		want    string
	}{
		"sealed":                 {fault: vaulttest.Fault{Mode: vaulttest.Sealed}, reason: vault.Unavailable, status: 503, want: "Vault is sealed"},
		"a standby":              {fault: vaulttest.Fault{Mode: vaulttest.Standby}, reason: vault.Unavailable, status: 429, want: "standby"},
		"a recovery secondary":   {fault: vaulttest.Fault{Mode: vaulttest.RecoverySecondary}, reason: vault.Unavailable, status: 472, want: "standby"},
		"a performance standby":  {fault: vaulttest.Fault{Mode: vaulttest.PerformanceStandby}, reason: vault.Unavailable, status: 473, want: "standby"},
		"an error of the server": {fault: vaulttest.Fault{Mode: vaulttest.ServerError}, reason: vault.Unavailable, status: 500, want: "internal error"},
		"a replica that lags":    {fault: vaulttest.Fault{Mode: vaulttest.InconsistentReplica}, reason: vault.Unavailable, status: 412, want: "412"},
		"403 for everything":     {fault: vaulttest.Fault{Mode: vaulttest.Forbidden}, reason: vault.Denied, status: 403, want: "role sluice"},
		"slow":                   {fault: vaulttest.Fault{Mode: vaulttest.Hang}, timeout: 500 * time.Millisecond, reason: vault.Unavailable, want: "did not answer within 500ms"},
		"cut off":                {fault: vaulttest.Fault{Mode: vaulttest.CutOff}, reason: vault.Unavailable, want: "broke off in the middle"},
		"something else":         {fault: vaulttest.Fault{Mode: vaulttest.NotVault}, reason: vault.Unavailable, status: 404, want: "something else at this address"},
		"not JSON":               {fault: vaulttest.Fault{Mode: vaulttest.NotJSON}, reason: vault.Malformed, want: "not a "},
		"too large":              {fault: vaulttest.Fault{Mode: vaulttest.HugeBody}, reason: vault.Malformed, want: "more than 2 MiB"},
		"a store of version one": {fault: vaulttest.Fault{Mode: vaulttest.VersionOne, Path: "sluice-test"}, reason: vault.Malformed, want: "version 1?"},
		"a redirect elsewhere":   {fault: vaulttest.Fault{Mode: vaulttest.RedirectAway, Location: elsewhere.URL}, reason: vault.Misconfigured, status: 307, want: "was not followed"},
		"all that was sent":      {fault: vaulttest.Fault{Mode: vaulttest.Echo}, reason: vault.Denied, status: 400, want: "*****"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, path := faulty(t)
			c := b.client(func(c *vault.Config) {
				if tc.timeout > 0 {
					c.Timeout = tc.timeout
				}
			})
			first := b.reads(c, path, "api-key", plantedKey)
			b.server.Fail(tc.fault)
			for range 6 {
				b.clock.advance(9*time.Minute + 59*time.Second)
				s := b.reads(c, path, "api-key", plantedKey)
				if s.Stale == nil || !s.ReadAt.Equal(first.ReadAt) {
					t.Fatalf("the old key is not said to be old: %+v", s)
				}
			}
			b.clock.advance(10 * time.Second)
			e := b.fails(c, path, tc.reason, b.url, tc.want, "the last good keys are older than 1h and are not used any more")
			if e.Status != tc.status {
				t.Errorf("status is %d, want %d", e.Status, tc.status)
			}
			b.server.Clear()
			b.clock.advance(10 * time.Second)
			if s := b.reads(c, path, "api-key", plantedKey); s.Stale != nil {
				t.Errorf("after it came back: %+v", s)
			}
			discreet(t, b, e.Message, fmt.Sprintf("%+v %#v %v", first, first, e), b.log.text())
		})
	}
	if leaked.Load() {
		t.Error("the host that a redirect pointed to was asked")
	}
}

// discreet fails when a text holds a secret of the bench.
func discreet(t *testing.T, b *bench, texts ...string) {
	t.Helper()
	keys := map[string]string{"the key": plantedKey}
	for i, token := range b.server.Planted() {
		keys[fmt.Sprint("Vault token ", i)] = token
	}
	b.cluster.mu.Lock()
	for token := range b.cluster.tokens {
		keys["a ServiceAccount token "+token[len(token)-6:]] = token
	}
	b.cluster.mu.Unlock()
	scan := secrettest.NewScanner(keys)
	for i, text := range texts {
		scan.Text(fmt.Sprint("text ", i), text)
	}
	scan.Report(t, 20)
}

func TestVaultIsGone(t *testing.T) {
	t.Parallel()
	b, path := faulty(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	b.fails(b.client(func(c *vault.Config) { c.Address = gone.URL }), path, vault.Unavailable, gone.URL, "could not be reached", "refused")
}

func TestVaultIsSealedByItsOwnAPI(t *testing.T) {
	t.Parallel()
	b, path := faulty(t)
	b.admin("PUT", "sys/seal", map[string]any{})
	c := b.client()
	b.fails(c, path, vault.Unavailable, "503", "log in", "unseal it")
	b.admin("PUT", "sys/unseal", map[string]any{"key": "x"})
	b.fails(c, path, vault.Unavailable, "503") // remembered
	b.clock.advance(10 * time.Second)
	b.reads(c, path, "api-key", plantedKey)
}

func TestManyGatesAskOnce(t *testing.T) {
	t.Parallel()
	b, path := faulty(t)
	c := b.client()
	all := func(check func(vault.Secret, error)) {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { check(c.Read(t.Context(), "payments", path, "")) })
		}
		wg.Wait()
	}
	asked := func(login, read int) {
		t.Helper()
		if l, r := b.server.Count("auth/"+b.mount+"/login"), b.server.Count(path); l != login || r != read+1 { // one was the write
			t.Errorf("%d logins and %d reads, want %d and %d", l, r-1, login, read)
		}
	}
	b.server.Fail(vaulttest.Fault{Mode: vaulttest.Sealed})
	for range 3 {
		all(func(_ vault.Secret, err error) {
			if err == nil {
				t.Error("a sealed Vault gave a key")
			}
		})
	}
	asked(1, 0)
	b.server.Clear()
	b.clock.advance(10 * time.Second)
	all(func(s vault.Secret, err error) {
		if err != nil || s.Fields["api-key"].Reveal() != plantedKey {
			t.Errorf("got %v, %v", s, err)
		}
	})
	asked(2, 1)
	b.server.Fail(vaulttest.Fault{Mode: vaulttest.Sealed})
	b.clock.advance(time.Minute)
	for range 3 {
		all(func(_ vault.Secret, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	asked(2, 2)
}

// Many paths that cannot be read do not make many logins.
func TestAFailedLoginIsNotTriedForEachPath(t *testing.T) {
	t.Parallel()
	b, path := faulty(t)
	b.server.Fail(vaulttest.Fault{Mode: vaulttest.Sealed})
	c := b.client()
	for i := range 20 {
		b.fails(c, fmt.Sprintf("%s-%d", path, i), vault.Unavailable, "sealed")
	}
	if n := b.server.Count("auth/" + b.mount + "/login"); n != 1 {
		t.Errorf("%d logins", n)
	}
}

func TestWhoGivesUpDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	b, path := faulty(t)
	b.server.Fail(vaulttest.Fault{Mode: vaulttest.Hang, Path: "auth/" + b.mount, Times: 1})
	c := b.client(func(c *vault.Config) { c.Timeout = 500 * time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Read(ctx, "payments", path, "")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled in its chain", err)
	}
	b.fails(c, path, vault.Unavailable, "did not answer within 500ms")
	b.clock.advance(10 * time.Second)
	b.reads(c, path, "api-key", plantedKey)
}

func TestTheServiceAccountTokenIsReadAtEachLogin(t *testing.T) {
	t.Parallel()
	b, path := faulty(t)
	old := b.cluster.token("argo-rollouts", "sluice")
	file := b.file("token", old)
	c := b.client(func(c *vault.Config) { c.TokenFile = file })
	b.reads(c, path, "api-key", plantedKey)
	b.cluster.revoke(old)
	if err := os.WriteFile(file, []byte(b.cluster.token("argo-rollouts", "sluice")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(4 * time.Hour)
	b.admin("PUT", "sys/leases/revoke-prefix/auth/"+b.mount+"/login", map[string]any{})
	if s := b.reads(c, path, "api-key", plantedKey); s.Stale != nil {
		t.Error(s.Stale)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(4 * time.Hour)
	b.fails(c, path, vault.Misconfigured, file, "--vault-token-file")
}

// A renewal that fails costs nothing while the token lasts, and one near the
// token's last end is replaced in time.
func TestRenewal(t *testing.T) {
	t.Parallel()
	b, path := faulty(t)
	c := b.client()
	fresh := func(step string, after time.Duration, logins int) {
		t.Helper()
		b.clock.advance(after)
		if s := b.reads(c, path, "api-key", plantedKey); s.Stale != nil {
			t.Errorf("%s: %v", step, s.Stale)
		}
		if n := b.log.logins(); n != logins {
			t.Errorf("%s: %d logins, want %d", step, n, logins)
		}
	}
	fresh("the first", 0, 1)
	b.server.Fail(vaulttest.Fault{Mode: vaulttest.ServerError, Path: "auth/token/renew-self", Times: 1})
	fresh("a renewal that fails", 45*time.Minute, 1)
	fresh("is tried again", 2*time.Minute, 1)
	if n := b.server.Count("auth/token/renew-self"); n != 2 {
		t.Errorf("%d renewals, want 2", n)
	}
	b.server.Fail(vaulttest.Fault{Mode: vaulttest.Forbidden, Path: "auth/token/renew-self", Times: 1})
	fresh("a renewal that is refused", 45*time.Minute, 2)
}

func TestNearItsLastEndATokenIsReplaced(t *testing.T) {
	t.Parallel()
	be := &clock{now: time.Now()}
	b := newBench(t, ours(t, vaulttest.Options{Now: be.Now}))
	b.clock = be
	path := b.put("payments/datadog", map[string]any{"api-key": plantedKey})
	c := b.client()
	logins := 0
	for range 8 * 6 {
		if s := b.reads(c, path, "api-key", plantedKey); s.Stale != nil {
			t.Fatal(s.Stale)
		}
		if n := b.log.logins(); n > logins {
			logins = n
			if alive := b.server.Tokens(); n > 1 && alive != 2 {
				t.Errorf("login %d: %d tokens are alive, want the old one as well: it was replaced too late", n, alive)
			}
		}
		be.advance(10 * time.Minute)
	}
	// Tokens of one hour that live three hours at most, for eight hours.
	if n, m := b.log.logins(), b.server.Count("auth/token/renew-self"); n != 3 || m < 8 {
		t.Errorf("%d logins and %d renewals", n, m)
	}
	if n := strings.Count(fmt.Sprint(b.server.Requests()), "lookup-self"); n != 0 {
		t.Errorf("a token ran out unseen %d times", n)
	}
}

func TestTheCertificateIsChecked(t *testing.T) {
	t.Parallel()
	b := newBench(t, ours(t, vaulttest.Options{TLS: true}))
	path := b.put("payments/datadog", map[string]any{"api-key": plantedKey})
	b.fails(b.client(func(c *vault.Config) { c.CAFile = "" }), path, vault.Unavailable, "certificate", "--vault-ca-file")

	file := b.file("ca.pem", b.otherCA())
	c := b.client(func(c *vault.Config) { c.CAFile = file })
	b.fails(c, path, vault.Unavailable, "certificate")
	if err := os.WriteFile(file, b.ca, 0o600); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(10 * time.Second)
	b.reads(c, path, "api-key", plantedKey)
}

// otherCA is a certificate that vouches for somebody else.
func (b *bench) otherCA() string { return b.cluster.ca2() }

func TestNamespacesOfVaultAreApart(t *testing.T) {
	t.Parallel()
	b := newBench(t, ours(t, vaulttest.Options{}))
	b.put("payments/datadog", map[string]any{"api-key": "of the root namespace"})
	b.admin("POST", "sys/namespaces/team", map[string]any{})
	b.namespace = "team"
	b.setUp()
	path := b.put("payments/datadog", map[string]any{"api-key": plantedKey})
	b.reads(b.client(), path, "api-key", plantedKey)
	b.fails(b.client(func(c *vault.Config) { c.Namespace = "nobody" }), path, vault.Denied, "namespace nobody")
}

// Templates name paths; they cannot make the controller hold them all.
func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	b, path := faulty(t)
	c := b.client()
	b.reads(c, path, "api-key", plantedKey)
	for i := range 1200 {
		b.fails(c, fmt.Sprintf("%s-%d", path, i), vault.Missing)
	}
	if n := c.Cached(); n != 1000 {
		t.Errorf("%d paths are cached, want 1000", n)
	}
}

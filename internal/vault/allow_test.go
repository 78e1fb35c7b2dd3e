// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"errors"
	"strings"
	"testing"

	"sluice.dev/sluice/internal/vault"
	"sluice.dev/sluice/internal/vault/vaulttest"
)

func TestWhatARunMayName(t *testing.T) {
	t.Parallel()
	list, err := vault.ParseAllow([]string{"secret/data/sluice/{{namespace}}/*", "secret/data/shared/datadog", "kv/team/data/{{namespace}}-keys", " "})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"secret/data/sluice/payments/datadog":                     true,
		"secret/data/sluice/payments/a/b":                         true,
		"secret/data/shared/datadog":                              true,
		"kv/team/data/payments-keys":                              true,
		"secret/data/sluice/payments":                             false,
		"secret/data/sluice/payments/":                            false,
		"secret/data/sluice/payments-evil/datadog":                false,
		"secret/data/sluice/orders/datadog":                       false,
		"secret/data/sluice/payments/../orders/datadog":           false,
		"secret/data/sluice/payments/./../orders/datadog":         false,
		"secret/data/sluice/payments/.../orders":                  false,
		"secret/data/sluice/payments/%2e%2e/orders/datadog":       false,
		"secret/data/sluice/payments/..%2forders":                 false,
		"secret/data/sluice/payments//datadog":                    false,
		"secret/data/sluice/payments/x?version=1":                 false,
		"secret/data/sluice/payments/x#y":                         false,
		"secret/data/sluice/payments/x y":                         false,
		"secret/data/sluice/payments/x\n":                         false,
		"secret/data/sluice/payments/x\\..\\y":                    false,
		"secret/data/sluice/payments/*":                           false,
		"secret/data/sluice/{{namespace}}/datadog":                false,
		"/secret/data/sluice/payments/datadog":                    false,
		"secret/data/shared/datadog/more":                         false,
		"secret/metadata/sluice/payments/datadog":                 false,
		"data/sluice/payments/datadog":                            false,
		"secret/data":                                             false,
		"sys/raw/data/x":                                          false,
		"auth/token/create":                                       false,
		"":                                                        false,
		"secret/data/sluice/payments/" + strings.Repeat("x", 600): false,
	} {
		err := list.Check("payments", path)
		var e *vault.Error
		if (err == nil) != want || err != nil && (!errors.As(err, &e) || e.Reason != vault.Misconfigured) {
			t.Errorf("%q: %v, want allowed: %t", path, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "shared") && !strings.Contains(path, "shared") {
			t.Errorf("%q: the message tells what is allowed: %v", path, err)
		}
	}
	for _, namespace := range []string{"", "..", "payments/../orders", "*"} {
		if list.Check(namespace, "secret/data/sluice/payments/datadog") == nil {
			t.Errorf("allowed for a namespace %q", namespace)
		}
	}
	if vault.AllowList(nil).Check("payments", "secret/data/sluice/payments/datadog") == nil {
		t.Error("without a list everything is allowed")
	}
}

// Whatever is allowed for one namespace by a pattern of its own is not for
// another.
func FuzzOneNamespaceCannotReachAnother(f *testing.F) {
	for _, path := range []string{"secret/data/sluice/a/b", "secret/data/sluice/b/../a/c", "secret/data/sluice/a/%2e%2e/b"} {
		f.Add(path)
	}
	list, err := vault.ParseAllow([]string{"secret/data/sluice/{{namespace}}/*"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if list.Check("a", path) != nil {
			return
		}
		if !strings.HasPrefix(path, "secret/data/sluice/a/") || list.Check("b", path) == nil || strings.Contains(path, "..") && strings.Contains(path, "/../") {
			t.Errorf("%q is allowed", path)
		}
	})
}

func TestAPathThatIsNotAllowedIsNeverAskedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t, ours(t, vaulttest.Options{}))
	theirs := b.put("orders/datadog", map[string]any{"api-key": plantedKey})
	before := len(b.server.Requests())
	c := b.client()
	b.fails(c, theirs, vault.Misconfigured, "namespace payments", "--vault-allow")
	b.fails(c, b.store+"/data/sluice/payments/../orders/datadog", vault.Misconfigured, "MOUNT/data/NAME")
	if n := len(b.server.Requests()); n != before {
		t.Errorf("Vault was asked %d times", n-before)
	}
	if _, err := c.ReadOwn(t.Context(), theirs, ""); err != nil {
		t.Errorf("the administrator's own path: %v", err)
	}
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	t.Parallel()
	good := vault.Config{Address: "https://vault.example.com:8200", Role: "sluice"}
	for want, change := range map[string]func(*vault.Config){
		"not a URL":                             func(c *vault.Config) { c.Address = "vault.example.com" },
		"not a URL such":                        func(c *vault.Config) { c.Address = "https://user:pass@vault.example.com" },
		"address is not a URL":                  func(c *vault.Config) { c.Address = "https://vault.example.com/v1" },
		"has no TLS":                            func(c *vault.Config) { c.Address = "http://vault.example.com:8200" },
		"no role":                               func(c *vault.Config) { c.Role = "" },
		"auth mount":                            func(c *vault.Config) { c.AuthMount = "../sys" },
		"allowed path \"secret/*\"":             func(c *vault.Config) { c.Allow = []string{"secret/*"} },
		"allowed path \"secret/data/a*\"":       func(c *vault.Config) { c.Allow = []string{"secret/data/a*"} },
		"allowed path \"secret/data/*/a\"":      func(c *vault.Config) { c.Allow = []string{"secret/data/*/a"} },
		"allowed path \"secret/data/{{ns}}/*\"": func(c *vault.Config) { c.Allow = []string{"secret/data/{{ns}}/*"} },
		"read the CA file":                      func(c *vault.Config) { c.CAFile = "/nowhere/ca.pem" },
		"cannot be read again":                  func(c *vault.Config) { c.Refresh, c.MaxAge = 2*vault.DefaultMaxAge, vault.DefaultMaxAge },
	} {
		c := good
		change(&c)
		if _, err := vault.New(c); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pass") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for _, address := range []string{good.Address, "http://127.0.0.1:8200", "http://localhost:8200/", "http://[::1]:8200"} {
		c := good
		c.Address = address
		if _, err := vault.New(c); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	plain := good
	plain.Address, plain.PlainHTTP = "http://vault.vault:8200", true
	if _, err := vault.New(plain); err != nil {
		t.Error(err)
	}
}

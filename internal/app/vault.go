// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/vault"
)

// vaultGoodbye bounds how long giving the token back may hold up the end.
const vaultGoodbye = time.Second

// A VaultConfig is what the flags say of Vault.
type VaultConfig struct {
	vault.Config
	// DatadogPath is where the account is that metrics without secretRef use.
	DatadogPath string
}

func (c *VaultConfig) flags(f *pflag.FlagSet) {
	f.StringVar(&c.Address, "vault-address", "", "URL of the Vault that holds keys, such as https://vault.example.com:8200 (default: none is used)")
	f.StringVar(&c.Role, "vault-role", "", "role of Vault's Kubernetes auth method to log in as")
	f.StringVar(&c.AuthMount, "vault-auth-mount", vault.DefaultAuthMount, "mount of Vault's Kubernetes auth method")
	f.StringVar(&c.Namespace, "vault-namespace", "", "namespace of Vault Enterprise (default: the root)")
	f.StringVar(&c.TokenFile, "vault-token-file", vault.DefaultTokenFile, "file with the ServiceAccount token that is shown to Vault; better one with an audience of its own")
	f.StringVar(&c.CAFile, "vault-ca-file", "", "file with the certificates that vouch for Vault (default: the system's)")
	f.BoolVar(&c.PlainHTTP, "vault-plain-http", false, "allow a Vault address without TLS that is not on this machine")
	f.StringArrayVar(&c.Allow, "vault-allow", nil, "path in Vault that a template may name, such as secret/data/sluice/{{namespace}}/*; may be repeated (default: none)")
	f.StringVar(&c.DatadogPath, "vault-datadog-path", "", "path in Vault of the Datadog account of metrics that name none, instead of the Secret datadog")
	f.DurationVar(&c.Refresh, "vault-refresh", vault.DefaultRefresh, "time after which keys are read from Vault again; one that Datadog refuses is read again at once")
	f.DurationVar(&c.MaxAge, "vault-max-age", vault.DefaultMaxAge, "how long the last good keys are used while Vault does not answer; then gates hold")
}

func (c *VaultConfig) validate() error {
	if c.Address != "" {
		if c.DatadogPath != "" {
			if err := vault.CheckPath(c.DatadogPath); err != nil {
				return fmt.Errorf("--vault-datadog-path: %w", err)
			}
		}
		return nil
	}
	if c.Role != "" || c.DatadogPath != "" || len(c.Allow) > 0 {
		return errors.New("--vault-role, --vault-datadog-path and --vault-allow need --vault-address")
	}
	return nil
}

// addVault makes the store of keys, or none.
func addVault(mgr ctrl.Manager, c VaultConfig) (metric.KeyStore, error) {
	if c.Address == "" {
		return nil, nil //nolint:nilnil // no Vault is a choice, not a mistake
	}
	c.Log = ctrl.Log.WithName("vault")
	client, err := vault.New(c.Config)
	if err != nil {
		return nil, fmt.Errorf("set up Vault: %w", err)
	}
	goodbye := manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), vaultGoodbye)
		defer cancel()
		if err := client.Close(last); err != nil {
			c.Log.Info("the token could not be given back to Vault; it ends by itself", "why", err.Error())
		}
		return nil
	})
	if err := mgr.Add(goodbye); err != nil {
		return nil, fmt.Errorf("set up Vault: %w", err)
	}
	return keyStore{client: client, paths: map[string]string{"datadog": c.DatadogPath}}, nil
}

// A keyStore is Vault as providers see it.
type keyStore struct {
	client *vault.Client
	// paths are the administrator's, by provider.
	paths map[string]string
}

// Serves reports whether the administrator named a path for a provider.
func (k keyStore) Serves(provider string) bool { return k.paths[provider] != "" }

// Read reads keys.
func (k keyStore) Read(ctx context.Context, r metric.KeyRequest) (metric.Keys, error) {
	var s vault.Secret
	var err error
	if r.Path == "" {
		s, err = k.client.ReadOwn(ctx, k.paths[r.Provider], r.Refused)
	} else {
		s, err = k.client.Read(ctx, r.Namespace, r.Path, r.Refused)
	}
	if err != nil {
		return metric.Keys{}, measured(err)
	}
	keys := metric.Keys{Origin: "Vault path " + s.Path, Version: s.Version, Fields: s.Fields}
	if s.Stale != nil {
		keys.Stale = s.Stale.Error()
	}
	return keys, nil
}

// classes are what a failure of Vault is to a measurement. None is Unauthorized
// or RateLimited: those are the provider's own.
var classes = map[vault.Reason]metric.Class{
	vault.Unavailable: metric.Unavailable, vault.Denied: metric.Unavailable, vault.Malformed: metric.Unavailable,
	vault.Missing: metric.Misconfigured, vault.Misconfigured: metric.Misconfigured,
}

// measured is an error of Vault as a measurement's.
func measured(err error) error {
	e, ok := errors.AsType[*vault.Error](err)
	if !ok {
		return metric.Errorf(metric.Unavailable, "%w", err)
	}
	return &metric.Error{Class: classes[e.Reason], Status: e.Status, Message: "no keys for the query: " + e.Message, Err: err}
}

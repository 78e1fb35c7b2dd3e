// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/secret"
)

const (
	defaultAddress = "https://api.datadoghq.com"
	defaultSecret  = "datadog"
)

// The spellings of each key of the Secret, the one that wins first.
var (
	apiKeyNames = []string{"api-key", "apiKey"}
	appKeyNames = []string{"app-key", "appKey"}
	// addressNames of secrets in Vault; a Secret has but one.
	addressNames = []string{"address"}
)

// credentials are good for one measurement: they are asked for anew for each,
// so that a rotated key is used at the next query.
type credentials struct {
	// origin says where they are from, in words.
	origin         string
	address        *url.URL
	apiKey, appKey secret.Text
	// version tells keys from a store that may be older than the store's own
	// from others; stale says why they are older than they should be.
	version, stale string
}

// site is the address as it may be shown.
func (c credentials) site() string { return c.address.Scheme + "://" + c.address.Host }

// credentials finds the keys: where the metric says and nowhere else; else the
// environment, if it holds all three; else what the administrator set up in the
// store of keys; else the Secret "datadog" in the controller's namespace. Keys
// of the version refused are not good.
func (s *source) credentials(ctx context.Context, refused string) (credentials, error) {
	if s.spec.vault != nil {
		return s.fromStore(ctx, metric.KeyRequest{Path: s.spec.vault.Path, Namespace: s.env.RunNamespace, Refused: refused})
	}
	if s.spec.secret == "" {
		apiKey, appKey, address := s.getenv("DD_API_KEY"), s.getenv("DD_APP_KEY"), s.getenv("DD_ADDRESS")
		if apiKey != "" && appKey != "" && address != "" {
			return newCredentials("the environment (DD_API_KEY, DD_APP_KEY, DD_ADDRESS)", address, secret.New(apiKey), secret.New(appKey))
		}
		if s.env.Keys != nil && s.env.Keys.Serves(name) {
			return s.fromStore(ctx, metric.KeyRequest{Provider: name, Refused: refused})
		}
	}
	namespace, secretName := s.env.ControllerNamespace, defaultSecret
	if s.spec.secret != "" {
		secretName = s.spec.secret
	}
	if s.spec.namespaced {
		namespace = s.env.RunNamespace
	}
	return s.fromSecret(ctx, namespace, secretName)
}

func (s *source) getenv(name string) string {
	if s.env.Getenv == nil {
		return ""
	}
	return s.env.Getenv(name)
}

// fromStore reads keys from the store of keys.
func (s *source) fromStore(ctx context.Context, request metric.KeyRequest) (credentials, error) {
	if s.env.Keys == nil {
		return credentials{}, misconfigured("secretRef.vault names a path, and this controller knows no Vault: " +
			"its administrator must name one (--vault-address)")
	}
	keys, err := s.env.Keys.Read(ctx, request)
	if err != nil {
		return credentials{}, err
	}
	named := map[string]string{}
	if s.spec.vault != nil {
		named = s.spec.vault.Keys
	}
	apiKey, missing := pick(keys.Fields, named["apiKey"], apiKeyNames)
	appKey, missingApp := pick(keys.Fields, named["appKey"], appKeyNames)
	address, noAddress := pick(keys.Fields, named["address"], addressNames)
	if missing += missingApp; missing != "" {
		return credentials{}, incomplete(keys.Origin, missing)
	}
	if noAddress != "" {
		// Vault holds what is secret; the site may be said elsewhere.
		address = secret.New(s.getenv("DD_ADDRESS"))
	}
	c, err := newCredentials(keys.Origin, address.Reveal(), apiKey, appKey)
	c.version, c.stale = keys.Version, keys.Stale
	return c, err
}

func (s *source) fromSecret(ctx context.Context, namespace, name string) (credentials, error) {
	origin := fmt.Sprintf("Secret %s/%s", namespace, name)
	if s.env.Secrets == nil {
		return credentials{}, metric.Errorf(metric.Misconfigured,
			"no Datadog keys: this process cannot read %s", origin)
	}
	ctx, cancel := context.WithTimeout(ctx, s.spec.timeout)
	defer cancel()
	data, err := s.env.Secrets(ctx, namespace, name)
	switch {
	case err == nil:
	case apierrors.IsNotFound(err):
		return credentials{}, metric.Errorf(metric.Misconfigured,
			"%s, which should hold the Datadog keys (api-key, app-key and, optionally, address), does not exist; create it", origin)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return credentials{}, metric.Errorf(metric.Misconfigured,
			"%s, which should hold the Datadog keys, may not be read: %w; allow the controller to get it", origin, err)
	default:
		return credentials{}, metric.Errorf(metric.Unavailable, "read %s for the Datadog keys: %w", origin, err)
	}
	fields := make(map[string]secret.Text, len(data))
	for field, value := range data {
		fields[field] = secret.New(string(value))
	}
	apiKey, missing := pick(fields, "", apiKeyNames)
	appKey, missingApp := pick(fields, "", appKeyNames)
	if missing += missingApp; missing != "" {
		return credentials{}, incomplete(origin, missing)
	}
	return newCredentials(origin, fields["address"].Reveal(), apiKey, appKey)
}

func incomplete(origin, missing string) error {
	return metric.Errorf(metric.Misconfigured, "%s has no%s; Datadog needs both an API key and an application key",
		origin, strings.TrimSuffix(missing, " and"))
}

// pick returns the field that was named or, if none was, the first of names
// that holds something, or words for what is missing.
func pick(fields map[string]secret.Text, named string, names []string) (value secret.Text, missing string) {
	if named != "" {
		names = []string{named}
	}
	for _, name := range names {
		if v := fields[name].Trim(); !v.Empty() {
			return v, ""
		}
	}
	if len(names) == 1 {
		return secret.Text{}, fmt.Sprintf(" key %q and", names[0])
	}
	return secret.Text{}, fmt.Sprintf(" key %q (or %q) and", names[0], names[1])
}

func newCredentials(origin, address string, apiKey, appKey secret.Text) (credentials, error) {
	c := credentials{origin: origin, apiKey: apiKey.Trim(), appKey: appKey.Trim()}
	for _, key := range []secret.Text{c.apiKey, c.appKey} {
		if strings.ContainsFunc(key.Reveal(), func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return credentials{}, metric.Errorf(metric.Misconfigured,
				"a Datadog key of %s holds a character that no key has (a space, a line end, or not ASCII)", origin)
		}
	}
	var err error
	c.address, err = parseAddress(origin, address)
	return c, err
}

// parseAddress never quotes an address that it refuses: somebody may have put
// a key there.
func parseAddress(origin, text string) (*url.URL, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "/")
	if text == "" {
		text = defaultAddress
	}
	if !strings.Contains(text, "://") && strings.Contains(text, ".") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" {
		return nil, metric.Errorf(metric.Misconfigured,
			"the Datadog address of %s is not the URL of a site, such as %s or https://api.datadoghq.eu", origin, defaultAddress)
	}
	return u, nil
}

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
)

const (
	defaultAddress = "https://api.datadoghq.com"
	defaultSecret  = "datadog"
)

// The spellings of each key of the Secret, the one that wins first.
var (
	apiKeyNames = []string{"api-key", "apiKey"}
	appKeyNames = []string{"app-key", "appKey"}
)

// credentials are good for one measurement: they are read anew for each, so
// that a rotated key is used at the next query.
type credentials struct {
	// origin says where they are from, in words.
	origin         string
	address        *url.URL
	apiKey, appKey string
}

// site is the address as it may be shown.
func (c credentials) site() string { return c.address.Scheme + "://" + c.address.Host }

// credentials finds the keys: the Secret that the metric names and no other;
// else the environment, if it holds all three; else the Secret "datadog" in the
// controller's namespace.
func (s *source) credentials(ctx context.Context) (credentials, error) {
	if s.spec.secret == "" && s.env.Getenv != nil {
		apiKey, appKey, address := s.env.Getenv("DD_API_KEY"), s.env.Getenv("DD_APP_KEY"), s.env.Getenv("DD_ADDRESS")
		if apiKey != "" && appKey != "" && address != "" {
			return newCredentials("the environment (DD_API_KEY, DD_APP_KEY, DD_ADDRESS)", address, apiKey, appKey)
		}
	}
	namespace, name := s.env.ControllerNamespace, defaultSecret
	if s.spec.secret != "" {
		name = s.spec.secret
	}
	if s.spec.namespaced {
		namespace = s.env.RunNamespace
	}
	return s.fromSecret(ctx, namespace, name)
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
	apiKey, missing := pick(data, apiKeyNames)
	appKey, missingApp := pick(data, appKeyNames)
	if missing += missingApp; missing != "" {
		return credentials{}, metric.Errorf(metric.Misconfigured,
			"%s has no%s; Datadog needs both an API key and an application key", origin,
			strings.TrimSuffix(missing, " and"))
	}
	return newCredentials(origin, string(data["address"]), apiKey, appKey)
}

// pick returns the value of the first of names that has one, or words for what
// is missing.
func pick(data map[string][]byte, names []string) (value, missing string) {
	for _, name := range names {
		if v := strings.TrimSpace(string(data[name])); v != "" {
			return v, ""
		}
	}
	return "", fmt.Sprintf(" key %q (or %q) and", names[0], names[1])
}

func newCredentials(origin, address, apiKey, appKey string) (credentials, error) {
	c := credentials{origin: origin, apiKey: strings.TrimSpace(apiKey), appKey: strings.TrimSpace(appKey)}
	for _, key := range []string{c.apiKey, c.appKey} {
		if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
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

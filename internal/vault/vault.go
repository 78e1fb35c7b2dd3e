// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package vault reads keys from the key-value store, version 2, of a HashiCorp
// Vault, to which it proves itself with its Kubernetes ServiceAccount. It keeps
// the last good keys for as long as it may. It writes no secret, it knows no
// other engine and no other way to log in, and where Vault is, who the
// controller is there and which paths may be named are the administrator's to
// say: nothing of it comes from a template.
package vault

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"sluice.dev/sluice/internal/secret"
)

// The defaults of a Config.
const (
	DefaultAuthMount = "kubernetes"
	DefaultTokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token" //nolint:gosec // where one is, not one
	DefaultTimeout   = 5 * time.Second
	DefaultRefresh   = time.Minute
	DefaultMaxAge    = time.Hour
)

const (
	// retryAfter is how long a failure is remembered, so that many gates do
	// not queue up at a Vault that does not answer.
	retryAfter = 10 * time.Second
	// maxPaths bounds the cache: paths are named by templates.
	maxPaths = 1000
)

// A Config is where Vault is and what may be read there. Address and Role must
// be set.
type Config struct {
	// Address is the URL of Vault, without a path.
	Address string
	// AuthMount is where the Kubernetes auth method is mounted.
	AuthMount string
	// Role to log in as.
	Role string
	// Namespace of Vault Enterprise, empty for the root.
	Namespace string
	// TokenFile holds the ServiceAccount's token. It is read at each login,
	// because the kubelet replaces it.
	TokenFile string
	// CAFile holds the certificates that may vouch for Vault; empty means the
	// system's.
	CAFile string
	// PlainHTTP allows an address without TLS that is not on this machine.
	PlainHTTP bool
	// Allow are the paths that runs may name; see [ParseAllow].
	Allow []string
	// Timeout of one request; Refresh is how old keys may be before they are
	// read again, MaxAge how old they may be at all.
	Timeout, Refresh, MaxAge time.Duration
	// Now is the clock; nil means the system's.
	Now func() time.Time
	// Log is told when Vault is lost and found, and of logins.
	Log logr.Logger
}

// A Secret is what one path held.
type Secret struct {
	// Path as Vault's policies write it, such as secret/data/sluice/datadog.
	Path string
	// Version tells two contents of the path apart.
	Version string
	// Fields of the secret. What is not a string is JSON.
	Fields map[string]secret.Text
	// ReadAt is when Vault said so.
	ReadAt time.Time
	// Stale is why it could not be read again since, nil if it is not due.
	Stale error
}

// A Client reads from one Vault. Its methods may be called from several
// goroutines.
type Client struct {
	conn
	allow AllowList
	auth  auth

	mu      sync.Mutex
	entries map[string]*entry
}

// A conn asks one Vault questions.
type conn struct {
	config Config
	base   *url.URL
	wire   wire
}

// New returns a Client. It does not use the network.
func New(c Config) (*Client, error) {
	c = c.withDefaults()
	base, err := parseAddress(c.Address, c.PlainHTTP)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Role == "":
		return nil, errors.New("vault: no role: name the role of the Kubernetes auth method to log in as")
	case !clean(c.AuthMount):
		return nil, fmt.Errorf("vault: auth mount %q is not a path such as %s", c.AuthMount, DefaultAuthMount)
	case c.MaxAge < c.Refresh:
		return nil, fmt.Errorf("vault: keys that may be %s old cannot be read again only after %s", c.MaxAge, c.Refresh)
	}
	allow, err := ParseAllow(c.Allow)
	if err != nil {
		return nil, err
	}
	client := &Client{conn: conn{config: c, base: base}, allow: allow, entries: map[string]*entry{}}
	client.auth.turn = make(chan struct{}, 1)
	return client, client.wire.load(c.CAFile)
}

func (c Config) withDefaults() Config {
	def := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	span := func(s *time.Duration, d time.Duration) {
		if *s <= 0 {
			*s = d
		}
	}
	def(&c.AuthMount, DefaultAuthMount)
	def(&c.TokenFile, DefaultTokenFile)
	span(&c.Timeout, DefaultTimeout)
	span(&c.Refresh, DefaultRefresh)
	span(&c.MaxAge, DefaultMaxAge)
	c.AuthMount = strings.Trim(c.AuthMount, "/")
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// parseAddress refuses what would send a token in the clear.
func parseAddress(text string, plain bool) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(strings.TrimSpace(text), "/"))
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" ||
		!slices.Contains([]string{"https", "http"}, u.Scheme) {
		return nil, errors.New("vault: the address is not a URL such as https://vault.example.com:8200")
	}
	if u.Scheme == "http" && !plain && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("vault: the address %s has no TLS, and tokens would travel in the clear: use https, "+
			"or allow it where the network is trusted (--vault-plain-http)", u)
	}
	return u, nil
}

// Read returns the secret at a path that a run in namespace names, if the
// administrator allows it. A version other than "" was refused by whom it was
// shown to: it is not returned again without asking Vault.
func (c *Client) Read(ctx context.Context, namespace, path, refused string) (Secret, error) {
	if err := c.allow.Check(namespace, path); err != nil {
		return Secret{}, err
	}
	return c.read(ctx, path, refused)
}

// ReadOwn is Read for a path that the administrator named.
func (c *Client) ReadOwn(ctx context.Context, path, refused string) (Secret, error) {
	if err := CheckPath(path); err != nil {
		return Secret{}, err
	}
	return c.read(ctx, path, refused)
}

// Close gives the token back, so that none outlives the controller.
func (c *Client) Close(ctx context.Context) error { return c.auth.revoke(ctx, &c.conn) }

// at says where something was asked.
func (c *conn) at() string {
	if c.config.Namespace != "" {
		return fmt.Sprintf("Vault at %s (namespace %s)", c.base, c.config.Namespace)
	}
	return fmt.Sprintf("Vault at %s", c.base)
}

func (c *conn) loginPath() string { return path.Join("auth", c.config.AuthMount, "login") }

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"sluice.dev/sluice/internal/secret"
)

// An auth is who we are to Vault. Its fields belong to whoever has the turn.
type auth struct {
	// turn holds one token, in another sense of the word.
	turn  chan struct{}
	token secret.Text
	// ttl is what the login gave; renewAt and expires are zero for a token
	// without an end.
	ttl              time.Duration
	renewAt, expires time.Time
	renewable        bool
	// failed is when and why the last login failed.
	failedAt time.Time
	failed   *Error
}

// grant is the part of an answer that gives a token.
type grant struct {
	Auth *struct {
		Token     string `json:"client_token"`
		Seconds   int64  `json:"lease_duration"`
		Renewable bool   `json:"renewable"`
	} `json:"auth"`
}

// lock waits for the turn.
func (a *auth) lock(ctx context.Context) *Error {
	select {
	case a.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		e := problem(Unavailable, "waiting to log in to Vault: %s", ctx.Err())
		e.Err = ctx.Err()
		return e
	}
}

func (a *auth) unlock() { <-a.turn }

// current returns a token that is good by all we know: the one in hand, renewed
// when two thirds of its time are over, or that of a new login.
func (a *auth) current(ctx context.Context, c *conn) (secret.Text, *Error) {
	if err := a.lock(ctx); err != nil {
		return secret.Text{}, err
	}
	defer a.unlock()
	now := c.config.Now()
	if !a.token.Empty() && !a.expires.IsZero() && !now.Before(a.expires) {
		a.forget()
	}
	if !a.token.Empty() && !a.renewAt.IsZero() && !now.Before(a.renewAt) {
		a.extend(ctx, c, now)
	}
	if !a.token.Empty() {
		return a.token, nil
	}
	err := a.login(ctx, c, now)
	return a.token, err
}

// extend renews the token, or replaces it near its last end. One that could not
// be renewed is used until it ends.
func (a *auth) extend(ctx context.Context, c *conn, now time.Time) {
	if a.renewable {
		body, err := c.ask(ctx, question{
			method: http.MethodPost, path: "auth/token/renew-self", doing: "renew the token", token: a.token, body: map[string]string{},
		})
		switch {
		case err != nil && err.Status == http.StatusForbidden:
			a.forget()
			return
		case err == nil && a.take(body, now) && (a.expires.IsZero() || a.expires.Sub(now) > a.ttl/3):
			return
		case err != nil:
			a.renewAt = now.Add(retryAfter)
			return
		}
	}
	if a.login(ctx, c, now) != nil {
		a.renewAt = now.Add(retryAfter)
	}
}

// take reads a grant that was asked for at a time.
func (a *auth) take(body []byte, asked time.Time) bool {
	var g grant
	if json.Unmarshal(body, &g) != nil || g.Auth == nil || g.Auth.Token == "" || g.Auth.Seconds < 0 {
		return false
	}
	ttl := time.Duration(min(g.Auth.Seconds, 10*365*24*3600)) * time.Second
	a.token, a.renewable = secret.New(g.Auth.Token), g.Auth.Renewable
	a.renewAt, a.expires = time.Time{}, time.Time{}
	if ttl > 0 {
		a.renewAt, a.expires = asked.Add(ttl*2/3), asked.Add(ttl)
	}
	return true
}

// login trades the ServiceAccount's token for one of Vault's.
func (a *auth) login(ctx context.Context, c *conn, now time.Time) *Error {
	if a.failed != nil && now.Sub(a.failedAt) < retryAfter {
		return a.failed
	}
	err := a.tryLogin(ctx, c, now)
	a.failed, a.failedAt = err, now
	if err != nil && errors.Is(err.Err, context.Canceled) {
		a.failed = nil // it says nothing about Vault
	}
	return err
}

func (a *auth) tryLogin(ctx context.Context, c *conn, now time.Time) *Error {
	jwt, err := readToken(c.config.TokenFile)
	if err != nil {
		return err
	}
	_ = c.wire.load(c.config.CAFile) // else with the certificates that were there before
	q := question{
		method: http.MethodPost, path: c.loginPath(), login: true,
		doing:  "log in at auth/" + c.config.AuthMount + " as role " + c.config.Role,
		hidden: []secret.Text{jwt}, body: map[string]string{"role": c.config.Role, "jwt": jwt.Reveal()},
	}
	body, err := c.ask(ctx, q)
	if err != nil {
		return err
	}
	if !a.take(body, now) {
		return problem(Malformed, "%s answered with something that is not a login (%s)", c.at(), q.doing)
	}
	a.ttl = a.expires.Sub(now)
	c.config.Log.Info("logged in to Vault", "address", c.base.String(), "role", c.config.Role, "mount", c.config.AuthMount, "ttl", max(a.ttl, 0).String())
	return nil
}

// readToken reads the ServiceAccount's token.
func readToken(file string) (secret.Text, *Error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return secret.Text{}, problem(Misconfigured, "the ServiceAccount token for Vault cannot be read: %s; mount one (--vault-token-file)", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsAny(token, " \r\n\t") || len(token) > 64<<10 {
		return secret.Text{}, problem(Misconfigured, "the file %s does not hold a ServiceAccount token", file)
	}
	return secret.New(token), nil
}

// doubt is called when token was refused. It returns whether the token itself
// was at fault, and forgets it then.
func (a *auth) doubt(ctx context.Context, c *conn, token secret.Text) bool {
	if a.lock(ctx) != nil {
		return false
	}
	defer a.unlock()
	if !a.token.Equal(token) {
		return true // somebody has got a new one since
	}
	_, err := c.ask(ctx, question{method: http.MethodGet, path: "auth/token/lookup-self", doing: "look up the token", token: token})
	if err == nil || err.Status != http.StatusForbidden {
		return false
	}
	a.forget()
	return true
}

func (a *auth) forget() {
	a.token, a.renewAt, a.expires = secret.Text{}, time.Time{}, time.Time{}
}

// revoke gives the token back.
func (a *auth) revoke(ctx context.Context, c *conn) error {
	if err := a.lock(ctx); err != nil {
		return err
	}
	defer a.unlock()
	if a.token.Empty() {
		return nil
	}
	_, err := c.ask(ctx, question{method: http.MethodPost, path: "auth/token/revoke-self", doing: "give the token back", token: a.token, body: map[string]string{}})
	a.forget()
	if err != nil {
		return err
	}
	return nil
}

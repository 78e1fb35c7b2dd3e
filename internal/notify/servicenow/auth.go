// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package servicenow

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/wire"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

// margin is how long before its end a token is no longer used.
const margin = 30 * time.Second

type token struct {
	text  secret.Text
	until time.Time
	// of is the client secret it was got with: another one asks anew.
	of secret.Text
}

// authenticate puts on r what it proves itself with.
func (s *api) authenticate(ctx context.Context, r *wire.Request) error {
	if s.opts.OAuth == nil {
		pair := s.opts.Username + ":" + s.opts.Password.Reveal()
		encoded := base64.StdEncoding.EncodeToString([]byte(pair))
		r.Secrets = append(slices.Clip(r.Secrets), s.opts.Password, secret.New(encoded))
		r.Header.Set("Authorization", "Basic "+encoded)
		return nil
	}
	t, err := s.token(ctx)
	if err != nil {
		return err
	}
	r.Secrets = append(slices.Clip(r.Secrets), t)
	r.Header.Set("Authorization", "Bearer "+t.Reveal())
	return nil
}

func (s *api) account() string {
	return s.base + " " + s.opts.OAuth.ClientID + " " + s.opts.Username
}

func (s *api) forget() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.tokens, s.account())
}

// token returns a token that is good for a while.
func (s *api) token(ctx context.Context) (secret.Text, error) {
	s.hub.mu.Lock()
	t, ok := s.hub.tokens[s.account()]
	s.hub.mu.Unlock()
	now := s.hub.now()
	if ok && now.Before(t.until) && t.of.Equal(s.opts.OAuth.ClientSecret) {
		return t.text, nil
	}
	t, err := s.login(ctx, now)
	if err != nil {
		return secret.Text{}, err
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.tokens[s.account()] = t
	return t.text, nil
}

func (s *api) login(ctx context.Context, now time.Time) (token, error) {
	o := s.opts.OAuth
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {o.ClientID}, "client_secret": {o.ClientSecret.Reveal()}}
	if s.opts.Username != "" {
		form.Set("grant_type", "password")
		form.Set("username", s.opts.Username)
		form.Set("password", s.opts.Password.Reveal())
	}
	if o.Scope != "" {
		form.Set("scope", o.Scope)
	}
	r := &wire.Request{
		Who: who + "'s token endpoint", Method: http.MethodPost, URL: cmp.Or(o.TokenURL, s.base+"/oauth_token.do"), Body: []byte(form.Encode()),
		Header:  http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}},
		Secrets: append(slices.Clip(s.secrets), o.ClientSecret, s.opts.Password),
	}
	resp, err := wire.Do(ctx, s.client, r)
	if err != nil {
		if e, ok := errors.AsType[*notify.Error](err); ok {
			e.Uncertain = false // nothing was opened
			if e.Status == http.StatusBadRequest {
				e.Fate = outbox.Broken
			}
		}
		return token{}, err
	}
	var answer struct {
		Token string `json:"access_token"`
		Life  int    `json:"expires_in"`
	}
	if err := json.Unmarshal(resp.Body, &answer); err != nil || answer.Token == "" {
		return token{}, notify.Errorf(outbox.Broken, "%s's token endpoint answered without an access_token; is oauth.tokenURL right?", who)
	}
	life := time.Duration(answer.Life) * time.Second
	return token{text: secret.New(answer.Token), until: now.Add(life - min(margin, life/2)), of: o.ClientSecret}, nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"maps"
	"net/http"
	"strings"
	"time"
)

// A token of Vault. One without an end has no ttl.
type token struct {
	id, accessor string
	space        *space
	policies     []string
	made, ends   time.Time
	ttl, max     time.Duration
	renewable    bool
	by           string // the path of the login
}

// alive returns a token that has not ended. It needs s.mu.
func (s *core) alive(id string) *token {
	t := s.tokens[id]
	if t == nil || t.ttl > 0 && !s.now().Before(t.ends) {
		return nil
	}
	return t
}

// issue makes a token. It needs s.mu.
func (s *core) issue(t token) *token {
	t.made, t.accessor = s.now(), random()
	t.id = "hvs." + random() + random()
	if !t.renewable {
		t.id = "hvb." + random() + random()
	}
	if t.max > 0 {
		t.ttl = min(t.ttl, t.max)
	}
	t.ends = t.made.Add(t.ttl)
	s.tokens[t.id] = &t
	return &t
}

func (t *token) auth(now time.Time) map[string]any {
	seconds := 0
	if t.ttl > 0 {
		seconds = int((t.ends.Sub(now) + time.Second - 1) / time.Second)
	}
	return map[string]any{
		"client_token": t.id, "accessor": t.accessor, "policies": t.policies, "token_policies": t.policies,
		"lease_duration": seconds, "renewable": t.renewable, "token_type": map[bool]string{true: "service", false: "batch"}[t.renewable],
	}
}

func envelope(fields map[string]any) map[string]any {
	out := map[string]any{"request_id": random(), "lease_id": "", "renewable": false, "lease_duration": 0, "data": nil, "wrap_info": nil, "warnings": nil, "auth": nil}
	maps.Copy(out, fields)
	return out
}

// tokenAPI answers below auth/token.
func (s *core) tokenAPI(c *call, op string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	switch {
	case op == "lookup-self" && c.method == http.MethodGet:
		a := c.token.auth(now)
		return envelope(map[string]any{"data": map[string]any{
			"id": c.token.id, "accessor": c.token.accessor, "policies": c.token.policies, "ttl": a["lease_duration"],
			"renewable": c.token.renewable, "path": c.token.by,
		}}), nil
	case op == "renew-self" && c.method == http.MethodPost:
		if !c.token.renewable {
			return nil, refuse(http.StatusBadRequest, "batch tokens cannot be renewed")
		}
		c.token.ends = now.Add(c.token.ttl)
		if last := c.token.made.Add(c.token.max); c.token.max > 0 && c.token.ends.After(last) {
			c.token.ends = last
		}
		return envelope(map[string]any{"auth": c.token.auth(now)}), nil
	case op == "revoke-self" && c.method == http.MethodPost:
		if !c.token.renewable {
			return nil, refuse(http.StatusBadRequest, "batch tokens cannot be revoked")
		}
		c.token.ends, c.token.ttl = now, 1
		return nil, nil
	}
	return nil, refuse(http.StatusNotFound, "unsupported path")
}

// revokePrefix ends all tokens that came from a login. It needs s.mu.
func (s *core) revokePrefix(prefix string) (any, error) {
	for _, t := range s.tokens {
		if t.by != "" && strings.HasPrefix(t.by, prefix) {
			t.ends, t.ttl = s.now(), 1
		}
	}
	return nil, nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// health answers /sys/health, which needs no token.
func (s *core) health() (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body := map[string]any{"initialized": true, "sealed": s.sealed, "standby": false, "version": "1.21.4", "cluster_name": "vaulttest"}
	if s.sealed {
		return body, refuse(http.StatusServiceUnavailable)
	}
	return body, nil
}

func (s *core) unseal(c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.text("key") == "" {
		return nil, refuse(http.StatusBadRequest, "'key' must be specified in request body as JSON, or 'reset' set to true")
	}
	s.sealed = false
	return map[string]any{"sealed": false}, nil
}

// system answers what an administrator sets up with.
func (s *core) system(c *call, path string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if path == "seal" {
		s.sealed = true
		return nil, nil
	}
	kind, name, _ := strings.Cut(path, "/")
	name = strings.Trim(name, "/")
	if c.method != http.MethodPost && c.method != http.MethodDelete {
		return nil, refuse(http.StatusMethodNotAllowed, "unsupported operation")
	}
	switch kind {
	case "mounts":
		return c.space.mount(c, name)
	case "auth":
		return c.space.enable(c, name)
	case "policies":
		return c.space.setPolicy(c, strings.TrimPrefix(name, "acl/"))
	case "namespaces":
		s.spaces[name] = newSpace()
		return map[string]any{"data": map[string]any{"path": name + "/"}}, nil
	case "leases":
		return s.revokePrefix(strings.TrimPrefix(name, "revoke-prefix/"))
	}
	return nil, refuse(http.StatusNotFound, "unsupported path")
}

// enable mounts an auth method.
func (sp *space) enable(c *call, name string) (any, error) {
	switch {
	case c.method == http.MethodDelete:
		delete(sp.auths, name)
		return nil, nil
	case c.text("type") != "kubernetes":
		return nil, refuse(http.StatusBadRequest, "plugin not found in the catalog: "+c.text("type"))
	case sp.auths[name] != nil:
		return nil, refuse(http.StatusBadRequest, "path is already in use at "+name+"/")
	}
	sp.auths[name] = &kubernetes{mount: name, roles: map[string]role{}}
	return nil, nil
}

func (sp *space) mount(c *call, name string) (any, error) {
	if c.method == http.MethodDelete {
		delete(sp.mounts, name)
		return nil, nil
	}
	options, _ := c.body["options"].(map[string]any)
	if c.text("type") != "kv" || options["version"] != "2" {
		return nil, refuse(http.StatusBadRequest, "this server has the type kv with the option version 2 only")
	}
	if sp.mounts[name] != nil {
		return nil, refuse(http.StatusBadRequest, "path is already in use at "+name+"/")
	}
	sp.mounts[name] = store{}
	return nil, nil
}

// A policy is what paths may be used for what.
type policy []grant

type grant struct {
	path *regexp.Regexp
	can  []string
}

var (
	policyPath = regexp.MustCompile(`(?s)path\s+"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*\}`)
	quoted     = regexp.MustCompile(`"([a-z]+)"`)
	// defaultPolicy is the part of Vault's policy "default" that is of use here.
	defaultPolicy = parsePolicy(`
		path "auth/token/lookup-self" { capabilities = ["read"] }
		path "auth/token/renew-self"  { capabilities = ["update"] }
		path "auth/token/revoke-self" { capabilities = ["update"] }`)
)

func parsePolicy(text string) policy {
	var p policy
	for _, m := range policyPath.FindAllStringSubmatch(text, -1) {
		pattern := regexp.QuoteMeta(m[1])
		if below, ok := strings.CutSuffix(pattern, `\*`); ok {
			pattern = below + ".*"
		}
		g := grant{path: regexp.MustCompile("^" + strings.ReplaceAll(pattern, `\+`, "[^/]+") + "$")}
		for _, c := range quoted.FindAllStringSubmatch(m[2], -1) {
			g.can = append(g.can, c[1])
		}
		p = append(p, g)
	}
	return p
}

func (sp *space) setPolicy(c *call, name string) (any, error) {
	if c.method == http.MethodDelete {
		delete(sp.policies, name)
		return nil, nil
	}
	p := parsePolicy(c.text("policy"))
	if p == nil {
		return nil, refuse(http.StatusBadRequest, "failed to parse policy")
	}
	sp.policies[name] = p
	return nil, nil
}

// capability is what a method needs.
var capability = map[string][]string{
	http.MethodGet: {"read"}, http.MethodPost: {"create", "update"}, http.MethodDelete: {"delete"}, "LIST": {"list"},
}

// authorize finds the token of a call and checks its policies.
func (s *core) authorize(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := c.Header.Get("X-Vault-Token")
	if id == "" {
		id, _ = strings.CutPrefix(c.Header.Get("Authorization"), "Bearer ")
	}
	if c.token = s.alive(id); c.token == nil {
		return refuse(http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
	}
	if id == s.root {
		return nil
	}
	if c.token.space != c.space {
		return errDenied
	}
	for _, name := range c.token.policies {
		p := c.space.policies[name]
		if name == "default" {
			p = defaultPolicy
		}
		for _, g := range p {
			if g.path.MatchString(c.path) && slices.ContainsFunc(capability[c.method], func(n string) bool { return slices.Contains(g.can, n) }) {
				return nil
			}
		}
	}
	return errDenied
}

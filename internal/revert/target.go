// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/object"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/httpclient"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

// Credentials are a user and a token or password.
type Credentials struct {
	Username string
	Secret   secret.Text
}

// The keys of the Secret.
const (
	keyToken    = "token"
	keyUsername = "username"
	keyPassword = "password"
	// tokenUser goes with a token: GitHub asks for this name, others for any.
	tokenUser = "x-access-token"
)

// CredentialsOf reads the data of a Secret, which name names for people.
func CredentialsOf(name string, data map[string][]byte) (Credentials, error) {
	get := func(key string) string { return strings.TrimSpace(string(data[key])) }
	if token := get(keyToken); token != "" {
		return Credentials{Username: cmp.Or(get(keyUsername), tokenUser), Secret: secret.New(token)}, nil
	}
	if get(keyUsername) == "" || get(keyPassword) == "" {
		return Credentials{}, notify.Errorf(outbox.Broken, "Secret %s has neither the key %s nor the keys %s and %s", name, keyToken, keyUsername, keyPassword)
	}
	return Credentials{Username: get(keyUsername), Secret: secret.New(get(keyPassword))}, nil
}

// A target is where a revert goes.
type target struct {
	*Request
	service *Service
	// name is the repository for people: without a query, and never a secret.
	name  string
	url   *url.URL
	pulls *pulls
}

// normal is a host as it is compared.
func normal(host string) string {
	return strings.TrimSuffix(strings.ToLower(strings.TrimSpace(host)), ":443")
}

// place checks that a URL may be talked to. field names it for people.
func (s *Service) place(field, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, notify.Errorf(outbox.Broken, "%s is not an https URL without user, query and fragment", field)
	}
	if !s.hosts[normal(u.Host)] {
		return nil, notify.Errorf(outbox.Broken, "%s: the controller may not talk to %s; its administrator can allow it with --revert-hosts", field, httpclient.Clean(u.Host, 100))
	}
	return u, nil
}

const atRevert = "spec.strategy.canary.onAbort.revert."

func (s *Service) target(r *Request) (*target, error) {
	u, err := s.place(atRevert+"repository", r.Target.Repository)
	if err != nil {
		return nil, err
	}
	if r.Target.Path = cleanPath(r.Target.Path); r.Target.Path == "" {
		return nil, notify.Errorf(outbox.Broken, "%spath leads out of the repository", atRevert)
	}
	t := &target{Request: r, service: s, name: u.Host + u.Path, url: u}
	switch r.Target.Mode {
	case "", v1alpha1.RevertCommit:
		return t, nil
	case v1alpha1.RevertPullRequest:
		t.pulls, err = s.github(r, u)
		return t, err
	}
	return nil, notify.Errorf(outbox.Broken, "%smode is %q: use commit or pullRequest", atRevert, r.Target.Mode)
}

// cleanPath is a path within a repository; empty for one that leads out of it.
// The top of the repository is ".".
func cleanPath(p string) string {
	p = path.Clean(strings.Trim(p, "/"))
	if p == ".." || strings.HasPrefix(p, "../") {
		return ""
	}
	return p
}

// branchName is the branch of a pull request. It is the same at every try.
func (t *target) branchName(bad *object.Commit) string {
	uid := t.UID[:min(8, len(t.UID))]
	return fmt.Sprintf("sluice/revert-%.12s-%s-%s-%d", bad.Hash, uid, t.Revision, max(t.Attempt, 1))
}

// github is the API for the repository at u.
func (s *Service) github(r *Request, u *url.URL) (*pulls, error) {
	api := ""
	if r.Target.GitHub != nil {
		api = r.Target.GitHub.APIURL
	}
	if api == "" && normal(u.Host) == "github.com" {
		api = "https://api.github.com"
	}
	if api == "" {
		return nil, notify.Errorf(outbox.Broken, "%sgithub.apiURL is needed for pull requests on %s", atRevert, httpclient.Clean(u.Host, 100))
	}
	base, err := s.place(atRevert+"github.apiURL", api)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git"), "/")
	if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
		return nil, notify.Errorf(outbox.Broken, "%srepository is not of the form https://HOST/OWNER/REPOSITORY, which GitHub has", atRevert)
	}
	return &pulls{client: s.client, base: strings.TrimSuffix(base.String(), "/"), owner: parts[0], repo: parts[1], into: r.Target.Branch, credentials: r.Credentials}, nil
}

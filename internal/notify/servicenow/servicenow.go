// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package servicenow records aborted rollouts as incidents in ServiceNow: one
// for each aborted attempt and never two, with the evidence attached, a work
// note when the rollout recovers, and resolved if that is asked for.
//
// An incident is found again by its correlation id, which is made of the
// Rollout's UID, the revision and the attempt. It is looked for before it is
// opened. When a try to open it may still be under way, it is looked for until
// ServiceNow would have ended the request.
package servicenow

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"sluice.dev/sluice/internal/httpclient"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

const who = "ServiceNow"

// settleTime is how long a request whose answer was lost may still have an
// effect. ServiceNow's quota rule ends a REST request after 60 seconds.
const settleTime = 75 * time.Second

// Options are what the ConfigMap says under service.servicenow.
type Options struct {
	// URL of the instance, such as https://example.service-now.com.
	URL string `yaml:"url"`
	// Table the incidents are in. Default: incident.
	Table    string      `yaml:"table"`
	Username string      `yaml:"username"`
	Password secret.Text `yaml:"password"`
	OAuth    *OAuth      `yaml:"oauth"`
	// InsecureSkipVerify accepts any certificate; for test instances.
	InsecureSkipVerify bool `yaml:"insecureSkipVerify"`
}

// OAuth is a client of ServiceNow's token endpoint. With a username and a
// password beside it the password grant is used, else client_credentials.
type OAuth struct {
	ClientID     string      `yaml:"clientID"`
	ClientSecret secret.Text `yaml:"clientSecret"`
	// TokenURL, default: /oauth_token.do of the instance.
	TokenURL string `yaml:"tokenURL"`
	Scope    string `yaml:"scope"`
}

// Section is what a template says under servicenow.
type Section struct {
	// Action is open (the default), note or resolve.
	Action string `yaml:"action"`
	// Fields are columns of the incident.
	Fields map[string]string `yaml:"fields"`
	// DisplayValues says that fields hold names rather than sys_ids.
	DisplayValues bool `yaml:"displayValues"`
	// WorkNote is added to incidents that are open. Default: the message.
	WorkNote string `yaml:"workNote"`
	// CloseCode and CloseNotes go with resolve.
	CloseCode  string `yaml:"closeCode"`
	CloseNotes string `yaml:"closeNotes"`
	// State that means resolved. Default: 6.
	State string `yaml:"state"`
	// NoEvidence leaves the evidence out.
	NoEvidence bool `yaml:"noEvidence"`
}

// A Hub is what outlives a configuration: connections, tokens, and who is at
// work on which incident.
type Hub struct {
	now    func() time.Time
	client *http.Client
	lax    *http.Client

	mu     sync.Mutex
	tokens map[string]token
	busy   map[string]bool
}

// New returns a Hub. now is the clock.
func New(now func() time.Time) *Hub {
	return &Hub{now: now, client: httpclient.New(), lax: httpclient.Insecure(), tokens: map[string]token{}, busy: map[string]bool{}}
}

// NewOver is New with a client of the caller's, whose redirects are guarded.
func NewOver(now func() time.Time, client *http.Client) *Hub {
	h := New(now)
	h.client = httpclient.Guard(client)
	return h
}

// Kind returns ServiceNow as a kind of service.
func (h *Hub) Kind() notify.Kind {
	return notify.Kind{
		Name: "servicenow", Options: func() any { return &Options{} }, Section: func() any { return &Section{} },
		Open: func(options any, secrets []secret.Text) (notify.Service, error) {
			o, ok := options.(*Options)
			if !ok {
				return nil, notify.Errorf(outbox.Broken, "servicenow: options are %T", options)
			}
			return h.open(o, secrets)
		},
	}
}

func (h *Hub) open(o *Options, secrets []secret.Text) (notify.Service, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &service{api{hub: h, opts: *o, base: strings.TrimRight(o.URL, "/"), client: h.client, secrets: secrets}}
	if s.opts.Table == "" {
		s.opts.Table = "incident"
	}
	if o.InsecureSkipVerify {
		s.client = h.lax
	}
	return s, nil
}

// check says what is missing or wrong.
func (o *Options) check() error {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return notify.Errorf(outbox.Broken, "url %q is not the URL of an instance, such as https://example.service-now.com", o.URL)
	}
	if u.Scheme == "http" && !local(u.Hostname()) {
		return notify.Errorf(outbox.Broken, "url %q has no TLS: the password would be sent in the clear; use https", o.URL)
	}
	return o.checkLogin()
}

func (o *Options) checkLogin() error {
	switch {
	case o.OAuth == nil && (o.Username == "" || o.Password.Empty()):
		return notify.Errorf(outbox.Broken, "username and password, or oauth, are needed")
	case o.OAuth != nil && (o.OAuth.ClientID == "" || o.OAuth.ClientSecret.Empty()):
		return notify.Errorf(outbox.Broken, "oauth.clientID and oauth.clientSecret are needed")
	}
	return nil
}

func local(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

type service struct{ api }

// An api is an instance of ServiceNow.
type api struct {
	hub     *Hub
	opts    Options
	base    string
	client  *http.Client
	secrets []secret.Text
}

// Send opens an incident, or adds to those that are open.
func (s *service) Send(ctx context.Context, m *notify.Message) error {
	var section Section
	if _, err := m.Section("servicenow", &section); err != nil {
		return err
	}
	leave, err := s.hub.enter(s.base + " " + m.UID)
	if err != nil {
		return err
	}
	defer leave()
	switch section.Action {
	case "", "open":
		return s.record(ctx, m, &section)
	case "note", "resolve":
		return s.follow(ctx, m, &section)
	}
	return notify.Errorf(outbox.Broken, "servicenow.action is %q in the template: use open, note or resolve", section.Action)
}

// enter keeps two messages about one Rollout apart: each would look for the
// incident, find none, and open one.
func (h *Hub) enter(key string) (leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[key] {
		return nil, notify.Errorf(outbox.Soon, "another message about this Rollout is on its way to ServiceNow")
	}
	h.busy[key] = true
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.busy, key)
	}, nil
}

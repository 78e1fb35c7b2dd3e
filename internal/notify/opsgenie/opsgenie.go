// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package opsgenie raises alerts in Opsgenie, and closes them. An alert that is
// sent again is the same one: it carries an alias.
package opsgenie

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/wire"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

const defaultURL = "https://api.opsgenie.com"

// maxMessage is how long an alert's message may be.
const maxMessage = 130

// Options are what the ConfigMap says under service.opsgenie.
type Options struct {
	APIURL string `yaml:"apiUrl"`
	// APIKeys are keys by recipient, which is a team.
	APIKeys            map[string]secret.Text `yaml:"apiKeys"`
	InsecureSkipVerify bool                   `yaml:"insecureSkipVerify"`
}

// Section is what a template says under opsgenie.
type Section struct {
	// Action is create (the default) or close.
	Action      string            `yaml:"action"`
	Description string            `yaml:"description"`
	Priority    string            `yaml:"priority"`
	Alias       string            `yaml:"alias"`
	Note        string            `yaml:"note"`
	Actions     []string          `yaml:"actions"`
	Tags        []string          `yaml:"tags"`
	Details     map[string]string `yaml:"details"`
	Entity      string            `yaml:"entity"`
	VisibleTo   []map[string]any  `yaml:"visibleTo"`
	User        string            `yaml:"user"`
}

// Kind returns Opsgenie as a kind of service.
func Kind() notify.Kind {
	clients := wire.NewClients()
	return notify.Kind{
		Name: "opsgenie", Options: func() any { return &Options{} }, Section: func() any { return &Section{} },
		Open: func(options any, secrets []secret.Text) (notify.Service, error) {
			o, err := wire.Options[*Options](options)
			if err != nil {
				return nil, err
			}
			if o.APIURL == "" {
				o.APIURL = defaultURL
			}
			if !strings.Contains(o.APIURL, "://") {
				o.APIURL = "https://" + o.APIURL
			}
			return &service{*o, clients.For(o.InsecureSkipVerify), secrets}, nil
		},
	}
}

type service struct {
	opts    Options
	client  *http.Client
	secrets []secret.Text
}

// Send raises an alert, or closes those of the attempts that the message makes
// good.
func (s *service) Send(ctx context.Context, m *notify.Message) error {
	var t Section
	if _, err := m.Section("opsgenie", &t); err != nil {
		return err
	}
	key, ok := s.opts.APIKeys[m.Recipient]
	if !ok || key.Empty() {
		return notify.Errorf(outbox.Broken, "service.opsgenie has no apiKeys.%s, which the subscription names", m.Recipient)
	}
	switch t.Action {
	case "", "create":
		return s.ask(ctx, key, "/v2/alerts", create(m, &t))
	case "close":
		for _, alias := range aliases(m, &t) {
			path := "/v2/alerts/" + url.PathEscape(alias) + "/close?identifierType=alias"
			if err := s.ask(ctx, key, path, map[string]any{"note": cmp.Or(t.Note, m.Text), "source": "Sluice"}); err != nil {
				return err
			}
		}
		return nil
	}
	return notify.Errorf(outbox.Broken, "opsgenie.action is %q in the template: use create or close", t.Action)
}

func (s *service) ask(ctx context.Context, key secret.Text, path string, body map[string]any) error {
	r := &wire.Request{
		Who: "Opsgenie", Method: http.MethodPost, URL: strings.TrimRight(s.opts.APIURL, "/") + path,
		Header:  http.Header{"Authorization": {"GenieKey " + key.Reveal()}},
		Secrets: append(slices.Clip(s.secrets), key),
	}
	if err := r.JSON(body); err != nil {
		return err
	}
	resp, err := wire.Do(ctx, s.client, r)
	if err == nil && !json.Valid(resp.Body) {
		return notify.Errorf(outbox.Later, "Opsgenie answered with something that is not JSON; is apiUrl right?")
	}
	return err
}

func aliases(m *notify.Message, t *Section) []string {
	if t.Alias != "" {
		return []string{t.Alias}
	}
	return m.Ended()
}

func create(m *notify.Message, t *Section) map[string]any {
	out := map[string]any{
		"message": wire.Fit(cmp.Or(m.Text, m.Notice.Message), maxMessage), "alias": cmp.Or(t.Alias, m.Alert()), "source": "Sluice", "entity": cmp.Or(t.Entity, m.Namespace+"/"+m.Name), "description": t.Description,
		"priority": t.Priority, "note": t.Note, "user": t.User, "actions": t.Actions, "tags": t.Tags, "details": t.Details, "visibleTo": t.VisibleTo,
		"responders": []map[string]string{{"type": "team", "name": m.Recipient}},
	}
	data, err := json.Marshal(out)
	if err != nil {
		return out
	}
	out = map[string]any{}
	_ = json.Unmarshal(data, &out) // it was just written
	for k, v := range out {
		if v == nil || v == "" {
			delete(out, k)
		}
	}
	return out
}

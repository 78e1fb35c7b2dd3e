// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pagerduty sends events to PagerDuty, by its Events API v2. An event
// that is sent again is the same alert: it carries a deduplication key.
package pagerduty

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/wire"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

const defaultURL = "https://events.pagerduty.com"

// maxSummary is how long a summary may be.
const maxSummary = 1024

// Options are what the ConfigMap says under service.pagerdutyv2.
type Options struct {
	// ServiceKeys are integration keys by recipient.
	ServiceKeys map[string]secret.Text `yaml:"serviceKeys"`
	// URL of the Events API; https://events.eu.pagerduty.com in Europe.
	URL string `yaml:"url"`
}

// Section is what a template says under pagerdutyv2.
type Section struct {
	// Action is trigger (the default), acknowledge or resolve.
	Action    string `yaml:"action"`
	Summary   string `yaml:"summary"`
	Severity  string `yaml:"severity"`
	Source    string `yaml:"source"`
	Component string `yaml:"component"`
	Group     string `yaml:"group"`
	Class     string `yaml:"class"`
	URL       string `yaml:"url"`
	// DedupKey, default: one for each aborted attempt.
	DedupKey string `yaml:"dedupKey"`
}

// Kind returns PagerDuty as a kind of service.
func Kind() notify.Kind {
	clients := wire.NewClients()
	return notify.Kind{
		Name: "pagerdutyv2", Options: func() any { return &Options{} }, Section: func() any { return &Section{} },
		Open: func(options any, secrets []secret.Text) (notify.Service, error) {
			o, err := wire.Options[*Options](options)
			if err != nil {
				return nil, err
			}
			if o.URL == "" {
				o.URL = defaultURL
			}
			return &service{*o, clients.For(false), secrets}, nil
		},
	}
}

type service struct {
	opts    Options
	client  *http.Client
	secrets []secret.Text
}

type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Client     string   `json:"client,omitempty"`
	ClientURL  string   `json:"client_url,omitempty"`
	Payload    *payload `json:"payload,omitempty"`
}

type payload struct {
	Summary   string `json:"summary"`
	Source    string `json:"source"`
	Severity  string `json:"severity"`
	Timestamp string `json:"timestamp,omitempty"`
	Component string `json:"component,omitempty"`
	Group     string `json:"group,omitempty"`
	Class     string `json:"class,omitempty"`
}

// Send sends one event, or one for each attempt that the message makes good.
func (s *service) Send(ctx context.Context, m *notify.Message) error {
	var t Section
	if _, err := m.Section("pagerdutyv2", &t); err != nil {
		return err
	}
	key, ok := s.opts.ServiceKeys[m.Recipient]
	if !ok || key.Empty() {
		return notify.Errorf(outbox.Broken, "service.pagerdutyv2 has no serviceKeys.%s, which the subscription names", m.Recipient)
	}
	switch t.Action {
	case "", "trigger", "acknowledge", "resolve":
	default:
		return notify.Errorf(outbox.Broken, "pagerdutyv2.action is %q in the template: use trigger, acknowledge or resolve", t.Action)
	}
	for _, dedup := range dedups(m, &t) {
		e := event{RoutingKey: key.Reveal(), Action: cmp.Or(t.Action, "trigger"), DedupKey: dedup}
		if e.Action == "trigger" {
			var err error
			if e.Payload, err = details(m, &t); err != nil {
				return err
			}
			e.Client, e.ClientURL = "Sluice", t.URL
		}
		r := &wire.Request{
			Who: "PagerDuty", Method: http.MethodPost, URL: strings.TrimRight(s.opts.URL, "/") + "/v2/enqueue",
			Secrets: append(slices.Clip(s.secrets), key),
		}
		if err := r.JSON(e); err != nil {
			return err
		}
		if _, err := wire.Do(ctx, s.client, r); err != nil {
			return err
		}
	}
	return nil
}

// dedups are the alerts that the message is about.
func dedups(m *notify.Message, t *Section) []string {
	if t.DedupKey != "" {
		return []string{t.DedupKey}
	}
	if t.Action == "" || t.Action == "trigger" {
		return []string{m.Alert()}
	}
	return m.Ended()
}

var severities = []string{"critical", "error", "warning", "info"}

func details(m *notify.Message, t *Section) (*payload, error) {
	severity := cmp.Or(t.Severity, "error")
	if !slices.Contains(severities, severity) {
		return nil, notify.Errorf(outbox.Broken, "pagerdutyv2.severity is %q in the template: use %s", severity, strings.Join(severities, ", "))
	}
	summary := wire.Fit(cmp.Or(t.Summary, m.Text, m.Notice.Message), maxSummary)
	return &payload{
		Summary: summary, Source: cmp.Or(t.Source, m.Namespace+"/"+m.Name), Severity: severity,
		Timestamp: m.Notice.At.UTC().Format("2006-01-02T15:04:05Z"), Component: t.Component, Group: t.Group, Class: t.Class,
	}, nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package slack posts messages to Slack.
package slack

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"sluice.dev/sluice/internal/httpclient"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/wire"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

const defaultAPI = "https://slack.com/api"

// Options are what the ConfigMap says under service.slack.
type Options struct {
	Token    secret.Text `yaml:"token"`
	Username string      `yaml:"username"`
	Icon     string      `yaml:"icon"`
	APIURL   string      `yaml:"apiURL"`
	// DisableUnfurl leaves links as they are.
	DisableUnfurl      bool `yaml:"disableUnfurl"`
	InsecureSkipVerify bool `yaml:"insecureSkipVerify"`
	// SigningSecret and Channels are for Argo's bot, and have no effect here.
	SigningSecret secret.Text `yaml:"signingSecret"`
	Channels      []string    `yaml:"channels"`
}

// Section is what a template says under slack. Messages are not threaded:
// groupingKey, notifyBroadcast and deliveryPolicy are accepted and have no
// effect.
type Section struct {
	Username        string `yaml:"username"`
	Icon            string `yaml:"icon"`
	Attachments     string `yaml:"attachments"`
	Blocks          string `yaml:"blocks"`
	GroupingKey     string `yaml:"groupingKey"`
	NotifyBroadcast any    `yaml:"notifyBroadcast"`
	DeliveryPolicy  string `yaml:"deliveryPolicy"`
}

// Kind returns Slack as a kind of service.
func Kind() notify.Kind {
	clients := wire.NewClients()
	return notify.Kind{
		Name: "slack", Options: func() any { return &Options{} }, Section: func() any { return &Section{} },
		Open: func(options any, secrets []secret.Text) (notify.Service, error) {
			o, err := wire.Options[*Options](options)
			if err != nil {
				return nil, err
			}
			if o.Token.Empty() {
				return nil, notify.Errorf(outbox.Broken, "token is needed, such as $slack-token")
			}
			if o.APIURL == "" {
				o.APIURL = defaultAPI
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

type post struct {
	Channel     string          `json:"channel"`
	Text        string          `json:"text,omitempty"`
	Username    string          `json:"username,omitempty"`
	IconEmoji   string          `json:"icon_emoji,omitempty"`
	IconURL     string          `json:"icon_url,omitempty"`
	Attachments json.RawMessage `json:"attachments,omitempty"`
	Blocks      json.RawMessage `json:"blocks,omitempty"`
	UnfurlLinks *bool           `json:"unfurl_links,omitempty"`
	UnfurlMedia *bool           `json:"unfurl_media,omitempty"`
}

// Send posts the message to the channel that is its recipient.
func (s *service) Send(ctx context.Context, m *notify.Message) error {
	body, err := s.post(m)
	if err != nil {
		return err
	}
	r := &wire.Request{
		Who: "Slack", Method: http.MethodPost, URL: strings.TrimRight(s.opts.APIURL, "/") + "/chat.postMessage",
		Header: http.Header{"Authorization": {"Bearer " + s.opts.Token.Reveal()}}, Secrets: append(slices.Clip(s.secrets), s.opts.Token),
	}
	if err := r.JSON(body); err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := wire.Do(ctx, s.client, r)
	if err != nil {
		return err
	}
	var answer struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(resp.Body, &answer); err != nil {
		return notify.Errorf(outbox.Later, "Slack answered with something that is not JSON; is apiURL right?")
	}
	if answer.OK {
		return nil
	}
	return notify.Errorf(fate(answer.Error), "Slack refused the message to %q: %s", m.Recipient, httpclient.Clean(answer.Error, 100))
}

// broken are errors that a person has to mend, later those that pass.
var (
	broken = []string{
		"not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired", "missing_scope", "no_permission",
		"channel_not_found", "not_in_channel", "is_archived", "restricted_action", "ekm_access_denied", "team_access_not_granted",
	}
	later = []string{"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)

func fate(code string) outbox.Fate {
	switch {
	case slices.Contains(later, code):
		return outbox.Later
	case slices.Contains(broken, code):
		return outbox.Broken
	}
	return outbox.Refused
}

func (s *service) post(m *notify.Message) (*post, error) {
	var t Section
	if _, err := m.Section("slack", &t); err != nil {
		return nil, err
	}
	if m.Recipient == "" {
		return nil, notify.Errorf(outbox.Broken, "the subscription to Slack names no channel")
	}
	p := &post{Channel: m.Recipient, Text: m.Text, Username: cmp.Or(t.Username, s.opts.Username)}
	icon := cmp.Or(t.Icon, s.opts.Icon)
	switch {
	case strings.HasPrefix(icon, "http://"), strings.HasPrefix(icon, "https://"):
		p.IconURL = icon
	default:
		p.IconEmoji = icon
	}
	if s.opts.DisableUnfurl {
		p.UnfurlLinks, p.UnfurlMedia = new(bool), new(bool)
	}
	var err error
	if p.Attachments, err = wire.Raw("slack.attachments", t.Attachments); err != nil {
		return nil, err
	}
	p.Blocks, err = wire.Raw("slack.blocks", t.Blocks)
	return p, err
}

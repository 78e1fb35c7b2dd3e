// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package googlechat posts messages to spaces of Google Chat.
package googlechat

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/wire"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

// Options are what the ConfigMap says under service.googlechat.
type Options struct {
	// Webhooks are the spaces' URLs, which are secrets, by recipient.
	Webhooks           map[string]secret.Text `yaml:"webhooks"`
	InsecureSkipVerify bool                   `yaml:"insecureSkipVerify"`
}

// Section is what a template says under googlechat.
type Section struct {
	Cards     string `yaml:"cards"`
	CardsV2   string `yaml:"cardsV2"`
	ThreadKey string `yaml:"threadKey"`
}

// Kind returns Google Chat as a kind of service.
func Kind() notify.Kind {
	clients := wire.NewClients()
	return notify.Kind{
		Name: "googlechat", Options: func() any { return &Options{} }, Section: func() any { return &Section{} },
		Open: func(options any, secrets []secret.Text) (notify.Service, error) {
			o, err := wire.Options[*Options](options)
			if err != nil {
				return nil, err
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

// Send posts the message to the space that is its recipient.
func (s *service) Send(ctx context.Context, m *notify.Message) error {
	var t Section
	if _, err := m.Section("googlechat", &t); err != nil {
		return err
	}
	hook := s.opts.Webhooks[m.Recipient]
	u, err := url.Parse(hook.Reveal())
	if hook.Empty() || err != nil {
		return notify.Errorf(outbox.Broken, "service.googlechat has no URL under webhooks.%s, which the subscription names", m.Recipient)
	}
	body, err := message(m, &t)
	if err != nil {
		return err
	}
	if t.ThreadKey != "" {
		q := u.Query()
		q.Set("threadKey", t.ThreadKey)
		q.Set("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD")
		u.RawQuery = q.Encode()
	}
	r := &wire.Request{
		Who: "Google Chat", Method: http.MethodPost, URL: u.String(),
		Secrets: append(slices.Clip(s.secrets), hook, secret.New(u.Query().Get("token")), secret.New(u.Query().Get("key"))),
	}
	if err := r.JSON(body); err != nil {
		return err
	}
	resp, err := wire.Do(ctx, s.client, r)
	if err == nil && !json.Valid(resp.Body) {
		return notify.Errorf(outbox.Later, "Google Chat answered with something that is not JSON; is the URL under webhooks.%s right?", m.Recipient)
	}
	return err
}

func message(m *notify.Message, t *Section) (map[string]any, error) {
	body := map[string]any{}
	for field, text := range map[string]string{"cards": t.Cards, "cardsV2": t.CardsV2} {
		raw, err := wire.Raw("googlechat."+field, text)
		if err != nil {
			return nil, err
		}
		if raw != nil {
			body[field] = raw
		}
	}
	if m.Text != "" || len(body) == 0 {
		body["text"] = m.Text
	}
	return body, nil
}

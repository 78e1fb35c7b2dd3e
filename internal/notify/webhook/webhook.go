// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package webhook sends any HTTP request.
package webhook

import (
	"context"
	"net/http"
	"strings"

	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/wire"
	"sluice.dev/sluice/internal/secret"
)

// IdempotencyHeader carries the message's identity, so that a receiver can tell
// a message that is sent again from another one.
const IdempotencyHeader = "Idempotency-Key"

// Options are what the ConfigMap says under service.webhook.NAME. The fields on
// retries are accepted and not used: the outbox decides when to try again.
type Options struct {
	URL     secret.Text `yaml:"url"`
	Headers []struct {
		Name  string      `yaml:"name"`
		Value secret.Text `yaml:"value"`
	} `yaml:"headers"`
	BasicAuth *struct {
		Username string      `yaml:"username"`
		Password secret.Text `yaml:"password"`
	} `yaml:"basicAuth"`
	InsecureSkipVerify bool `yaml:"insecureSkipVerify"`
	RetryMax           any  `yaml:"retryMax"`
	RetryWaitMin       any  `yaml:"retryWaitMin"`
	RetryWaitMax       any  `yaml:"retryWaitMax"`
}

// Section is what a template says under webhook.NAME.
type Section struct {
	Method string `yaml:"method"`
	Path   string `yaml:"path"`
	Body   string `yaml:"body"`
}

// Kind returns webhooks as a kind of service.
func Kind() notify.Kind {
	clients := wire.NewClients()
	return notify.Kind{
		Name: "webhook", Named: true, Options: func() any { return &Options{} }, Section: func() any { return &Section{} },
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

// Send sends the request of the template, else a POST of the message.
func (s *service) Send(ctx context.Context, m *notify.Message) error {
	var t Section
	said, err := m.Section("webhook", &t, m.Service)
	if err != nil {
		return err
	}
	r := &wire.Request{
		Who: "webhook " + m.Service, Method: http.MethodPost, URL: s.opts.URL.Reveal(), Body: []byte(m.Text),
		Header: http.Header{IdempotencyHeader: {m.Key()}}, Secrets: s.secrets,
	}
	if said {
		r.Body = []byte(t.Body)
		if t.Method != "" {
			r.Method = strings.ToUpper(t.Method)
		}
		if t.Path != "" {
			r.URL = strings.TrimRight(r.URL, "/") + "/" + strings.TrimLeft(t.Path, "/")
		}
	}
	for _, h := range s.opts.Headers {
		r.Header.Set(h.Name, h.Value.Reveal())
	}
	if b := s.opts.BasicAuth; b != nil {
		req := &http.Request{Header: r.Header}
		req.SetBasicAuth(b.Username, b.Password.Reveal())
	}
	_, err = wire.Do(ctx, s.client, r)
	return err
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package teams posts messages to Microsoft Teams: by a Workflows webhook, or by
// an Office connector, which Microsoft has retired.
package teams

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

// Options are what the ConfigMap says under service.teams and
// service.teams-workflows.
type Options struct {
	// RecipientURLs are the webhooks, which are secrets, by recipient.
	RecipientURLs      map[string]secret.Text `yaml:"recipientUrls"`
	InsecureSkipVerify bool                   `yaml:"insecureSkipVerify"`
}

// Section is what a template says under teams and teams-workflows.
type Section struct {
	// Template is the whole body; the rest is then left out.
	Template        string `yaml:"template"`
	Title           string `yaml:"title"`
	Summary         string `yaml:"summary"`
	Text            string `yaml:"text"`
	ThemeColor      string `yaml:"themeColor"`
	Facts           string `yaml:"facts"`
	Sections        string `yaml:"sections"`
	PotentialAction string `yaml:"potentialAction"`
	// AdaptiveCard is the card, for Workflows.
	AdaptiveCard string `yaml:"adaptiveCard"`
}

// Kinds returns the two ways into Teams as kinds of service.
func Kinds() []notify.Kind {
	clients := wire.NewClients()
	var out []notify.Kind
	for _, name := range []string{"teams", "teams-workflows"} {
		out = append(out, notify.Kind{
			Name: name, Options: func() any { return &Options{} }, Section: func() any { return &Section{} },
			Open: func(options any, secrets []secret.Text) (notify.Service, error) {
				o, err := wire.Options[*Options](options)
				if err != nil {
					return nil, err
				}
				return &service{name, *o, clients.For(o.InsecureSkipVerify), secrets}, nil
			},
		})
	}
	return out
}

type service struct {
	kind    string
	opts    Options
	client  *http.Client
	secrets []secret.Text
}

// Send posts the message to the webhook that is its recipient.
func (s *service) Send(ctx context.Context, m *notify.Message) error {
	var t Section
	if _, err := m.Section(s.kind, &t); err != nil {
		return err
	}
	hook := s.opts.RecipientURLs[m.Recipient]
	if hook.Empty() {
		return notify.Errorf(outbox.Broken, "service.%s has no URL under recipientUrls.%s, which the subscription names", s.kind, m.Recipient)
	}
	body, err := s.body(m, &t)
	if err != nil {
		return err
	}
	r := &wire.Request{
		Who: "Teams", Method: http.MethodPost, URL: hook.Reveal(), Body: body, Header: http.Header{"Content-Type": {"application/json"}},
		Secrets: append(slices.Clip(s.secrets), hook),
	}
	resp, err := wire.Do(ctx, s.client, r)
	if err != nil || s.kind != "teams" {
		return err
	}
	// A connector says 200 to what it refuses.
	if words := strings.TrimSpace(string(resp.Body)); words != "1" {
		fate := outbox.Refused
		if strings.Contains(words, "429") {
			fate = outbox.Later
		}
		return notify.Errorf(fate, "Teams refused the message to %q: %s", m.Recipient, httpclient.Clean(words, 200))
	}
	return nil
}

func (s *service) body(m *notify.Message, t *Section) ([]byte, error) {
	if t.Template != "" {
		return wire.Raw(s.kind+".template", t.Template)
	}
	if s.kind == "teams" {
		return card(m, t)
	}
	return adaptive(m, t)
}

// card is the body for a connector.
func card(m *notify.Message, t *Section) ([]byte, error) {
	out := map[string]any{
		"@type": "MessageCard", "context": "https://schema.org/extensions",
		"title": t.Title, "text": cmp.Or(t.Text, m.Text), "summary": cmp.Or(t.Summary, cmp.Or(t.Title, m.Notice.Reason)),
	}
	if t.ThemeColor != "" {
		out["themeColor"] = t.ThemeColor
	}
	var sections []json.RawMessage
	if raw, err := wire.Raw("teams.sections", t.Sections); err != nil {
		return nil, err
	} else if raw != nil {
		if err := json.Unmarshal(raw, &sections); err != nil {
			return nil, notify.Errorf(outbox.Broken, "the template's teams.sections is no list")
		}
	}
	if raw, err := wire.Raw("teams.facts", t.Facts); err != nil {
		return nil, err
	} else if raw != nil {
		sections = append(sections, json.RawMessage(`{"facts":`+string(raw)+`}`))
	}
	if len(sections) > 0 {
		out["sections"] = sections
	}
	if raw, err := wire.Raw("teams.potentialAction", t.PotentialAction); err != nil {
		return nil, err
	} else if raw != nil {
		out["potentialAction"] = raw
	}
	return marshal(out)
}

// adaptive is the body for a workflow.
func adaptive(m *notify.Message, t *Section) ([]byte, error) {
	content, err := wire.Raw("teams-workflows.adaptiveCard", t.AdaptiveCard)
	if err != nil {
		return nil, err
	}
	if content == nil {
		var blocks []any
		if t.Title != "" {
			blocks = append(blocks, map[string]any{"type": "TextBlock", "text": t.Title, "size": "Large", "weight": "Bolder", "wrap": true})
		}
		blocks = append(blocks, map[string]any{"type": "TextBlock", "text": cmp.Or(t.Text, cmp.Or(m.Text, m.Notice.Message)), "wrap": true})
		facts, err := facts(t.Facts)
		if err != nil {
			return nil, err
		}
		if len(facts) > 0 {
			blocks = append(blocks, map[string]any{"type": "FactSet", "facts": facts})
		}
		if content, err = marshal(map[string]any{
			"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": blocks,
		}); err != nil {
			return nil, err
		}
	}
	return marshal(map[string]any{"type": "message", "attachments": []any{
		map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "content": content},
	}})
}

// facts are those of a connector's card, as an adaptive card has them.
func facts(text string) ([]map[string]string, error) {
	raw, err := wire.Raw("teams-workflows.facts", text)
	if err != nil || raw == nil {
		return nil, err
	}
	var in []struct{ Name, Title, Value string }
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, notify.Errorf(outbox.Broken, "the template's teams-workflows.facts is no list of names and values")
	}
	out := make([]map[string]string, 0, len(in))
	for _, f := range in {
		out = append(out, map[string]string{"title": cmp.Or(f.Title, f.Name), "value": f.Value})
	}
	return out, nil
}

func marshal(v any) (json.RawMessage, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, notify.Errorf(outbox.Broken, "encode the message for Teams: %v", err)
	}
	return data, nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/email"
	"sluice.dev/sluice/internal/notify/googlechat"
	"sluice.dev/sluice/internal/notify/opsgenie"
	"sluice.dev/sluice/internal/notify/pagerduty"
	"sluice.dev/sluice/internal/notify/servicenow"
	"sluice.dev/sluice/internal/notify/slack"
	"sluice.dev/sluice/internal/notify/teams"
	"sluice.dev/sluice/internal/notify/webhook"
	"sluice.dev/sluice/internal/outbox"
)

const planted = "a-secret-that-is-planted"

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func kinds() []notify.Kind {
	return append(teams.Kinds(), webhook.Kind(), slack.Kind(), email.Kind(), pagerduty.Kind(), opsgenie.Kind(), googlechat.Kind(),
		servicenow.New(time.Now).Kind())
}

// A request is what a service was sent.
type request struct {
	Method, URI string
	Header      http.Header
	Body        string
}

// A provider is a kind of service as it is configured, what it must be sent for
// the notice of an abort, and how it says yes.
type provider struct {
	config    map[string]string
	name      string // of the service
	recipient string
	want      request // of Header only what is named
	yes       string
	status    int
	// refusals are answers with a status of success that are none.
	refusals map[string]outbox.Fate
}

var providers = map[string]provider{
	"webhook": {
		config: map[string]string{
			"service.webhook.hook": "url: BASE/base/\nheaders:\n- {name: Authorization, value: Bearer $key}\n- {name: Content-Type, value: application/json}\nretryMax: 3\n",
			"template.t":           "message: x\nwebhook:\n  hook:\n    method: PUT\n    path: /events?a=b\n    body: |\n      {\"name\": {{ .rollout.metadata.name | toJson }}}\n",
		},
		name: "hook", yes: "whatever", status: 204,
		want: request{"PUT", "/base/events?a=b", http.Header{"Authorization": {"Bearer " + planted}, "Content-Type": {"application/json"}, "Idempotency-Key": {"sluice:the-uid:7:0"}}, "{\"name\": \"check\\\"out\"}\n"},
	},
	"webhook without a section": {
		config: map[string]string{"service.webhook": "url: BASE\nbasicAuth: {username: sluice, password: $key}\n", "template.t": "message: it is {{ .rollout.status.phase }}\n"},
		name:   "webhook", status: 200,
		want: request{"POST", "/", http.Header{"Authorization": {"Basic c2x1aWNlOmEtc2VjcmV0LXRoYXQtaXMtcGxhbnRlZA=="}}, "it is Degraded"},
	},
	"slack": {
		config: map[string]string{
			"service.slack": "token: $key\nusername: Sluice\nicon: ':sluice:'\napiURL: BASE/api/\ndisableUnfurl: true\n",
			"template.t":    "message: aborted\nslack:\n  groupingKey: x\n  attachments: |\n    [{\"title\": {{ .rollout.metadata.name | toJson }}}]\n",
		},
		name: "slack", recipient: "releases", yes: `{"ok":true}`, status: 200,
		want:     request{"POST", "/api/chat.postMessage", http.Header{"Authorization": {"Bearer " + planted}, "Content-Type": {"application/json; charset=utf-8"}}, `{"channel":"releases","text":"aborted","username":"Sluice","icon_emoji":":sluice:","attachments":[{"title":"check\"out"}],"unfurl_links":false,"unfurl_media":false}`},
		refusals: map[string]outbox.Fate{`{"ok":false,"error":"channel_not_found"}`: outbox.Broken, `{"ok":false,"error":"ratelimited"}`: outbox.Later, `{"ok":false,"error":"invalid_blocks"}`: outbox.Refused, `<html>`: outbox.Later},
	},
	"pagerdutyv2": {
		config: map[string]string{"service.pagerdutyv2": "serviceKeys: {checkout: $key}\nurl: BASE\n", "template.t": "message: aborted\npagerdutyv2:\n  summary: '{{ .notice.message }}'\n  severity: critical\n  url: https://example.com\n"},
		name:   "pagerdutyv2", recipient: "checkout", yes: `{"status":"success"}`, status: 202,
		want: request{"POST", "/v2/enqueue", http.Header{"Content-Type": {"application/json"}}, `{"routing_key":"` + planted + `","event_action":"trigger","dedup_key":"sluice:the-uid:6d5f9c:2","client":"Sluice","client_url":"https://example.com","payload":{"summary":"Rollout aborted","source":"payments/check\"out","severity":"critical","timestamp":"2026-01-02T12:00:00Z"}}`},
	},
	"opsgenie": {
		config: map[string]string{"service.opsgenie": "apiUrl: BASE\napiKeys: {oncall: $key}\n", "template.t": "message: aborted\nopsgenie:\n  priority: P1\n  tags: ['{{ .rollout.metadata.namespace }}']\n  details: {revision: '{{ .notice.revision }}'}\n"},
		name:   "opsgenie", recipient: "oncall", yes: `{"result":"Request will be processed"}`, status: 202,
		want:     request{"POST", "/v2/alerts", http.Header{"Authorization": {"GenieKey " + planted}}, `{"alias":"sluice:the-uid:6d5f9c:2","details":{"revision":"6d5f9c"},"entity":"payments/check\"out","message":"aborted","priority":"P1","responders":[{"name":"oncall","type":"team"}],"source":"Sluice","tags":["payments"]}`},
		refusals: map[string]outbox.Fate{`<html>`: outbox.Later},
	},
	"teams": {
		config: map[string]string{"service.teams": "recipientUrls: {ops: BASE/hook/$key}\n", "template.t": "message: aborted\nteams:\n  title: Aborted\n  themeColor: '#ff0000'\n  facts: |\n    [{\"name\": \"a\", \"value\": \"b\"}]\n"},
		name:   "teams", recipient: "ops", yes: "1", status: 200,
		want:     request{"POST", "/hook/" + planted, http.Header{"Content-Type": {"application/json"}}, `{"@type":"MessageCard","context":"https://schema.org/extensions","sections":[{"facts":[{"name":"a","value":"b"}]}],"summary":"Aborted","text":"aborted","themeColor":"#ff0000","title":"Aborted"}`},
		refusals: map[string]outbox.Fate{"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429": outbox.Later, "Bad payload": outbox.Refused},
	},
	"teams-workflows": {
		config: map[string]string{"service.teams-workflows": "recipientUrls: {ops: 'BASE/workflows/x?sig=$key'}\n", "template.t": "message: aborted\nteams-workflows:\n  title: Aborted\n  facts: |\n    [{\"name\": \"a\", \"value\": \"b\"}]\n"},
		name:   "teams-workflows", recipient: "ops", status: 202,
		want: request{"POST", "/workflows/x?sig=" + planted, nil, `{"attachments":[{"content":{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","body":[{"size":"Large","text":"Aborted","type":"TextBlock","weight":"Bolder","wrap":true},{"text":"aborted","type":"TextBlock","wrap":true},{"facts":[{"title":"a","value":"b"}],"type":"FactSet"}],"type":"AdaptiveCard","version":"1.4"},"contentType":"application/vnd.microsoft.card.adaptive"}],"type":"message"}`},
	},
	"googlechat": {
		config: map[string]string{"service.googlechat": "webhooks: {ops: 'BASE/v1/spaces/x/messages?key=k&token=$key'}\n", "template.t": "message: aborted\ngooglechat:\n  threadKey: '{{ .rollout.metadata.uid }}'\n  cardsV2: '[{\"cardId\":\"1\"}]'\n"},
		name:   "googlechat", recipient: "ops", yes: `{"name":"spaces/x/messages/y"}`, status: 200,
		want:     request{"POST", "/v1/spaces/x/messages?key=k&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD&threadKey=the-uid&token=" + planted, nil, `{"cardsV2":[{"cardId":"1"}],"text":"aborted"}`},
		refusals: map[string]outbox.Fate{`<html>`: outbox.Later},
	},
}

// A stand is a service and a server that plays it.
type stand struct {
	*testing.T
	got    []request
	answer func(http.ResponseWriter)
	url    string
	config *notify.Config
}

func newStand(t *testing.T, p provider) *stand {
	t.Helper()
	s := &stand{T: t, answer: func(w http.ResponseWriter) { w.WriteHeader(p.status); _, _ = io.WriteString(w, p.yes) }}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.got = append(s.got, request{r.Method, r.RequestURI, r.Header, string(body)})
		s.answer(w)
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	data := maps.Clone(p.config)
	for k, v := range data {
		data[k] = strings.ReplaceAll(v, "BASE", srv.URL)
	}
	data["trigger.on-rollout-aborted"] = "- send: [t]\n"
	data["trigger.on-rollout-recovered"] = "- send: [t]\n"
	s.config = notify.Parse("argo-rollouts", data, kinds())
	if len(s.config.Problems) > 0 {
		t.Fatal(s.config.Problems)
	}
	return s
}

func subject(service, recipient string) notify.Subject {
	return notify.Subject{
		Annotations: map[string]string{"notifications.argoproj.io/subscribe.on-rollout-aborted." + service: recipient, "notifications.argoproj.io/subscribe.on-rollout-recovered." + service: recipient},
		Vars: map[string]any{
			"rollout": map[string]any{"metadata": map[string]any{"name": `check"out`, "namespace": "payments", "uid": "the-uid", "annotations": map[string]any{}}, "status": map[string]any{"phase": "Degraded"}},
			"notice":  map[string]any{"message": "Rollout aborted", "revision": "6d5f9c"},
		},
	}
}

// send sends a notice as the controller does.
func (s *stand) send(ctx context.Context, p provider, change ...func(*v1alpha1.Notice)) error {
	s.Helper()
	n := v1alpha1.Notice{Number: 7, Reason: "RolloutAborted", Message: "Rollout aborted", Revision: "6d5f9c", Attempt: 2, At: metav1.NewTime(noon)}
	for _, f := range change {
		f(&n)
	}
	sub := subject(p.name, p.recipient)
	routed, problems := notify.Route([]*notify.Config{s.config}, outbox.Delivery{Notice: n}, sub)
	if len(routed) != 1 || len(problems) > 0 {
		s.Fatalf("routed to %+v, %v", routed, problems)
	}
	service, err := s.config.Open(routed[0].Service, map[string][]byte{"key": []byte(planted + "\n")})
	if err != nil {
		s.Fatal(err)
	}
	m := &notify.Message{Namespace: "payments", Name: `check"out`, UID: "the-uid", Notice: n, Service: routed[0].Service, Recipient: routed[0].Recipient}
	if err := routed[0].Render(m, sub.Vars); err != nil {
		s.Fatal(err)
	}
	err = service.Send(ctx, m)
	if err != nil && strings.Contains(err.Error(), planted) {
		s.Errorf("an error shows a secret: %v", err)
	}
	return err
}

func TestWhatEachServiceIsSent(t *testing.T) {
	t.Parallel()
	for name, p := range providers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t, p)
			if err := s.send(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if len(s.got) != 1 {
				t.Fatalf("got %d requests", len(s.got))
			}
			got := s.got[0]
			header := http.Header{}
			for k := range p.want.Header {
				header[k] = got.Header[k]
			}
			got.Header = header
			if p.want.Header == nil {
				got.Header = nil
			}
			if diff := cmp.Diff(p.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatEachServiceAnswers(t *testing.T) {
	t.Parallel()
	type outcome struct {
		fate      outbox.Fate
		after     time.Duration
		uncertain bool
	}
	status := func(n int, h ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			for i := 0; i+1 < len(h); i += 2 {
				w.Header().Set(h[i], h[i+1])
			}
			w.WriteHeader(n)
			_, _ = io.WriteString(w, "you sent "+planted)
		}
	}
	cases := map[string]struct {
		answer func(http.ResponseWriter)
		want   outcome
	}{
		"400":      {status(400), outcome{fate: outbox.Refused}},
		"401":      {status(401), outcome{fate: outbox.Broken}},
		"403":      {status(403), outcome{fate: outbox.Broken}},
		"404":      {status(404), outcome{fate: outbox.Refused}},
		"429":      {status(429, "Retry-After", "30"), outcome{outbox.Later, 30 * time.Second, false}},
		"500":      {status(500), outcome{fate: outbox.Later, uncertain: true}},
		"503":      {status(503, "Retry-After", "Fri, 02 Jan 2026 12:01:00 GMT", "Date", "Fri, 02 Jan 2026 12:00:00 GMT"), outcome{outbox.Later, time.Minute, true}},
		"redirect": {status(307, "Location", "http://127.0.0.2:1/"), outcome{fate: outbox.Broken}},
		"cut off": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, planted)
			panic(http.ErrAbortHandler)
		}, outcome{fate: outbox.Later, uncertain: true}},
		"huge": {func(w http.ResponseWriter) { _, _ = w.Write(bytes.Repeat([]byte("x"), 2<<20)) }, outcome{fate: outbox.Later, uncertain: true}},
	}
	for name, p := range providers {
		for refusal, fate := range p.refusals {
			t.Run(name+" "+refusal, func(t *testing.T) {
				t.Parallel()
				s := newStand(t, p)
				s.answer = func(w http.ResponseWriter) { _, _ = io.WriteString(w, refusal) }
				if e, _ := errors.AsType[*notify.Error](s.send(t.Context(), p)); e == nil || e.Fate != fate {
					t.Errorf("got %+v, want %s", e, fate)
				}
			})
		}
		for what, tc := range cases {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				s := newStand(t, p)
				s.answer = tc.answer
				e, ok := errors.AsType[*notify.Error](s.send(t.Context(), p))
				if !ok {
					t.Fatal("no error of ours")
				}
				if diff := cmp.Diff(tc.want, outcome{e.Fate, e.After, e.Uncertain}, cmp.AllowUnexported(outcome{})); diff != "" {
					t.Errorf("%s\n%v", diff, e)
				}
			})
		}
	}
}

func TestAServiceThatDoesNotAnswerIsLeft(t *testing.T) {
	t.Parallel()
	for name, p := range providers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t, p)
			release := make(chan struct{})
			defer close(release)
			s.answer = func(http.ResponseWriter) { <-release }
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if e, _ := errors.AsType[*notify.Error](s.send(ctx, p)); e == nil || e.Fate != outbox.Later || !e.Uncertain {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestAlertsAreClosedForEachAttemptThatIsMadeGood(t *testing.T) {
	t.Parallel()
	recovered := func(n *v1alpha1.Notice) {
		n.Reason, n.Recovers, n.Attempt = "RolloutRecovered", []string{"6d5f9c:1", "6d5f9c:2"}, 3
	}
	for name, want := range map[string][]string{
		"pagerdutyv2": {`sluice:the-uid:6d5f9c:1`, `sluice:the-uid:6d5f9c:2`},
		"opsgenie":    {"/v2/alerts/sluice:the-uid:6d5f9c:1/close?identifierType=alias", "/v2/alerts/sluice:the-uid:6d5f9c:2/close?identifierType=alias"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := providers[name]
			p.config = maps.Clone(p.config)
			p.config["template.t"] = "message: healthy\n" + name + ":\n  action: " + map[string]string{"pagerdutyv2": "resolve", "opsgenie": "close"}[name] + "\n"
			s := newStand(t, p)
			if err := s.send(t.Context(), p, recovered); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range s.got {
				var body map[string]any
				if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
					t.Fatal(err)
				}
				if name == "opsgenie" {
					got = append(got, r.URI)
					continue
				}
				if body["event_action"] != "resolve" || body["payload"] != nil {
					t.Errorf("sent %s", r.Body)
				}
				got = append(got, body["dedup_key"].(string))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

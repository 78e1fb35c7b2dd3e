// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package servicenow

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/servicenow/servicenowtest"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/secret"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// A site is a ServiceNow, a clock, and what survives a crash of the sender.
type site struct {
	*testing.T
	server  *servicenowtest.Server
	hub     *Hub
	now     time.Time
	options Options
	// sending is what the sender believes, stored what is on record.
	sending, stored time.Time
}

func newSite(t *testing.T, change ...func(*servicenowtest.Options)) *site {
	t.Helper()
	s := &site{T: t, now: noon}
	o := servicenowtest.Options{Password: "the-password-of-sluice", ClientSecret: "the-secret-of-the-client", Now: func() time.Time { return s.now }}
	for _, f := range change {
		f(&o)
	}
	s.server = servicenowtest.New(o)
	t.Cleanup(s.server.Close)
	s.options = Options{URL: s.server.URL(), Username: "sluice", Password: secret.New("the-password-of-sluice")}
	s.restart()
	return s
}

// restart forgets all that is only in memory.
func (s *site) restart() { s.hub = New(func() time.Time { return s.now }) }

func (s *site) message(reason string, number int64, attempt int32) *notify.Message {
	m := &notify.Message{
		Namespace: "payments", Name: "checkout", UID: "0b5c1f7e-3a0a-4d53-9d5f-6b0f6a8d2d11", Service: "servicenow",
		Notice: v1alpha1.Notice{Number: number, Reason: reason, Message: "Rollout aborted update to revision 2", Revision: "6d5f9c", Attempt: attempt, At: metav1.NewTime(noon)},
		Text:   "error-rate failed 3 times",
		Files: func(context.Context) ([]notify.File, error) {
			return []notify.File{{Name: "analysisrun.json", Type: "application/json", Data: []byte(`{"a":1}`)}, {Name: "evidence.md", Type: "text/markdown", Data: []byte("# why")}}, nil
		},
		SendingSince: s.sending,
	}
	m.Begin = func(ctx context.Context) error {
		s.sending, s.stored = s.now, s.now
		return ctx.Err()
	}
	return m
}

func (s *site) send(ctx context.Context, m *notify.Message) error {
	s.Helper()
	service, err := s.hub.open(&s.options, []secret.Text{secret.New("the-password-of-sluice"), secret.New("the-secret-of-the-client")})
	if err != nil {
		s.Fatal(err)
	}
	err = service.Send(ctx, m)
	e, ok := errors.AsType[*notify.Error](err)
	if err == nil || ok && !e.Uncertain {
		s.sending = time.Time{}
	}
	if err != nil {
		for _, hidden := range []string{"the-password-of-sluice", "the-secret-of-the-client", "token-of-servicenow"} {
			if strings.Contains(err.Error(), hidden) {
				s.Errorf("an error shows a secret: %v", err)
			}
		}
	}
	return err
}

func (s *site) aborted() *notify.Message { return s.message("RolloutAborted", 1, 1) }

func (s *site) must(m *notify.Message) {
	s.Helper()
	if err := s.send(s.Context(), m); err != nil {
		s.Fatal(err)
	}
}

// one checks that there is one incident, whole.
func (s *site) one() servicenowtest.Record {
	s.Helper()
	all := s.server.Incidents()
	if len(all) != 1 {
		s.Fatalf("there are %d incidents, want 1: %+v", len(all), all)
	}
	var names []string
	for _, a := range s.server.Attachments(all[0].ID) {
		names = append(names, a.Name+" "+a.Type+" "+string(a.Data))
	}
	if diff := cmp.Diff([]string{`analysisrun.json application/json {"a":1}`, "evidence.md text/markdown # why"}, names); diff != "" {
		s.Errorf("attachments: %s", diff)
	}
	return all[0]
}

func TestAnAbortOpensAnIncidentWithItsEvidence(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.aborted()
	m.Recipient = "Payments on call"
	m.WithSections(map[string]any{"servicenow": map[string]any{"displayValues": true, "fields": map[string]any{
		"urgency": "1", "impact": 2, "cmdb_ci": "checkout", "u_release": "1.1.0", "description": strings.Repeat("long ", 1000), "category": "",
	}}})
	s.must(m)
	s.must(m)
	got := s.one().Fields
	want := map[string]string{
		"correlation_id": "sluice:0b5c1f7e-3a0a-4d53-9d5f-6b0f6a8d2d11:6d5f9c:1", "correlation_display": "Sluice payments/checkout #1.0",
		"short_description": "Rollout payments/checkout: Rollout aborted update to revision 2", "assignment_group": "Payments on call",
		"urgency": "1", "impact": "2", "cmdb_ci": "checkout", "u_release": "1.1.0", "state": "1",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %q, want %q", k, got[k], v)
		}
	}
	if _, empty := got["category"]; empty || !strings.HasPrefix(got["description"], "long long") {
		t.Errorf("fields are %v", got)
	}
}

func TestARetryThatAbortsAgainIsANewIncident(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.must(s.message("RolloutAborted", 1, 1))
	s.must(s.message("RolloutAborted", 3, 2))
	if n := len(s.server.Incidents()); n != 2 {
		t.Errorf("there are %d incidents, want 2", n)
	}
}

func TestARecoveryIsNotedOnceAndResolvesIfAsked(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"note", "resolve"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.must(s.message("RolloutAborted", 1, 1))
			s.must(s.message("RolloutAborted", 3, 2))
			other := s.message("RolloutAborted", 1, 1)
			other.UID = "another-rollout"
			s.must(other)
			recovered := s.message("RolloutRecovered", 5, 3)
			recovered.WithSections(map[string]any{"servicenow": map[string]any{"action": action, "workNote": "healthy again"}})
			// The answer to the second change is lost: nobody knows whether it arrived.
			s.server.Fail(servicenowtest.Fault{Mode: servicenowtest.CutOff, Method: "PATCH", Times: 2})
			for range 4 {
				_ = s.send(t.Context(), recovered)
			}
			s.must(recovered)
			state := map[string]string{"note": "1", "resolve": "6"}[action]
			for i, inc := range s.server.Incidents() {
				if i == 2 {
					if len(inc.Notes) != 0 || inc.Fields["state"] != "1" {
						t.Errorf("the incident of another Rollout was changed: %+v", inc)
					}
					continue
				}
				if diff := cmp.Diff([]string{"healthy again"}, inc.Notes); diff != "" || inc.Fields["state"] != state {
					t.Errorf("incident %d is in state %s, its notes are %s", i, inc.Fields["state"], diff)
				}
			}
		})
	}
}

func TestARecoveryOfNothingOpensNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.message("RolloutRecovered", 5, 3)
	m.WithSections(map[string]any{"servicenow": map[string]any{"action": "resolve"}})
	s.must(m)
	if n := len(s.server.Incidents()); n != 0 {
		t.Errorf("there are %d incidents", n)
	}
}

// The guide's promise: a crash between sending and recording never opens a
// second incident. The sender dies before, in and after each of its requests.
func TestTheSenderIsKilledTwoHundredTimesBetweenSendingAndRecording(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	kills := 0
	for kills < 200 {
		s := newSite(t)
		for {
			ctx, kill := context.WithCancel(t.Context())
			at, how := random.IntN(6), random.IntN(3)
			tr := &killer{at: int32(at), how: how, kill: kill, server: s.server}
			s.hub.client = &http.Client{Transport: tr}
			err := s.send(ctx, s.aborted())
			kill()
			if tr.killed.Load() {
				kills++
				// Dead before anything could be recorded; what Begin wrote stays.
				s.sending = s.stored
				s.restart()
				s.now = s.now.Add(time.Duration(random.IntN(40)) * time.Second)
				continue
			}
			if err == nil {
				break
			}
			s.now = s.now.Add(10 * time.Second)
		}
		s.server.Release()
		s.one()
		s.server.Close()
	}
	t.Logf("killed %d times", kills)
}

// A killer ends the sender around its at-th request: before it, after it was
// carried out, or while ServiceNow is still at work on it, which then goes on.
type killer struct {
	at, n  int32
	how    int
	kill   func()
	killed atomic.Bool
	server *servicenowtest.Server
}

func (k *killer) RoundTrip(r *http.Request) (*http.Response, error) {
	n := k.n
	k.n++
	if n != k.at {
		return http.DefaultTransport.RoundTrip(r)
	}
	k.killed.Store(true)
	defer k.kill()
	switch {
	case k.how == 0:
		return nil, errors.New("killed before")
	case k.how == 2 && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/incident"):
		// The request is on its way, and arrives whatever becomes of the sender.
		r = r.Clone(context.WithoutCancel(r.Context()))
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		resp.Body.Close()
	}
	return nil, errors.New("killed after")
}

// An incident that ServiceNow opens long after the sender died is waited for.
func TestARequestThatIsStillUnderWayIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Fail(servicenowtest.Fault{Mode: servicenowtest.Slow, Method: "POST", Path: servicenowtest.TablePath, Times: 1})
	ctx, kill := context.WithCancel(t.Context())
	dead := make(chan error, 1)
	go func() { dead <- s.send(ctx, s.aborted()) }()
	for s.server.Slow() == 0 {
		select {
		case err := <-dead:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	kill()
	if err := <-dead; err == nil {
		t.Fatal("it was killed, and has no error")
	}
	if s.sending.IsZero() {
		t.Fatal("nothing is on record")
	}
	s.restart()
	for range 6 {
		s.now = s.now.Add(10 * time.Second)
		err := s.send(t.Context(), s.aborted())
		if e, ok := errors.AsType[*notify.Error](err); !ok || e.After <= 0 || e.After > 15*time.Second {
			t.Fatalf("at %s: got %v, want to be told to wait", s.now, err)
		}
	}
	s.server.Release()
	s.must(s.aborted())
	s.one()
}

func TestARequestThatNeverArrivedIsSentAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.sending = s.now // a crash just after Begin
	s.now = s.now.Add(settleTime - time.Second)
	if err := s.send(t.Context(), s.aborted()); err == nil {
		t.Fatal("it did not wait")
	}
	s.now = s.now.Add(time.Second)
	s.must(s.aborted())
	s.one()
}

func TestNothingIsSentWhenTheBeginningCannotBeRecorded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.aborted()
	m.Begin = func(context.Context) error { return errors.New("conflict") }
	if err := s.send(t.Context(), m); err == nil || len(s.server.Incidents()) != 0 {
		t.Errorf("got %v and %d incidents", err, len(s.server.Incidents()))
	}
}

func TestEveryFailureEndsInOneIncident(t *testing.T) {
	t.Parallel()
	post := servicenowtest.TablePath
	for name, tc := range map[string]struct {
		fault servicenowtest.Fault
		fate  outbox.Fate
		after time.Duration
		want  string
	}{
		"401":                  {servicenowtest.Fault{Mode: servicenowtest.Unauthorized}, outbox.Broken, 0, "401 Unauthorized (the key in the Secret"},
		"403":                  {servicenowtest.Fault{Mode: servicenowtest.Forbidden}, outbox.Broken, 0, "403"},
		"404":                  {servicenowtest.Fault{Mode: servicenowtest.NotFound}, outbox.Refused, 0, "404"},
		"429":                  {servicenowtest.Fault{Mode: servicenowtest.RateLimited, RetryAfter: 17}, outbox.Later, 17 * time.Second, "429"},
		"500 on create":        {servicenowtest.Fault{Mode: servicenowtest.ServerError, Method: "POST", Path: post}, outbox.Later, 0, "500"},
		"502 on create":        {servicenowtest.Fault{Mode: servicenowtest.BadGateway, Method: "POST", Path: post}, outbox.Later, 0, "502"},
		"503":                  {servicenowtest.Fault{Mode: servicenowtest.Away}, outbox.Later, 0, "503"},
		"reset":                {servicenowtest.Fault{Mode: servicenowtest.Reset}, outbox.Later, 0, "did not answer"},
		"hibernating":          {servicenowtest.Fault{Mode: servicenowtest.Asleep}, outbox.Later, 0, "hibernating"},
		"cut off query":        {servicenowtest.Fault{Mode: servicenowtest.CutOff, Method: "GET"}, outbox.Later, 0, "did not answer"},
		"cut off create":       {servicenowtest.Fault{Mode: servicenowtest.CutOff, Method: "POST", Path: post}, outbox.Later, 0, "did not answer"},
		"cut off attachment":   {servicenowtest.Fault{Mode: servicenowtest.CutOff, Path: servicenowtest.AttachmentPath + "/file"}, outbox.Later, 0, "did not answer"},
		"reset attachment":     {servicenowtest.Fault{Mode: servicenowtest.Reset, Method: "POST", Path: servicenowtest.AttachmentPath}, outbox.Later, 0, "did not answer"},
		"everything for query": {servicenowtest.Fault{Mode: servicenowtest.Everything, Method: "GET", Path: post}, "", 0, ""},
		"echo":                 {servicenowtest.Fault{Mode: servicenowtest.Echo}, outbox.Refused, 0, "400"},
		"redirect":             {servicenowtest.Fault{Mode: servicenowtest.Redirect, Location: "http://127.0.0.2:1"}, outbox.Broken, 0, "redirect"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if tc.fault.Mode == servicenowtest.Everything { // there is one, of another Rollout
				other := s.aborted()
				other.UID, other.Files = "another", nil
				s.must(other)
			}
			tc.fault.Times = 1
			s.server.Fail(tc.fault)
			err := s.send(t.Context(), s.aborted())
			e, _ := errors.AsType[*notify.Error](err)
			if tc.want == "" != (err == nil) || e != nil && (e.Fate != tc.fate || e.After != tc.after || !strings.Contains(e.Message, tc.want)) {
				t.Errorf("got %v (%+v), want fate %s and %q", err, e, tc.fate, tc.want)
			}
			if n := len(s.server.Incidents()); tc.fault.Mode == servicenowtest.Everything && n != 2 {
				t.Errorf("the incident of another Rollout was taken for ours: there are %d", n)
			}
			s.server.Clear()
			for n := 0; s.send(t.Context(), s.aborted()) != nil; n++ {
				if n > 20 {
					t.Fatal("it does not go on")
				}
				s.now = s.now.Add(10 * time.Second)
			}
			if tc.fault.Mode != servicenowtest.Everything {
				s.one()
			}
		})
	}
}

func TestASlowServiceIsLeftWhenTheTimeIsOver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Fail(servicenowtest.Fault{Mode: servicenowtest.Hang, Times: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.send(ctx, s.aborted()); err == nil || !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("got %v", err)
	}
	s.must(s.aborted())
	s.one()
}

func TestOAuth(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]string{"client credentials": "", "password": "sluice"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(o *servicenowtest.Options) { o.TokenLife = 10 * time.Minute })
			s.options.Username = user
			s.options.OAuth = &OAuth{ClientID: "client", ClientSecret: secret.New("the-secret-of-the-client")}
			s.must(s.message("RolloutAborted", 1, 1))
			s.must(s.message("RolloutAborted", 2, 2))
			if n := s.server.Count("POST", servicenowtest.TokenPath); n != 1 {
				t.Errorf("%d logins for two messages, want 1", n)
			}
			s.now = s.now.Add(9*time.Minute + 45*time.Second) // near its end
			s.must(s.message("RolloutAborted", 3, 3))
			if n := s.server.Count("POST", servicenowtest.TokenPath); n != 2 {
				t.Errorf("%d logins after the token's end, want 2", n)
			}
			s.server.Revoke()
			s.must(s.message("RolloutAborted", 4, 4))
			if n := s.server.Count("POST", servicenowtest.TokenPath); n != 3 {
				t.Errorf("%d logins after the token was revoked, want 3", n)
			}
			s.options.OAuth = &OAuth{ClientID: "client", ClientSecret: secret.New("the-secret-of-yesterday")}
			if err := s.send(t.Context(), s.message("RolloutAborted", 5, 5)); err == nil || !strings.Contains(err.Error(), "token endpoint answered 401") {
				t.Errorf("with the wrong secret: %v", err)
			}
			if n := len(s.server.Incidents()); n != 4 {
				t.Errorf("there are %d incidents, want 4", n)
			}
		})
	}
}

func TestTwoMessagesAtOnceOpenOneIncident(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	errs := make(chan error, 8)
	service, err := s.hub.open(&s.options, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range cap(errs) {
		m := s.aborted()
		m.Begin = func(context.Context) error { return nil }
		go func() { errs <- service.Send(t.Context(), m) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil && !strings.Contains(err.Error(), "another message about this Rollout") {
			t.Error(err)
		}
	}
	s.one()
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	key := secret.New("x")
	for name, tc := range map[string]struct {
		options Options
		want    string
	}{
		"no url":          {Options{Username: "a", Password: key}, "is not the URL of an instance"},
		"no TLS":          {Options{URL: "http://example.service-now.com", Username: "a", Password: key}, "use https"},
		"no password":     {Options{URL: "https://example.service-now.com", Username: "a"}, "username and password, or oauth"},
		"half of a login": {Options{URL: "https://example.service-now.com", OAuth: &OAuth{ClientID: "a"}}, "oauth.clientSecret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(time.Now).open(&tc.options, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// What the test server stands for: it refuses what ServiceNow would, and more.
func TestTheTestServerIsStrict(t *testing.T) {
	t.Parallel()
	srv := servicenowtest.New(servicenowtest.Options{})
	defer srv.Close()
	ask := func(method, path, body string, change ...func(*http.Request)) int {
		req := httptest.NewRequestWithContext(t.Context(), method, srv.URL()+path, strings.NewReader(body))
		req.RequestURI = ""
		req.SetBasicAuth("sluice", "password")
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Content-Type", "application/json")
		for _, f := range change {
			f(req)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	var got []int
	got = append(
		got,
		ask("POST", servicenowtest.TablePath, `{"short_description":"x"}`),
		ask("POST", servicenowtest.TablePath, `{"assignement_group":"x"}`),
		ask("POST", servicenowtest.TablePath, `{"short_description":"`+strings.Repeat("x", 161)+`"}`),
		ask("POST", servicenowtest.TablePath, `x`),
		ask("POST", servicenowtest.TablePath, `{}`, func(r *http.Request) { r.SetBasicAuth("sluice", "wrong") }),
		ask("POST", servicenowtest.TablePath, `{}`, func(r *http.Request) { r.Header.Set("Accept", "*/*") }),
		ask("GET", servicenowtest.TablePath+"?sysparm_query=a=b", ""),
		ask("GET", servicenowtest.TablePath+"?sysparm_limit=1&sysparm_query=nonsense", ""),
		ask("PATCH", servicenowtest.TablePath+"/nobody", `{}`),
		ask("PATCH", fmt.Sprintf("%s/a%031d", servicenowtest.TablePath, 1), `{"state":"6"}`),
		ask("DELETE", servicenowtest.TablePath, ""),
		ask("POST", servicenowtest.AttachmentPath+"/file?table_name=incident&file_name=x&table_sys_id=nobody", "x"),
	)
	if want := []int{201, 400, 400, 400, 401, 406, 400, 400, 404, 403, 400, 404}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

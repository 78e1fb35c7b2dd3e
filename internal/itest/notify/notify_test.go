// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package notify_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/app"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/servicenow/servicenowtest"
)

const release = `
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: gate, namespace: payments}
spec:
  metrics:
    - name: errors
      interval: 1s
      count: 1
      successCondition: result < 10
      failureCondition: result >= 50
      provider: {datadog: {apiVersion: v2, query: "sum:errors{*}.as_count()"}}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: NAME
  namespace: payments
  annotations: {example.com/on-call: Payments}
spec:
  replicas: 2
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      containers: [{name: checkout, image: "registry.internal/checkout:1"}]
  strategy:
    canary:
      maxSurge: 1
      maxUnavailable: 0
      steps:
        - setWeight: 50
        - analysis: {templates: [{templateName: gate}]}
`

// A stand is a control plane, a Datadog that counts errors, a ServiceNow, and a
// chat.
type stand struct {
	*bed.Bed
	datadog *datadogtest.Server
	snow    *servicenowtest.Server
	chat    *chat
}

// A chat takes webhooks, and may be away.
type chat struct {
	mu   sync.Mutex
	away bool
	got  []string
	url  string
}

func (c *chat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if c.away {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	c.got = append(c.got, string(body))
}

func (c *chat) set(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

func (c *chat) said() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

func newStand(t *testing.T) *stand {
	t.Helper()
	dd, err := datadogtest.New(datadogtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dd.Close() })
	s := &stand{Bed: bed.New(t, cluster.Options{}), datadog: dd, snow: servicenowtest.New(servicenowtest.Options{Password: "the-password-of-servicenow"}), chat: &chat{}}
	t.Cleanup(s.snow.Close)
	web := httptest.NewServer(s.chat)
	t.Cleanup(web.Close)
	s.chat.url = web.URL
	s.Namespace("payments")
	s.Datadog(dd.URL())
	return s
}

// configure applies the example with the addresses of this stand, and more keys.
func (s *stand) configure(more map[string]string) {
	s.Helper()
	text, err := os.ReadFile(filepath.FromSlash("../../../examples/notifications/servicenow.yaml"))
	if err != nil {
		s.Fatal(err)
	}
	s.Apply(string(text), "https://example.service-now.com", s.snow.URL(), "<the password>", "the-password-of-servicenow")
	cm := &corev1.ConfigMap{}
	if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: bed.ControllerNamespace, Name: notify.ConfigMapName}, cm); err != nil {
		s.Fatal(err)
	}
	for k, v := range more {
		cm.Data[k] = strings.ReplaceAll(v, "CHAT", s.chat.url)
	}
	if err := s.Client.Update(s.Context(), cm); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) errors(n float64) { s.datadog.Count("errors", nil, time.Now(), n) }

func (s *stand) image(name, tag string) {
	s.Helper()
	s.Apply(release, "NAME", name, "checkout:1", "checkout:"+tag)
}

func (s *stand) status(name string, change map[string]any) {
	s.Helper()
	data, err := json.Marshal(map[string]any{"status": change})
	if err != nil {
		s.Fatal(err)
	}
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: name}}
	if err := s.Client.Status().Patch(s.Context(), ro, client.RawPatch("application/merge-patch+json", data)); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) aborted(name string, attempt int32) {
	s.Helper()
	s.Eventually(fmt.Sprintf("attempt %d is aborted", attempt), func() error {
		if ro := s.Rollout("payments", name); !ro.Status.Abort || ro.Status.Sluice.Attempt != attempt {
			return fmt.Errorf("it is %s: %s, attempt %d", ro.Status.Phase, ro.Status.Message, ro.Status.Sluice.Attempt)
		}
		return nil
	})
}

// quiet waits until nobody is to be told anything.
func (s *stand) quiet(name string) {
	s.Helper()
	s.Eventually("the outbox is empty", func() error {
		if box := s.Rollout("payments", name).Status.Sluice.Outbox; box != nil && (len(box.Notices) > 0 || len(box.Lanes) > 0) {
			return fmt.Errorf("it holds %+v", box)
		}
		return nil
	})
}

func (s *stand) process(log, leader string) (*bed.Process, string) {
	s.Helper()
	p := s.Process(log, "--loglevel=debug", "--leader-election-lease-duration=1s", "--leader-election-renew-deadline=700ms", "--leader-election-retry-period=150ms")
	return p, s.Led(p, leader)
}

// The guide's promise, whole: ServiceNow is away, the controller is killed while
// it asks, opens and attaches, and in the end there is one incident with the
// failed AnalysisRun, one more for a retry that fails too, and both are resolved
// when the rollout is well.
func TestAnAbortIsOneIncidentWhateverIsKilled(t *testing.T) {
	s := newStand(t)
	s.configure(nil)
	log := filepath.Join(t.TempDir(), "controller.log")
	p, leader := s.process(log, "")
	s.image("checkout", "1")
	s.Phase("payments", "checkout", v1alpha1.RolloutPhaseHealthy)
	s.snow.Fail(servicenowtest.Fault{Mode: servicenowtest.Away, Times: 2})
	s.snow.Fail(servicenowtest.Fault{Mode: servicenowtest.Hang, Method: "GET", Path: servicenowtest.TablePath, Times: 1})
	s.snow.Fail(servicenowtest.Fault{Mode: servicenowtest.Lost, Method: "POST", Path: servicenowtest.TablePath, Times: 1})
	s.snow.Fail(servicenowtest.Fault{Mode: servicenowtest.Lost, Method: "POST", Path: servicenowtest.AttachmentPath, Times: 1})
	s.errors(1000)
	s.image("checkout", "2")
	for _, moment := range []struct {
		what    string
		reached func() bool
	}{
		{"it asks", func() bool { return s.snow.Count("GET", servicenowtest.TablePath) >= 3 }},
		{"it opens", func() bool { return len(s.snow.Incidents()) == 1 }},
		{"it attaches", func() bool {
			return len(s.snow.Incidents()) == 1 && len(s.snow.Attachments(s.snow.Incidents()[0].ID)) >= 1
		}},
	} {
		s.Eventually(moment.what, func() error {
			if !moment.reached() {
				return fmt.Errorf("requests so far: %+v; outbox %+v", s.snow.Requests(), s.Rollout("payments", "checkout").Status.Sluice)
			}
			return nil
		})
		p.Kill()
		p, leader = s.process(log, leader)
	}
	s.aborted("checkout", 1)
	s.quiet("checkout")
	one := s.snow.Incidents()
	if len(one) != 1 {
		t.Fatalf("there are %d incidents after the abort, want 1: %+v", len(one), one)
	}
	ro := s.Rollout("payments", "checkout")
	f := one[0].Fields
	if f["correlation_id"] != fmt.Sprintf("sluice:%s:%s:1", ro.UID, ro.Status.CurrentPodHash) || f["assignment_group"] != "Payments" || f["urgency"] != "1" ||
		!strings.Contains(f["description"], "Image:     registry.internal/checkout:2") || !strings.Contains(f["description"], "metric errors") {
		t.Errorf("the incident is %v", f)
	}
	files := s.snow.Attachments(one[0].ID)
	var run v1alpha1.AnalysisRun
	if len(files) != 2 || json.Unmarshal(files[0].Data, &run) != nil || run.Status.Phase != v1alpha1.AnalysisPhaseFailed || len(run.Status.MetricResults) != 1 {
		t.Fatalf("the evidence is %d files, the run is %s", len(files), run.Status.Phase)
	}
	if page := string(files[1].Data); !strings.HasSuffix(files[1].Name, ".html") || !strings.Contains(page, "registry.internal/checkout:2") || !strings.Contains(page, "errors") {
		t.Errorf("the record %s does not say what was released and what failed", files[1].Name)
	}

	s.status("checkout", map[string]any{"abort": false})
	s.aborted("checkout", 2)
	s.quiet("checkout")
	two := s.snow.Incidents()
	if len(two) != 2 || !slices.Equal(two[0].Notes, []string{"Retrying rollout after abort, attempt 2"}) {
		t.Fatalf("after a retry that aborts again there are %+v", two)
	}
	s.image("checkout", "1") // a revert
	s.Phase("payments", "checkout", v1alpha1.RolloutPhaseHealthy)
	s.quiet("checkout")
	for i, inc := range s.snow.Incidents() {
		if inc.Fields["state"] != "6" || len(inc.Notes) != 2-i {
			t.Errorf("incident %d is in state %s with the notes %q", i+1, inc.Fields["state"], inc.Notes)
		}
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "the-password-of-servicenow") {
		t.Error("the log shows the password")
	}
}

// A chat that is away keeps no incident from being opened, and is told
// everything in order when it is back.
func TestAnOutageOfOneServiceDelaysThatServiceOnly(t *testing.T) {
	s := newStand(t)
	s.configure(map[string]string{
		"service.webhook.chat": "url: CHAT\n", "service.broken": "x: y\n",
		"trigger.on-rollout-updated": "- send: [line]\n", "trigger.on-rollout-step-completed": "- send: [line]\n", "trigger.on-analysis-run-failed": "- send: [line]\n",
		"trigger.on-rollout-aborted": "- send: [incident, line]\n", "template.line": "webhook: {chat: {body: '{{.notice.reason}}'}}\n",
	})
	s.Controller(func(c *app.Config) { c.ErrorBackoff = time.Second })
	s.image("orders", "1")
	s.Phase("payments", "orders", v1alpha1.RolloutPhaseHealthy)
	ro := s.Rollout("payments", "orders")
	ro.Annotations["notifications.argoproj.io/subscribe.on-rollout-updated.chat"] = ""
	for _, trigger := range []string{"on-rollout-step-completed", "on-analysis-run-failed", "on-rollout-aborted"} {
		ro.Annotations["notifications.argoproj.io/subscribe."+trigger+".chat"] = ""
	}
	s.Eventually("it is subscribed", func() error {
		now := s.Rollout("payments", "orders")
		now.Annotations = ro.Annotations
		return s.Client.Update(s.Context(), now)
	})
	s.chat.set(true)
	s.errors(1000)
	s.Eventually("the new image is asked for", func() error {
		now := s.Rollout("payments", "orders")
		now.Spec.Template.Spec.Containers[0].Image = "registry.internal/checkout:2"
		return s.Client.Update(s.Context(), now)
	})
	s.aborted("orders", 1)
	s.Eventually("there is an incident", func() error {
		if n := len(s.snow.Incidents()); n != 1 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	if got := s.chat.said(); len(got) != 0 {
		t.Errorf("the chat that was away got %q", got)
	}
	s.chat.set(false)
	s.quiet("orders")
	if want, got := []string{"RolloutUpdated", "RolloutStepCompleted", "AnalysisRunFailed", "RolloutAborted"}, s.chat.said(); !slices.Equal(got, want) {
		t.Errorf("the chat was told %q, want %q", got, want)
	}
	s.Eventually("the broken key is named in an event", func() error {
		var list corev1.EventList
		if err := s.Client.List(s.Context(), &list, client.InNamespace(bed.ControllerNamespace)); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.InvolvedObject.Kind == "ConfigMap" && strings.Contains(e.Message, "key service.broken") {
				return nil
			}
		}
		return fmt.Errorf("%d events, none of them", len(list.Items))
	})
}

// What a recipient refuses is given up, and the Rollout says so until the next
// release.
func TestWhatIsGivenUpIsVisible(t *testing.T) {
	s := newStand(t)
	s.snow.Fail(servicenowtest.Fault{Mode: servicenowtest.Away})
	s.configure(nil)
	s.Controller(func(c *app.Config) { c.Notifications.MaxAge = 2 * time.Second })
	s.image("cart", "1")
	s.Phase("payments", "cart", v1alpha1.RolloutPhaseHealthy)
	s.errors(1000)
	s.image("cart", "2")
	s.aborted("cart", 1)
	condition := func() *v1alpha1.RolloutCondition {
		for _, c := range s.Rollout("payments", "cart").Status.Conditions {
			if c.Type == v1alpha1.RolloutNotified {
				return &c
			}
		}
		return nil
	}
	s.Eventually("the condition says so", func() error {
		c := condition()
		if c == nil || c.Status != corev1.ConditionFalse || !strings.Contains(c.Message, "servicenow: was not told of RolloutAborted (notice") || !strings.Contains(c.Message, "503") {
			return fmt.Errorf("it is %+v", c)
		}
		return nil
	})
	s.quiet("cart")
	s.snow.Clear()
	s.image("cart", "1")
	s.Phase("payments", "cart", v1alpha1.RolloutPhaseHealthy)
	s.Eventually("it goes away", func() error {
		if c := condition(); c != nil {
			return fmt.Errorf("it is %+v", c)
		}
		return nil
	})
}

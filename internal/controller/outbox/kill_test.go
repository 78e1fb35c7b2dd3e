// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/servicenow"
	"sluice.dev/sluice/internal/notify/servicenow/servicenowtest"
	"sluice.dev/sluice/internal/notify/webhook"
	"sluice.dev/sluice/internal/observe"
	core "sluice.dev/sluice/internal/outbox"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

var errKilled = errors.New("killed")

// A stand is an API server, a ServiceNow and a chat, a clock, and a controller
// that is killed after a number of writes and messages.
type stand struct {
	*testing.T
	api  client.WithWatch
	snow *servicenowtest.Server
	now  time.Time
	cm   map[string]string

	mu   sync.Mutex
	chat []string
	// left is how many things happen before the controller dies; after says that
	// the last of them still happens.
	left  int
	after bool
	dead  bool
	kill  func()
	// lasting says that a request which was sent is at its end before the next
	// controller lives: it has the time of a lease for that.
	lasting bool
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{T: t, now: noon, snow: servicenowtest.New(servicenowtest.Options{})}
	t.Cleanup(s.snow.Close)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if dies, happens := s.step(); dies {
			if happens {
				s.say(string(body))
			}
			panic(http.ErrAbortHandler)
		}
		s.say(string(body))
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(web.Close)
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	owner := func(o client.Object) []string {
		if ref := metav1.GetControllerOf(o); ref != nil {
			return []string{string(ref.UID)}
		}
		return nil
	}
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "checkout", UID: "the-uid"}}
	ro.Status.CurrentPodHash = "new"
	ro.Status.Sluice = &v1alpha1.SluiceStatus{Attempt: 1}
	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "run"}, Status: v1alpha1.AnalysisRunStatus{Phase: v1alpha1.AnalysisPhaseFailed}}
	s.api = fake.NewClientBuilder().WithScheme(scheme).WithObjects(ro, run).WithStatusSubresource(&v1alpha1.Rollout{}).
		WithIndex(&appsv1.ReplicaSet{}, observe.IndexOwner, owner).WithIndex(&v1alpha1.AnalysisRun{}, observe.IndexOwner, owner).Build()
	s.cm = map[string]string{
		"service.servicenow": "url: " + s.snow.URL() + "\nusername: sluice\npassword: $password\n", "service.webhook.chat": "url: " + web.URL + "\n",
		"template.open": "message: it failed\nservicenow: {}\n", "template.over": "message: it is well\nservicenow: {action: resolve}\n",
		"template.line":              "webhook: {chat: {body: '{{ .notice.number }} {{ .notice.reason }}'}}\n",
		"trigger.on-rollout-aborted": "- send: [open, line]\n", "trigger.on-rollout-recovered": "- send: [over, line]\n", "trigger.on-rollout-retry": "- send: [line]\n",
		"subscriptions": "- recipients: [servicenow, chat]\n  triggers: [on-rollout-aborted, on-rollout-recovered]\n- recipients: [chat]\n  triggers: [on-rollout-retry]\n",
	}
	return s
}

func (s *stand) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chat = append(s.chat, text)
}

// step counts what happens, and reports whether the controller dies at it, and
// whether it happens all the same.
func (s *stand) step() (dies, happens bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return true, false
	}
	if s.left--; s.left >= 0 {
		return false, true
	}
	s.dead = true
	s.kill()
	return true, s.after
}

// RoundTrip carries a request to ServiceNow.
func (s *stand) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.lasting {
		r = r.WithContext(context.WithoutCancel(r.Context()))
	}
	if strings.Contains(r.URL.Host, s.snow.URL()[len("http://"):]) {
		if dies, happens := s.step(); dies {
			if happens {
				if resp, err := http.DefaultTransport.RoundTrip(r.WithContext(context.WithoutCancel(r.Context()))); err == nil {
					resp.Body.Close()
				}
			}
			return nil, errKilled
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// controller returns a controller that knows nothing but what is stored.
func (s *stand) controller() *Reconciler {
	s.Helper()
	hub := servicenow.NewOver(func() time.Time { return s.now }, &http.Client{Transport: s})
	kinds := []notify.Kind{hub.Kind(), webhook.Kind()}
	book := &Book{Namespace: "argo-rollouts", Kinds: kinds, Clock: clocktesting.NewFakePassiveClock(s.now)}
	book.read(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "argo-rollouts"}, Data: s.cm})
	if p := book.books["argo-rollouts"].Problems; len(p) > 0 {
		s.Fatal(p)
	}
	cl := interceptor.NewClient(s.api, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			dies, happens := s.step()
			if !dies || happens {
				if err := c.SubResource(sub).Patch(context.WithoutCancel(ctx), obj, patch, opts...); err != nil {
					return err
				}
			}
			if dies {
				return errKilled
			}
			return nil
		},
	})
	return &Reconciler{
		Cached: s.api, Live: s.api, Client: cl, Book: book, Clock: clocktesting.NewFakePassiveClock(s.now),
		Secrets: func(context.Context, string, string) (map[string][]byte, error) {
			return map[string][]byte{"password": []byte("password")}, nil
		},
		Options: Options{MaxAge: 100 * time.Hour, Random: func() float64 { return 0.5 }},
	}
}

func (s *stand) rollout() *v1alpha1.Rollout {
	s.Helper()
	ro := &v1alpha1.Rollout{}
	if err := s.api.Get(s.Context(), client.ObjectKey{Namespace: "payments", Name: "checkout"}, ro); err != nil {
		s.Fatal(err)
	}
	return ro
}

// happens stores an event, as a pass of the rollout does.
func (s *stand) happens(phase v1alpha1.RolloutPhase, events ...core.Event) {
	s.Helper()
	before := s.rollout()
	after := before.DeepCopy()
	after.Status.Phase = phase
	core.Add(before, after, events, func(string) bool { return true }, s.now)
	if err := s.api.Status().Patch(s.Context(), after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		s.Fatal(err)
	}
}

// live lets a controller live until it dies, or has nothing to do. It reports
// whether it died.
func (s *stand) live(steps int, after bool) bool {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	s.mu.Lock()
	s.left, s.after, s.dead, s.kill = steps, after, false, cancel
	s.mu.Unlock()
	r := s.controller()
	for range 50 {
		result, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "payments", Name: "checkout"}})
		s.mu.Lock()
		dead := s.dead
		s.mu.Unlock()
		if dead {
			return true
		}
		if err == nil && result.RequeueAfter == 0 {
			return false
		}
		s.now = s.now.Add(max(result.RequeueAfter, time.Second))
		r.Clock = clocktesting.NewFakePassiveClock(s.now)
	}
	s.Fatalf("the controller does not come to rest: %+v", s.rollout().Status.Sluice.Outbox)
	return false
}

// The controller is killed two hundred times: before and after each request and
// each write. There is one incident for each abort, closed once, and the chat
// hears everything at least once and in order.
func TestTheControllerIsKilledTwoHundredTimes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	kills := 0
	for kills < 200 {
		s := newStand(t)
		s.lasting = true
		aborted := core.Event{Reason: "RolloutAborted", Message: "aborted", Run: "run"}
		stories := []func(){
			func() { s.happens(v1alpha1.RolloutPhaseDegraded, aborted) },
			func() {
				s.happens(v1alpha1.RolloutPhaseProgressing, core.Event{Reason: "RolloutRetry", Message: "retry"})
			},
			func() { s.happens(v1alpha1.RolloutPhaseHealthy) },
		}
		for _, story := range stories {
			story()
			for n := 0; n < 6 && s.live(random.IntN(9), random.IntN(2) == 0); n++ {
				kills++
				s.now = s.now.Add(time.Duration(random.IntN(30)) * time.Second)
			}
		}
		if s.live(1000, true) {
			t.Fatal("it died of nothing")
		}
		s.judge()
		if t.Failed() {
			return
		}
	}
	t.Logf("killed %d times", kills)
}

func (s *stand) judge() {
	s.Helper()
	all := s.snow.Incidents()
	if len(all) != 1 || all[0].Fields["state"] != "6" || len(all[0].Notes) != 1 {
		s.Errorf("the incidents are %+v", all)
		return
	}
	if files := s.snow.Attachments(all[0].ID); len(files) != 1 || files[0].Name != "analysisrun-run.json" {
		s.Errorf("the evidence is %d files", len(files))
	}
	heard := slices.Compact(slices.Clone(s.chat))
	if want := []string{"1 RolloutAborted", "2 RolloutRetry", "3 RolloutRecovered"}; !slices.Equal(heard, want) {
		s.Errorf("the chat heard %q", s.chat)
	}
	if box := s.rollout().Status.Sluice.Outbox; len(box.Notices)+len(box.Lanes)+len(box.Dead) > 0 {
		s.Errorf("the outbox holds %+v", box)
	}
}

// A request that a dead controller sent, and that ServiceNow is still at work on,
// is waited for by the next one.
func TestARequestOfADeadControllerIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.happens(v1alpha1.RolloutPhaseDegraded, core.Event{Reason: "RolloutAborted"})
	s.left, s.kill = 1<<30, func() {}
	s.snow.Fail(servicenowtest.Fault{Mode: servicenowtest.Slow, Method: "POST", Times: 1})
	req := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "payments", Name: "checkout"}}
	ctx, kill := context.WithCancel(t.Context())
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		_, _ = s.controller().Reconcile(ctx, req) // it dies
	}()
	for s.snow.Slow() == 0 {
		select {
		case <-dead:
			t.Fatal("it ended before it was killed")
		case <-time.After(time.Millisecond):
		}
	}
	kill()
	<-dead
	for range 3 {
		s.now = s.now.Add(20 * time.Second)
		if result, err := s.controller().Reconcile(t.Context(), req); err != nil || result.RequeueAfter <= 0 {
			t.Fatalf("got %+v, %v, want to be told to wait", result, err)
		}
	}
	s.snow.Release()
	s.live(1<<30, true)
	if all := s.snow.Incidents(); len(all) != 1 {
		t.Errorf("there are %d incidents", len(all))
	}
}

// What is wrong with a status write does not send a message again.
func TestAMessageIsNotSentAgainWhenItCannotBeRecorded(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.cm["subscriptions"] = "- recipients: [chat]\n  triggers: [on-rollout-aborted]\n"
	s.happens(v1alpha1.RolloutPhaseDegraded, core.Event{Reason: "RolloutAborted"})
	s.left, s.kill = 1<<30, func() {}
	r := s.controller()
	refused := 0
	r.Client = interceptor.NewClient(s.api, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			if refused++; refused <= 3 {
				return errors.New("a webhook says no")
			}
			return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
		},
	})
	req := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "payments", Name: "checkout"}}
	for n := range 4 {
		if _, err := r.Reconcile(t.Context(), req); (err != nil) != (n < 3) {
			t.Errorf("pass %d: %v", n, err)
		}
	}
	if len(s.chat) != 1 || len(s.rollout().Status.Sluice.Outbox.Notices) != 0 {
		t.Errorf("the chat heard %q, and the outbox holds %+v", s.chat, s.rollout().Status.Sluice.Outbox)
	}
}

func TestAbortsGoFirst(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.happens(v1alpha1.RolloutPhaseDegraded, core.Event{Reason: "RolloutAborted"})
	s.left, s.kill = 1<<30, func() {}
	r := s.controller()
	busy := true
	r.Busy = func() bool { return busy }
	req := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "payments", Name: "checkout"}}
	if result, err := r.Reconcile(t.Context(), req); err != nil || result.RequeueAfter != standBack || len(s.snow.Requests()) != 0 {
		t.Errorf("got %+v, %v, and %d requests", result, err, len(s.snow.Requests()))
	}
	busy = false
	if _, err := r.Reconcile(t.Context(), req); err != nil || len(s.snow.Incidents()) != 1 {
		t.Errorf("got %v and %d incidents", err, len(s.snow.Incidents()))
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/rollout"
)

// A bed runs a Reconciler against a fake API server inside a bubble of its own
// time. The provider is scripted: what query it is asked for, which is the key
// of scripts, gives one answer after the other.
type bed struct {
	t       *testing.T
	client  client.Client
	r       *Reconciler
	queue   chan types.NamespacedName
	cancel  context.CancelFunc
	events  *events.FakeRecorder
	patch   func(n int) error // what the n-th write comes to, from 1
	onPatch func(client.Client)

	mu       sync.Mutex
	scripts  map[string]string
	asked    map[string][]time.Duration
	start    time.Time
	busy     map[string]int
	overlap  bool
	writes   int
	stored   int
	verdicts []post
	secrets  map[string]map[string][]byte
	hang     map[string]chan struct{}
}

// A post is a verdict, and how much was stored when it came.
type post struct {
	rollout.Verdict
	owner  types.NamespacedName
	uid    types.UID
	stored int
	after  time.Duration
}

var runKey = types.NamespacedName{Namespace: "payments", Name: "checkout-1"}

// bubble runs f with a bed.
func bubble(t *testing.T, f func(t *testing.T, b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bed{
			t: t, queue: make(chan types.NamespacedName, 1000), events: events.NewFakeRecorder(100), start: time.Now(),
			scripts: map[string]string{}, asked: map[string][]time.Duration{}, busy: map[string]int{}, hang: map[string]chan struct{}{},
			secrets: map[string]map[string][]byte{},
		}
		scheme := runtime.NewScheme()
		if err := v1alpha1.AddToScheme(scheme); err != nil {
			t.Fatal(err)
		}
		if err := corev1.AddToScheme(scheme); err != nil {
			t.Fatal(err)
		}
		b.client = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{Patch: b.intercept}).Build()
		b.boot()
		defer b.halt()
		f(t, b)
	})
}

// boot starts a controller; halt stops it, as a crash would.
func (b *bed) boot() {
	b.r = New(Deps{
		Client: b.client, Live: b.client, Clock: clock.RealClock{}, Recorder: b.events, Verdicts: b,
		Registry: metric.NewRegistry(metric.Define("datadog", b.open)),
		Env:      metric.Env{Secrets: b.secret},
	})
	ctx, cancel := context.WithCancel(b.t.Context())
	b.cancel = cancel
	push := func(name types.NamespacedName, after time.Duration) {
		time.AfterFunc(after, func() {
			if ctx.Err() == nil {
				b.queue <- name
			}
		})
	}
	b.r.wake = func(name types.NamespacedName, after time.Duration, _ bool) { push(name, after) }
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case name := <-b.queue:
				res, err := b.r.Reconcile(ctx, reconcile.Request{NamespacedName: name})
				switch {
				case err != nil:
					push(name, time.Second)
				case res.RequeueAfter > 0:
					push(name, res.RequeueAfter)
				}
			}
		}
	}()
}

func (b *bed) halt() {
	b.cancel()
	synctest.Wait()
	for len(b.queue) > 0 {
		<-b.queue
	}
}

func (b *bed) reboot() {
	b.halt()
	b.boot()
	b.queue <- runKey
}

// after lets d pass.
func (b *bed) after(d time.Duration) *v1alpha1.AnalysisRun {
	b.t.Helper()
	<-time.After(d)
	synctest.Wait()
	return b.run()
}

func (b *bed) run() *v1alpha1.AnalysisRun {
	b.t.Helper()
	run := &v1alpha1.AnalysisRun{}
	if err := b.client.Get(b.t.Context(), runKey, run); err != nil {
		b.t.Fatal(err)
	}
	return run
}

func (b *bed) create(objs ...client.Object) {
	b.t.Helper()
	for _, obj := range objs {
		if err := b.client.Create(b.t.Context(), obj); err != nil {
			b.t.Fatal(err)
		}
	}
	b.queue <- runKey
	synctest.Wait()
}

func (b *bed) change(change func(*v1alpha1.AnalysisRun)) {
	b.t.Helper()
	run := b.run()
	change(run)
	if err := b.client.Update(b.t.Context(), run); err != nil {
		b.t.Fatal(err)
	}
	b.queue <- runKey
	synctest.Wait()
}

func (b *bed) intercept(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	b.mu.Lock()
	b.writes++
	n, decide, before := b.writes, b.patch, b.onPatch
	b.onPatch = nil
	b.mu.Unlock()
	if before != nil {
		before(c)
	}
	if decide != nil {
		if err := decide(n); err != nil {
			return err
		}
	}
	err := c.Patch(ctx, obj, patch, opts...)
	if err == nil {
		b.mu.Lock()
		b.stored++
		b.mu.Unlock()
	}
	return err
}

// refuse makes writes come to what decide says; nil lets them through.
func (b *bed) refuse(decide func(n int) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.patch = decide
}

// overtake has f done just before the next write.
func (b *bed) overtake(f func(client.Client)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onPatch = f
}

// Yield does not wait: nothing else is going on here.
func (b *bed) Yield(context.Context) {}

// Post takes down a verdict.
func (b *bed) Post(_ context.Context, owner types.NamespacedName, uid types.UID, v rollout.Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.verdicts = append(b.verdicts, post{v, owner, uid, b.stored, time.Since(b.start)})
}

func (b *bed) secret(_ context.Context, namespace, name string) (map[string][]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.secrets[namespace+"/"+name]
	if !ok {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	}
	return data, nil
}

// open makes a scripted source. The letters are S 0, B 0.02, F 0.08, N no data,
// E an error, D a denied request, P a panic, and G a grouped answer.
func (b *bed) open(_ metric.Env, c v1alpha1.DatadogMetric) (metric.Source, error) {
	if c.Formula != "" {
		return nil, metric.Errorf(metric.Misconfigured, "provider.datadog: formula needs queries")
	}
	return probed{b, c.Query}, nil
}

type probed struct {
	b     *bed
	query string
}

func (p probed) Measure(ctx context.Context, at time.Time) (metric.Reading, error) {
	b := p.b
	b.mu.Lock()
	n := len(b.asked[p.query])
	b.asked[p.query] = append(b.asked[p.query], time.Since(b.start).Truncate(100*time.Millisecond))
	b.busy[p.query]++
	b.overlap = b.overlap || b.busy[p.query] > 1
	script, hang := b.scripts[p.query], b.hang[p.query]
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.busy[p.query]--
		b.mu.Unlock()
	}()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return metric.Reading{}, ctx.Err()
		}
	}
	letter := byte('S')
	if n < len(script) {
		letter = script[n]
	}
	reading := metric.Reading{Window: metric.Window{From: at.Add(-5 * time.Minute), To: at}, Query: p.query}
	switch letter {
	case 'S':
		reading.Value = 0.0
	case 'B':
		reading.Value = 0.02
	case 'F':
		reading.Value = 0.08
	case 'N':
		reading.NoData = "query hits returned nothing"
	case 'G':
		reading.Value, reading.Notes = 0.0, map[string]string{"groups": "[1]", "zero": "errors"}
	case 'P':
		panic("nil map")
	case 'D':
		return metric.Reading{}, &metric.Error{Class: metric.Unauthorized, Status: 403, Message: "403 from https://api.datadoghq.eu for " + p.query}
	default:
		return metric.Reading{}, metric.Errorf(metric.Unavailable, "503 from https://api.datadoghq.eu")
	}
	return reading, nil
}

// gate is the guide's error rate, asked for with query.
func gate(name, query string) v1alpha1.Metric {
	return v1alpha1.Metric{
		Name: name, InitialDelay: "60s", Interval: "60s", Count: new(intstr.FromInt32(5)), FailureLimit: new(intstr.FromInt32(2)),
		SuccessCondition: "result < 0.01", FailureCondition: "result >= 0.05",
		Provider: v1alpha1.MetricProvider{Datadog: &v1alpha1.DatadogMetric{Query: query}},
	}
}

func analysisRun(metrics ...v1alpha1.Metric) *v1alpha1.AnalysisRun {
	return &v1alpha1.AnalysisRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: runKey.Namespace, Name: runKey.Name, UID: "run-uid"},
		Spec:       v1alpha1.AnalysisRunSpec{Metrics: metrics},
	}
}

// owned makes run a run of the Rollout checkout.
func owned(run *v1alpha1.AnalysisRun) *v1alpha1.AnalysisRun {
	run.OwnerReferences = []metav1.OwnerReference{{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "checkout", UID: "ro-uid", Controller: new(true)}}
	return run
}

func checkout() *v1alpha1.Rollout {
	return &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: runKey.Namespace, Name: "checkout", UID: "ro-uid"}}
}

// summary is a run in one line.
func summary(run *v1alpha1.AnalysisRun) string {
	out := string(run.Status.Phase)
	for i := range run.Status.MetricResults {
		r := &run.Status.MetricResults[i]
		out += fmt.Sprintf(", %s %s S%d F%d I%d E%d of %d", r.Name, r.Phase, r.Successful, r.Failed, r.Inconclusive, r.Error, r.Count)
	}
	return out
}

func (b *bed) wants(run *v1alpha1.AnalysisRun, want string) {
	b.t.Helper()
	if got := summary(run); got != want {
		b.t.Errorf("run is %q, want %q (message %q)", got, want, run.Status.Message)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/api/v1alpha1"
	record "sluice.dev/sluice/internal/evidence"
	"sluice.dev/sluice/internal/observe"
)

var t0 = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// A bed is a Recorder on a fake API server.
type bed struct {
	*testing.T
	client client.Client
	clock  *clocktesting.FakeClock
	busy   bool
	// refuse is asked about every write to a ConfigMap, and list about every list
	// of them.
	refuse, list error
	created      int
	recorder     *Recorder
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{T: t, clock: clocktesting.NewFakeClock(t0)}
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	owner := func(o client.Object) []string {
		if ref := metav1.GetControllerOf(o); ref != nil {
			return []string{string(ref.UID)}
		}
		return nil
	}
	b.client = fake.NewClientBuilder().WithScheme(scheme).
		WithIndex(&v1alpha1.AnalysisRun{}, observe.IndexOwner, owner).WithIndex(&appsv1.ReplicaSet{}, observe.IndexOwner, owner).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				if _, ok := o.(*corev1.ConfigMap); ok {
					if b.refuse != nil {
						return b.refuse
					}
					b.created++
				}
				return c.Create(ctx, o, opts...)
			},
			List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
				if _, ok := l.(*metav1.PartialObjectMetadataList); ok && b.list != nil {
					return b.list
				}
				return c.List(ctx, l, opts...)
			},
		}).Build()
	b.restart()
	return b
}

// restart forgets what was in memory.
func (b *bed) restart() {
	b.recorder = &Recorder{
		Cached: b.client, Client: b.client, Live: b.client, Clock: b.clock, Busy: func() bool { return b.busy },
		Limits: Limits{History: 3, MaxBytes: 64 << 10},
	}
}

func (b *bed) create(o client.Object) {
	b.Helper()
	if err := b.client.Create(b.Context(), o); err != nil {
		b.Fatal(err)
	}
}

// rollout has attempts, each of a revision of its own, that end a minute apart.
func (b *bed) rollout(n int) *v1alpha1.Rollout {
	b.Helper()
	ro := &v1alpha1.Rollout{}
	ro.Namespace, ro.Name, ro.UID = "payments", "checkout", "uid-1"
	ro.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{Analysis: &v1alpha1.RolloutAnalysisBackground{}}
	ro.Status.Sluice = &v1alpha1.SluiceStatus{}
	b.create(ro)
	for i := range n {
		b.end(ro, int64(i+2), v1alpha1.OutcomeAborted)
	}
	return ro
}

// end adds an attempt that has just ended.
func (b *bed) end(ro *v1alpha1.Rollout, revision int64, outcome string) {
	b.Helper()
	b.clock.Step(time.Minute)
	ended := metav1.NewMicroTime(b.clock.Now())
	a := v1alpha1.RolloutAttempt{
		Hash: fmt.Sprint("hash-", revision), Revision: revision, Attempt: 1, Stable: "hash-1",
		StartedAt: metav1.NewMicroTime(ended.Add(-30 * time.Second)), EndedAt: &ended, Outcome: outcome,
	}
	all := append(ro.Status.Sluice.Attempts, a)
	ro.Status.Sluice.Attempts = all[max(0, len(all)-3):]
	if err := b.client.Update(b.Context(), ro); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) run(ro *v1alpha1.Rollout, a *v1alpha1.RolloutAttempt, phase v1alpha1.AnalysisPhase) *v1alpha1.AnalysisRun {
	b.Helper()
	run := &v1alpha1.AnalysisRun{}
	run.Namespace, run.Name, run.UID = ro.Namespace, "checkout-"+a.Hash, types.UID("run-"+a.Hash)
	run.CreationTimestamp = metav1.NewTime(a.StartedAt.Time)
	run.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(ro, v1alpha1.SchemeGroupVersion.WithKind("Rollout"))}
	run.Labels, run.Annotations = map[string]string{v1alpha1.LabelPodTemplateHash: a.Hash}, map[string]string{record.KeyAttempt: "1"}
	run.Status.Phase, run.Status.Message = phase, "said by the run"
	b.create(run)
	return run
}

func (b *bed) reconcile() reconcile.Result {
	b.Helper()
	res, err := b.recorder.Reconcile(b.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "payments", Name: "checkout"}})
	if err != nil {
		b.Fatal(err)
	}
	return res
}

// kept are the names of what is kept.
func (b *bed) kept() []string {
	b.Helper()
	var list corev1.ConfigMapList
	if err := b.client.List(b.Context(), &list); err != nil {
		b.Fatal(err)
	}
	var out []string
	for i := range list.Items {
		out = append(out, strings.TrimPrefix(list.Items[i].Name, "checkout-evidence-"))
	}
	return out
}

func (b *bed) read(name string) record.Record {
	b.Helper()
	cm := &corev1.ConfigMap{}
	if err := b.client.Get(b.Context(), client.ObjectKey{Namespace: "payments", Name: "checkout-evidence-" + name}, cm); err != nil {
		b.Fatal(err)
	}
	r, err := record.FromConfigMap(cm)
	if err != nil {
		b.Fatal(err)
	}
	if ref := cm.OwnerReferences; len(ref) != 1 || ref[0].UID != "uid-1" || ref[0].Kind != "Rollout" {
		b.Errorf("it is owned by %+v", ref)
	}
	return r
}

func TestAnAttemptIsWrittenOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ro := b.rollout(1)
	b.run(ro, &ro.Status.Sluice.Attempts[0], v1alpha1.AnalysisPhaseFailed)
	if res := b.reconcile(); res.RequeueAfter != settleTime || b.created != 0 {
		t.Errorf("at once: %d records, again after %s", b.created, res.RequeueAfter)
	}
	for range 3 {
		b.clock.Step(settleTime)
		if res := b.reconcile(); res.RequeueAfter != 0 {
			t.Errorf("again after %s", res.RequeueAfter)
		}
	}
	b.restart()
	b.reconcile()
	r := b.read("2-1")
	if b.created != 1 || r.Outcome != v1alpha1.OutcomeAborted || len(r.Runs) != 1 || r.Runs[0].Message != "said by the run" {
		t.Errorf("written %d times: %+v", b.created, r)
	}
}

func TestAPromotionThatNothingJudgedIsLeftToTheStatus(t *testing.T) {
	t.Parallel()
	step := func(s v1alpha1.CanaryStep) func(*v1alpha1.Rollout) {
		return func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{s} }
	}
	for name, tc := range map[string]struct {
		with     func(*v1alpha1.Rollout)
		outcome  string
		exported bool
		ran      bool
		want     int
	}{
		"no analysis":                    {func(*v1alpha1.Rollout) {}, v1alpha1.OutcomePromoted, false, false, 0},
		"no analysis, aborted":           {func(*v1alpha1.Rollout) {}, v1alpha1.OutcomeAborted, false, false, 1},
		"no analysis, exported":          {func(*v1alpha1.Rollout) {}, v1alpha1.OutcomePromoted, true, false, 1},
		"an analysis that is taken out":  {func(*v1alpha1.Rollout) {}, v1alpha1.OutcomePromoted, false, true, 1},
		"an analysis in a step":          {step(v1alpha1.CanaryStep{Analysis: &v1alpha1.RolloutAnalysis{}}), v1alpha1.OutcomePromoted, false, false, 1},
		"an experiment in a step":        {step(v1alpha1.CanaryStep{Experiment: &v1alpha1.RolloutExperimentStep{}}), v1alpha1.OutcomePromoted, false, false, 1},
		"an analysis in the background":  {func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.Analysis = &v1alpha1.RolloutAnalysisBackground{} }, v1alpha1.OutcomePromoted, false, false, 1},
		"a step that only sets a weight": {step(v1alpha1.CanaryStep{SetWeight: new(int32(20))}), v1alpha1.OutcomePromoted, false, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			ro := b.rollout(0)
			ro.Spec.Strategy.Canary.Analysis = nil
			tc.with(ro)
			if tc.exported {
				b.recorder.Exporter = b.exporter()
			}
			b.end(ro, 2, tc.outcome)
			if tc.ran {
				b.run(ro, &ro.Status.Sluice.Attempts[0], v1alpha1.AnalysisPhaseSuccessful)
			}
			b.clock.Step(settleTime)
			b.reconcile()
			if len(b.kept()) != tc.want {
				t.Errorf("kept are %v, want %d", b.kept(), tc.want)
			}
		})
	}
}

func TestWhatTheRecordWaitsFor(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ro := b.rollout(1)
	b.run(ro, &ro.Status.Sluice.Attempts[0], v1alpha1.AnalysisPhaseRunning)
	b.clock.Step(10 * time.Second)
	b.busy = true
	if res := b.reconcile(); res.RequeueAfter != standBack || b.created != 0 {
		t.Errorf("while aborts move traffic: %d records, again after %s", b.created, res.RequeueAfter)
	}
	b.busy = false
	if res := b.reconcile(); res.RequeueAfter == 0 || b.created != 0 {
		t.Errorf("while a run measures: %d records, again after %s", b.created, res.RequeueAfter)
	}
	b.end(ro, 3, v1alpha1.OutcomeSuperseded) // must not be recorded before the first
	b.clock.Step(-time.Minute + settleTime)
	b.reconcile()
	if b.created != 0 {
		t.Error("a later attempt was recorded first")
	}
	b.clock.Step(runPatience)
	b.reconcile()
	if diff := cmp.Diff([]string{"2-1", "3-1"}, b.kept()); diff != "" {
		t.Error(diff)
	}
	if r := b.read("2-1"); !strings.Contains(strings.Join(r.Missing, " "), "had not ended when this record was made") {
		t.Errorf("it says that it lacks %q", r.Missing)
	}
}

func TestARunThatIsDeletedMeanwhileIsOnRecord(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ro := b.rollout(1)
	run := b.run(ro, &ro.Status.Sluice.Attempts[0], v1alpha1.AnalysisPhaseFailed)
	b.reconcile()
	if err := b.client.Delete(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	b.clock.Step(settleTime)
	b.reconcile()
	if r := b.read("2-1"); len(r.Runs) != 1 {
		t.Errorf("%d runs are on record", len(r.Runs))
	}
	if n := len(b.recorder.memory.runs["uid-1"]); n != 1 {
		t.Errorf("%d runs are remembered", n)
	}
	b.reconcile()
	if n := len(b.recorder.memory.runs["uid-1"]); n != 0 {
		t.Errorf("%d runs are remembered of attempts that are recorded", n)
	}
}

func TestTheOldestRecordsGo(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ro := b.rollout(0)
	for revision := range int64(6) {
		b.end(ro, revision+2, v1alpha1.OutcomePromoted)
		b.clock.Step(settleTime)
		b.reconcile()
		if revision%2 == 0 {
			b.restart()
		}
	}
	b.restart()
	b.recorder.History = 2
	b.end(ro, 8, v1alpha1.OutcomePromoted)
	b.clock.Step(settleTime)
	b.reconcile()
	b.restart()
	b.reconcile()
	if diff := cmp.Diff([]string{"7-1", "8-1"}, b.kept()); diff != "" || b.created != 7 {
		t.Errorf("%d were written; kept are, -want +got:\n%s", b.created, diff)
	}
	if err := b.client.Delete(t.Context(), ro); err != nil {
		t.Fatal(err)
	}
	b.reconcile()
	if m := &b.recorder.memory; len(m.kept)+len(m.runs)+len(m.names) != 0 {
		t.Errorf("something of a Rollout that is gone is remembered: %v %v %v", m.kept, m.runs, m.names)
	}
}

func TestWhatTheControllerMayNotDoIsNotTriedOverAndOver(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New("no"))
	for name, change := range map[string]func(*bed, error){
		"list": func(b *bed, err error) { b.list = err }, "create": func(b *bed, err error) { b.refuse = err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.rollout(1)
			b.clock.Step(settleTime)
			change(b, forbidden)
			if res := b.reconcile(); res.RequeueAfter != forbiddenRetry || b.created != 0 {
				t.Errorf("again after %s", res.RequeueAfter)
			}
			change(b, nil)
			b.reconcile()
			if b.created != 1 {
				t.Error("it is not kept once it may be")
			}
		})
	}
}

func TestAConfigMapInTheWay(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.rollout(1)
	b.clock.Step(settleTime)
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "checkout-evidence-2-1"}, Data: map[string]string{"a": "b"}}
	b.create(other)
	_, err := b.recorder.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "payments", Name: "checkout"}})
	if err == nil || !strings.Contains(err.Error(), "payments/checkout-evidence-2-1 is in the way") {
		t.Errorf("got %v", err)
	}
	if err := b.client.Get(t.Context(), client.ObjectKeyFromObject(other), other); err != nil || other.Data["a"] != "b" {
		t.Errorf("it was changed: %v, %v", other.Data, err)
	}
}

func TestAnotherInstancesRolloutsAreNotOurs(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.rollout(1)
	b.recorder.Instance = "other"
	b.clock.Step(settleTime)
	b.reconcile()
	if b.created != 0 {
		t.Error("it was recorded")
	}
}

// A shelf is a place in memory.
type shelf struct {
	name string

	mu    sync.Mutex
	fail  int
	files map[string][]byte
	puts  int
}

func (s *shelf) Name() string { return s.name }

func (s *shelf) Put(_ context.Context, file, _ string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return errors.New("the shelf is full")
	}
	if s.files == nil {
		s.files = map[string][]byte{}
	}
	s.puts++
	s.files[file] = data
	return nil
}

func (s *shelf) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.files))
}

func (b *bed) exporter(places ...Place) *Exporter {
	e := NewExporter(b.client, b.client, b.client, places)
	b.recorder.Exporter = e
	return e
}

func TestARecordIsExportedEverywhereOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	one, two := &shelf{name: "one"}, &shelf{name: "two", fail: 1}
	e := b.exporter(one, two)
	ro := b.rollout(1)
	b.run(ro, &ro.Status.Sluice.Attempts[0], v1alpha1.AnalysisPhaseFailed)
	b.clock.Step(settleTime)
	b.reconcile()
	name := types.NamespacedName{Namespace: "payments", Name: "checkout-evidence-2-1"}
	if err := e.export(t.Context(), name); err == nil || !strings.Contains(err.Error(), "two: write payments/checkout/checkout-") || !strings.Contains(err.Error(), "the shelf is full") {
		t.Errorf("got %v", err)
	}
	// Another process goes on where this one was.
	b.restart()
	e = b.exporter(one, two)
	b.reconcile()
	if e.queue.Len() != 1 {
		t.Fatalf("%d are to be exported", e.queue.Len())
	}
	if err := e.export(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	base := "payments/checkout/checkout-20260301T090030Z-revision-2-attempt-1"
	for _, s := range []*shelf{one, two} {
		if diff := cmp.Diff([]string{base + ".html", base + ".json", base + ".zip"}, s.names()); diff != "" || s.puts != 3 {
			t.Errorf("%s was written to %d times and has, -want +got:\n%s", s.name, s.puts, diff)
		}
		z, err := zip.NewReader(bytes.NewReader(s.files[base+".zip"]), int64(len(s.files[base+".zip"])))
		if err != nil || len(z.File) != 3 {
			t.Errorf("the archive: %v %v", z, err)
		}
	}
	b.restart()
	e = b.exporter(one, two)
	b.reconcile()
	if e.queue.Len() != 0 {
		t.Error("it is exported again")
	}
	if len(e.runs) != 0 {
		t.Errorf("runs are remembered: %v", e.runs)
	}
}

func TestTheExporterTriesAgainAndEnds(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	place := &shelf{name: "one", fail: 1}
	e := b.exporter(place)
	b.rollout(1)
	b.clock.Step(settleTime)
	b.reconcile()
	e.queue.Add(types.NamespacedName{Namespace: "payments", Name: "gone"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Start(ctx) }()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(place.names()) != 3 {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("it was not exported")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTheCanarysRequestsAreCountedOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err    error
		served float64
		says   string
	}{
		"counted": {served: 900}, "the provider does not answer": {err: errors.New("Datadog answered 503"), says: "could not be counted: Datadog answered 503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			ro := b.rollout(1)
			a := &ro.Status.Sluice.Attempts[0]
			run := b.run(ro, a, v1alpha1.AnalysisPhaseFailed)
			run.Spec.Metrics = []v1alpha1.Metric{{Name: "error-rate", SuccessCondition: "result < 0.01"}}
			run.Status.MetricResults = []v1alpha1.MetricResult{{Name: "error-rate", Metadata: map[string]string{
				v1alpha1.SluicePrefix + "query": "errors / hits; errors = sum:e{hash:hash-2}.as_count(); hits = sum:h{hash:hash-2}.as_count()",
			}}}
			if err := b.client.Update(t.Context(), run); err != nil {
				t.Fatal(err)
			}
			asked := 0
			b.recorder.Count = func(_ context.Context, run *v1alpha1.AnalysisRun, metric string, from, to time.Time) (map[string]float64, error) {
				asked++
				if run.Name != "checkout-hash-2" || metric != "error-rate" || !from.Equal(a.StartedAt.Time) || !to.Equal(b.clock.Now()) {
					t.Errorf("asked for %s %s from %s to %s", run.Name, metric, from, to)
				}
				return map[string]float64{"errors": 30, "hits": 900}, tc.err
			}
			b.clock.Step(settleTime)
			b.reconcile()
			b.reconcile()
			r := b.read("2-1")
			if asked != 1 || tc.served > 0 && (r.Requests == nil || r.Requests.Served != tc.served || r.Requests.Failed != 30) {
				t.Errorf("asked %d times, got %+v", asked, r.Requests)
			}
			if !strings.Contains(strings.Join(r.Missing, " "), tc.says) || tc.says != "" && r.Requests != nil {
				t.Errorf("got %+v, it lacks %q", r.Requests, r.Missing)
			}
		})
	}
}

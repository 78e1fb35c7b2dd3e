// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package codec_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/codec"
	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/sim"
)

const v1, v2, v3 = rollout.Revision("v1"), rollout.Revision("v2"), rollout.Revision("v3")

// A book is a world whose statuses are written down as the API has them.
type book struct {
	t     *testing.T
	world sim.World
	ro    *v1alpha1.Rollout
}

func newBook(t *testing.T, spec rollout.Spec) *book {
	t.Helper()
	spec.Revision = v1
	b := &book{t: t, world: sim.New("web", time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), spec), ro: &v1alpha1.Rollout{}}
	b.ro.Name = "web"
	b.settle()
	return b
}

// settle runs passes, a second apart, until nothing moves; pods come at once.
func (b *book) settle() {
	b.t.Helper()
	for range 60 {
		before := sim.Line(b.world)[8:]
		snap := b.world.Snapshot()
		plan := rollout.Decide(snap)
		var moved *codec.Moved
		if plan.Status.Abort && plan.Weights != nil { // as the controller does
			moved = &codec.Moved{Canary: plan.Weights.Canary, At: b.world.Now.Add(time.Millisecond)}
			b.world.Do(plan, sim.Write{Kind: sim.Route})
			plan.Weights = nil
		}
		codec.SetStatus(b.ro, plan.Status, &snap)
		codec.Chronicle(b.ro, &plan, &snap, moved)
		b.world.Apply(plan, nil)
		for _, r := range []rollout.Revision{v1, v2, v3} {
			for b.world.PodUp(r) {
			}
		}
		b.world.Endpoints = b.world.Services.Stable
		b.world.Now = b.world.Now.Add(time.Second)
		if sim.Line(b.world)[8:] == before {
			return
		}
	}
	b.t.Fatal("it does not settle")
}

func (b *book) wait(d time.Duration) {
	b.t.Helper()
	b.world.Now = b.world.Now.Add(d)
	b.settle()
}

func (b *book) ask(r rollout.Revision) {
	b.t.Helper()
	b.world.Ask(func(s *rollout.Spec) { s.Revision = r })
	b.settle()
}

// text tells the attempts on record.
func (b *book) text() string {
	var out strings.Builder
	for _, a := range b.ro.Status.Sluice.Attempts {
		fmt.Fprintf(&out, "%s/%d.%d over %s by %q/%q of %q\n", a.Hash, a.Revision, a.Attempt, a.Stable, a.StartedBy, a.Manager, a.Commit)
		for _, m := range a.Marks {
			fmt.Fprintln(&out, m.At.UTC().Format("15:04:05"), m.Kind, m.Value, m.Text)
		}
		for _, k := range a.Skipped {
			fmt.Fprintln(&out, "skipped", k.Step, k.What)
		}
		if a.EndedAt != nil {
			fmt.Fprintln(&out, a.EndedAt.UTC().Format("15:04:05"), a.Outcome, a.Reason, a.Message)
		}
	}
	return out.String()
}

func spec(steps ...rollout.Step) rollout.Spec {
	return rollout.Spec{
		Replicas: 4, Steps: steps, StepsHash: "steps", Routed: true, MaxWeight: 100, HistoryLimit: 10,
		CanaryService: true, StableService: true, MinPods: 1,
	}
}

func steps() []rollout.Step {
	return []rollout.Step{
		{Kind: rollout.StepSetWeight, Weight: 10},
		{Kind: rollout.StepPause, Duration: time.Minute},
		{Kind: rollout.StepAnalysis},
		{Kind: rollout.StepSetWeight, Weight: 50},
	}
}

func TestTheFirstRevisionIsNoAttempt(t *testing.T) {
	t.Parallel()
	if b := newBook(t, spec(steps()...)); b.world.Status.Phase != rollout.Healthy || len(b.ro.Status.Sluice.Attempts) != 0 {
		t.Errorf("it is %s, on record is\n%s", b.world.Status.Phase, b.text())
	}
}

func TestAReleaseThatClimbs(t *testing.T) {
	t.Parallel()
	b := newBook(t, spec(steps()...))
	b.ro.Annotations = map[string]string{v1alpha1.AnnotationStartedBy: "pipeline 7", v1alpha1.AnnotationCommit: "abc"}
	b.ro.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "argocd-controller"}}
	b.ask(v2)
	b.wait(time.Minute)
	b.world.End(b.world.Status.StepRun, rollout.RunSuccessful, "")
	b.settle()
	want := `v2/2.1 over v1 by "pipeline 7"/"argocd-controller" of "abc"
09:00:05 Step 0 setWeight 10
09:00:07 Weight 10 
09:00:08 Step 1 pause 1m0s
09:01:10 Step 2 analysis
09:01:12 Step 3 setWeight 50
09:01:13 Weight 50 
09:01:14 Step 4 all steps are done
09:01:15 Weight 100 
09:01:16 Promoted  
`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(b.text(), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestAnAbortARetryAndANewTemplate(t *testing.T) {
	t.Parallel()
	b := newBook(t, spec(steps()...))
	b.ask(v2)
	b.wait(time.Minute)
	b.world.End(b.world.Status.StepRun, rollout.RunFailed, "metric errors: 3 failed")
	b.wait(time.Minute)
	b.world.Retry()
	b.settle()
	b.ask(v3)
	b.world.Status.Step = 2 // somebody passes over the pause
	b.settle()
	b.ask(v1)
	want := `v2/2.1 over v1 by ""/"" of ""
09:00:05 Step 0 setWeight 10
09:00:07 Weight 10 
09:00:08 Step 1 pause 1m0s
09:01:10 Step 2 analysis
09:02:12 Weight 0 
09:02:12 Aborted AnalysisFailed RolloutAborted: Rollout aborted update to revision 2: the step's analysis failed: metric errors: 3 failed; last value 0.081
v2/2.2 over v1 by ""/"" of ""
09:02:15 Step 0 setWeight 10
09:02:17 Weight 10 
09:02:18 Step 1 pause 1m0s
09:02:20 Superseded  a new template replaced this one
v3/3.1 over v1 by ""/"" of ""
09:02:20 Step 0 setWeight 10
09:02:22 Weight 10 
09:02:23 Step 1 pause 1m0s
09:02:25 Step 2 analysis
skipped 1 pause
09:02:27 Superseded  the template went back to that of the stable revision
`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(b.text(), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestAHoldAndAPauseAreNotedWhenTheyBeginAndEnd(t *testing.T) {
	t.Parallel()
	b := newBook(t, spec(steps()...))
	b.ask(v2)
	b.wait(time.Minute)
	ref := b.world.Status.StepRun
	until := b.world.Now.Add(10 * time.Minute)
	b.world.SetRun(ref, func(r *sim.Run) { r.HoldUntil, r.Message = until, "metric errors: no data" })
	b.settle()
	b.wait(11 * time.Minute)
	b.world.SetRun(ref, func(r *sim.Run) { r.HoldUntil = time.Time{} })
	b.settle()
	text := b.text()
	for _, want := range []string{"Hold 0 ", "Paused 0 AnalysisHold", "Resumed 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// Whatever happens, what is kept is bounded and says what it lacks.
func TestTheRecordIsBounded(t *testing.T) {
	t.Parallel()
	b := newBook(t, spec(steps()...))
	b.ask(v2)
	b.wait(time.Minute)
	ref := b.world.Status.StepRun
	for i := range 200 {
		until := time.Time{}
		if i%2 == 0 {
			until = b.world.Now.Add(time.Hour)
		}
		b.world.SetRun(ref, func(r *sim.Run) { r.HoldUntil = until })
		b.settle()
	}
	a := b.ro.Status.Sluice.Attempts[0]
	if len(a.Marks) != 80 || a.Dropped < 100 || a.Marks[0].Kind != v1alpha1.MarkStep {
		t.Errorf("%d marks, %d dropped, the first is %+v", len(a.Marks), a.Dropped, a.Marks[0])
	}
}

func TestWhoChangedTheTemplate(t *testing.T) {
	t.Parallel()
	at := func(sec int) *metav1.Time { return new(metav1.NewTime(time.Unix(int64(sec), 0))) }
	fields := func(s string) *metav1.FieldsV1 { return metav1.NewFieldsV1(s) }
	entries := []metav1.ManagedFieldsEntry{
		{Manager: "hpa", Time: at(9), FieldsV1: fields(`{"f:spec":{"f:replicas":{}}}`)},
		{Manager: "first", Time: at(1), FieldsV1: fields(`{"f:spec":{"f:template":{"f:spec":{}}}}`)},
		{Manager: "last", Time: at(5), FieldsV1: fields(`{"f:spec":{"f:template":{"f:spec":{}}}}`)},
		{Manager: "status", Time: at(8), Subresource: "status", FieldsV1: fields(`{"f:template":{}}`)},
		{Manager: "analysis", Time: at(7), FieldsV1: fields(`{"f:spec":{"f:strategy":{"f:templates":{}}}}`)},
	}
	if m := codec.TemplateManager(entries); m == nil || m.Manager != "last" {
		t.Errorf("got %+v", m)
	}
	if m := codec.TemplateManager(entries[:1]); m != nil {
		t.Errorf("got %+v", m)
	}
}

func TestTheNewestAttemptsAreKept(t *testing.T) {
	t.Parallel()
	b := newBook(t, spec(steps()...))
	b.ask(v2)
	for range 5 {
		b.world.Abort()
		b.settle()
		b.world.Retry()
		b.settle()
	}
	var kept []int32
	for _, a := range b.ro.Status.Sluice.Attempts {
		kept = append(kept, a.Attempt)
	}
	if diff := cmp.Diff([]int32{4, 5, 6}, kept); diff != "" {
		t.Error(diff)
	}
}

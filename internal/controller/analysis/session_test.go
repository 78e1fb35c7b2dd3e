// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	judge "sluice.dev/sluice/internal/analysis"
)

func TestCommitKeepsWhatCameInSince(t *testing.T) {
	t.Parallel()
	s := &session{inHand: []reading{{value: "1"}, {value: "2"}, {value: "3"}}}
	s.commit(analysisRun(), 2)
	if len(s.inHand) != 1 || s.inHand[0].value != "3" {
		t.Errorf("rule 7: in hand are %+v, want the third", s.inHand)
	}
}

func TestTheNewerOfCacheAndMemoryIsJudged(t *testing.T) {
	t.Parallel()
	at := func(generation int64) *v1alpha1.AnalysisRun {
		return &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Generation: generation}}
	}
	s := &session{}
	if got := s.newest(at(1)); got.Generation != 1 {
		t.Errorf("without memory: generation %d", got.Generation)
	}
	s.stored = at(5)
	for cached, want := range map[int64]int64{4: 5, 5: 5, 6: 6} {
		if got := s.newest(at(cached)); got.Generation != want {
			t.Errorf("generation %d in the cache: %d is judged, want %d", cached, got.Generation, want)
		}
	}
	cached := at(5)
	if s.newest(cached) != cached {
		t.Error("the cache may know newer annotations of the same generation")
	}
}

func TestWhoIsToldOfAFailure(t *testing.T) {
	t.Parallel()
	failed := judge.State{Phase: judge.Failed, Results: []judge.Result{{Name: "m", Phase: judge.Failed}}}
	tests := map[string]struct {
		why   string
		run   *v1alpha1.AnalysisRun
		by    judge.Termination
		state judge.State
		want  bool
	}{
		"a Rollout":                      {"I7", owned(analysisRun()), judge.NotTerminated, failed, true},
		"a Rollout, ended by a person":   {"rule 22: the failure was reached", owned(analysisRun()), judge.ByPerson, failed, true},
		"a Rollout that has moved on":    {"rule 22: it no longer acts", owned(analysisRun()), judge.ByController, failed, false},
		"nobody":                         {"a run of its own", analysisRun(), judge.NotTerminated, failed, false},
		"a Rollout, of an error":         {"onError abort", owned(analysisRun()), judge.NotTerminated, judge.State{Phase: judge.Error}, true},
		"a Rollout, not of inconclusive": {"rule 19: that pauses", owned(analysisRun()), judge.NotTerminated, judge.State{Phase: judge.Inconclusive}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &session{}
			next := step{rule: judge.Run{Terminate: tc.by, Metrics: []judge.Metric{{Name: "m"}}}, state: tc.state}
			v, owner := s.failed(tc.run, next)
			if (v != nil) != tc.want || (owner != nil) != tc.want {
				t.Errorf("%s: verdict %+v for %+v", tc.why, v, owner)
			}
			if again, _ := s.failed(tc.run, next); again != nil {
				t.Error("it is told twice")
			}
		})
	}
}

// An answer to a run that is gone counts for no other run of that name.
func TestAnAnswerToARunThatIsGone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["q"] = "FSSSSS"
		answer := make(chan struct{})
		b.hang["q"] = answer
		b.create(analysisRun(gate("error-rate", "q")))
		b.after(time.Minute + margin)
		if err := b.client.Delete(t.Context(), b.run()); err != nil {
			t.Fatal(err)
		}
		second := analysisRun(gate("error-rate", "q"))
		second.UID = "second"
		b.create(second)
		close(answer)
		b.wants(b.after(margin), "Pending, error-rate Pending S0 F0 I0 E0 of 0")
		b.wants(b.after(time.Minute), "Running, error-rate Running S1 F0 I0 E0 of 1")
	})
}

func TestARaceWithANewRunOfTheSameName(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.create(analysisRun(gate("error-rate", "q")))
		b.after(margin)
		b.overtake(func(c client.Client) {
			if err := c.Delete(t.Context(), b.run()); err != nil {
				t.Error(err)
			}
			second := analysisRun(gate("error-rate", "q"))
			second.UID = "second"
			if err := c.Create(t.Context(), second); err != nil {
				t.Error(err)
			}
		})
		run := b.after(time.Minute)
		if run.UID != "second" || run.Status.Phase != "" {
			t.Errorf("run %s is %s: it got the reading of the first", run.UID, summary(run))
		}
	})
}

func TestOneEventForOneTransition(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["b"] = strings.Repeat("B", 20)
		b.create(analysisRun(gate("a", "a"), gate("b", "b")))
		b.after(10*time.Minute + margin)
		if got := drain(b); len(got) != 1 || !strings.Contains(got[0], `"a" is Successful`) {
			t.Errorf("events are %q, want that a passed, once", got)
		}
	})
}

func TestFactsOfSeveralMetrics(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["b"], b.scripts["c"] = "BBB", "NN"
		soon := gate("c", "c")
		soon.MaxHold = "2m"
		b.create(analysisRun(gate("a", "a"), gate("b", "b"), soon))
		f := FactsOf(b.after(time.Minute+margin), judge.Guide, time.Now())
		if f.Hold != `metric "c": no data: query hits returned nothing` || f.HoldUntil.Sub(b.start).Round(time.Second) != 3*time.Minute {
			t.Errorf("rule 14: hold is %q until %s, want that of c", f.Hold, f.HoldUntil.Sub(b.start))
		}
		synctest.Wait()
	})
	two := analysisRun(gate("a", "a"), gate("b", "b"))
	two.Status.Phase = v1alpha1.AnalysisPhaseRunning
	two.Status.MetricResults = []v1alpha1.MetricResult{{
		Name: "a", Phase: v1alpha1.AnalysisPhaseRunning, Count: 1, Successful: 1, Metadata: map[string]string{KeyRun: string(two.UID), judge.KeyLast: "Successful"},
	}}
	if f := FactsOf(two, judge.Guide, time.Now()); f.GuardReady || f.GuardWhy != "nothing is measured yet" {
		t.Errorf("D14: every metric: %+v", f)
	}
	if f := FactsOf(two, judge.Argo, time.Now()); !f.GuardReady {
		t.Errorf("Argo has no guard: %+v", f)
	}
}

func TestFactsNameTheLimitThatWasBroken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		recorded string
		limit    *intstr.IntOrString
		want     int32
	}{
		"as it was recorded with the result":         {recorded: "count=5 failureLimit=2 consecutiveErrorLimit=4", limit: new(intstr.FromInt32(7)), want: 2},
		"from the spec of another controller's run":  {limit: new(intstr.FromInt32(3)), want: 3},
		"from the spec, with its argument filled in": {limit: new(intstr.FromString("{{args.limit}}")), want: 4},
		"none where the spec has none":               {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := gate("a", "a")
			m.FailureLimit = tc.limit
			run := analysisRun(gate("other", "b"), m)
			run.Spec.Args = []v1alpha1.Argument{{Name: "limit", Value: new("4")}}
			run.Status.Phase = v1alpha1.AnalysisPhaseFailed
			run.Status.MetricResults = []v1alpha1.MetricResult{
				{Name: "other", Phase: v1alpha1.AnalysisPhaseSuccessful},
				{Name: "a", Phase: v1alpha1.AnalysisPhaseFailed, Failed: 5, Metadata: map[string]string{KeyLimits: tc.recorded}},
			}
			if f := FactsOf(run, judge.Guide, time.Now()); f.Failed == nil || f.Failed.Name != "a" || f.Limit != tc.want {
				t.Errorf("facts are %+v, want limit %d of metric a", f, tc.want)
			}
		})
	}
}

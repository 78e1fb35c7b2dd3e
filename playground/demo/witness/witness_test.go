// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package witness_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sluice.dev/sluice/api/v1alpha1"

	"sluice.dev/sluice/playground/demo/witness"
)

// rollout makes the Rollout in a phase at a step.
func rollout(phase v1alpha1.RolloutPhase, step int32) *v1alpha1.Rollout {
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "checkout"}}
	ro.Status.Phase, ro.Status.CurrentStepIndex = phase, &step
	return ro
}

// run makes an AnalysisRun of revision aaa whose metric has had these readings,
// of which the last two are kept.
func run(values ...string) *v1alpha1.AnalysisRun {
	r := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{
		Namespace: "payments", Name: "checkout-aaa-2",
		Labels: map[string]string{v1alpha1.LabelPodTemplateHash: "aaa", v1alpha1.LabelRolloutType: "Background"},
	}}
	res := v1alpha1.MetricResult{Name: "error-rate", Count: int32(len(values))}
	for _, v := range values[max(0, len(values)-2):] {
		res.Measurements = append(res.Measurements, v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseSuccessful, Value: v})
	}
	r.Status.MetricResults = []v1alpha1.MetricResult{res}
	return r
}

func TestWitnessRemembersStatesOnce(t *testing.T) {
	t.Parallel()
	w := witness.New("payments", "checkout")
	if w.Rollout() != nil || w.Objects().Rollout != nil {
		t.Error("a Rollout is there before one was seen")
	}
	for _, ro := range []*v1alpha1.Rollout{
		rollout(v1alpha1.RolloutPhaseProgressing, 0), rollout(v1alpha1.RolloutPhaseProgressing, 0),
		rollout(v1alpha1.RolloutPhasePaused, 1), rollout(v1alpha1.RolloutPhaseProgressing, 0),
	} {
		w.See(ro, false)
	}
	got := []string{}
	for _, s := range w.States(time.Time{}) {
		got = append(got, string(s.Phase))
	}
	if diff := cmp.Diff([]string{"Progressing", "Paused", "Progressing"}, got); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	if got := w.States(time.Now().Add(time.Hour)); len(got) != 0 {
		t.Errorf("States(in an hour) = %v, want none", got)
	}
}

func TestWitnessRemembersEveryReadingOnce(t *testing.T) {
	t.Parallel()
	w := witness.New("payments", "checkout")
	for _, r := range []*v1alpha1.AnalysisRun{
		run(), run("1"), run("1"), run("1", "2"), run("1", "2", "3"), run("1", "2", "3", "4", "5"),
	} {
		w.See(r, false)
	}
	w.See(run("1", "2", "3", "4", "5"), true)
	got := []string{}
	for _, r := range w.Readings(time.Time{}) {
		got = append(got, r.Kind+" "+r.Hash+" "+r.Metric+" "+r.Value)
	}
	want := []string{
		"Background aaa error-rate 1", "Background aaa error-rate 2", "Background aaa error-rate 3",
		"Background aaa error-rate 4", "Background aaa error-rate 5",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("readings (-want +got):\n%s", diff)
	}
	if runs := w.Runs("aaa"); len(runs) != 1 || w.Run("checkout-aaa-2") == nil {
		t.Errorf("Runs(aaa) = %v, want the one that is gone", runs)
	}
	if runs := w.Runs("bbb"); len(runs) != 0 {
		t.Errorf("Runs(bbb) = %v, want none", runs)
	}
}

func TestAwait(t *testing.T) {
	t.Parallel()
	t.Run("returns when it happens", func(t *testing.T) {
		t.Parallel()
		w := witness.New("payments", "checkout")
		go w.See(rollout(v1alpha1.RolloutPhaseHealthy, 8), false)
		err := w.Await(t.Context(), "it is Healthy", time.Minute, func() bool {
			ro := w.Rollout()
			return ro != nil && ro.Status.Phase == v1alpha1.RolloutPhaseHealthy
		})
		if err != nil {
			t.Errorf("Await: %v", err)
		}
	})
	t.Run("says what it saw instead", func(t *testing.T) {
		t.Parallel()
		w := witness.New("payments", "checkout")
		w.See(rollout(v1alpha1.RolloutPhaseDegraded, 2), false)
		err := w.Await(t.Context(), "it is Healthy", time.Millisecond, func() bool { return false })
		if _, ok := errors.AsType[*witness.TimeoutError](err); !ok {
			t.Fatalf("Await = %v, want a TimeoutError", err)
		}
		const want = `after 1ms it was still not seen that it is Healthy; the Rollout is "Degraded" at step 2`
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
	})
	t.Run("ends with the context", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := witness.New("payments", "checkout")
		if err := w.Await(ctx, "anything", time.Minute, func() bool { return false }); !errors.Is(err, context.Canceled) {
			t.Errorf("Await = %v, want context.Canceled", err)
		}
	})
}

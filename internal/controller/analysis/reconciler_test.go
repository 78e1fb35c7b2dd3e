// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	judge "sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/evidence"
)

const margin = 500 * time.Millisecond

func conflict(int) error {
	return apierrors.NewConflict(schema.GroupResource{Resource: "analysisruns"}, runKey.Name, errors.New("changed"))
}

func minutes(n ...int) []time.Duration {
	out := make([]time.Duration, len(n))
	for i := range n {
		out[i] = time.Duration(n[i]) * time.Minute
	}
	return out
}

func TestAGoodReleasePasses(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.create(analysisRun(gate("error-rate", "q")))
		b.wants(b.after(margin), "Pending, error-rate Pending S0 F0 I0 E0 of 0")
		b.wants(b.after(time.Minute), "Running, error-rate Running S1 F0 I0 E0 of 1")
		run := b.after(4 * time.Minute)
		b.wants(run, "Successful, error-rate Successful S5 F0 I0 E0 of 5")
		if diff := cmp.Diff(minutes(1, 2, 3, 4, 5), b.asked["q"]); diff != "" {
			t.Errorf("acceptance 4: measured at (-want +got):\n%s", diff)
		}
		if b.writes != 6 {
			t.Errorf("%d writes, want one when it starts and one for each tick", b.writes)
		}
		if run.Status.RunSummary != (v1alpha1.RunSummary{Count: 1, Successful: 1}) || run.Status.DryRunSummary != nil || run.Status.CompletedAt == nil || run.Status.StartedAt == nil {
			t.Errorf("status is %+v", run.Status)
		}
		m := run.Status.MetricResults[0].Measurements[4]
		if m.Value != "0" || m.Phase != v1alpha1.AnalysisPhaseSuccessful || m.Metadata[judge.KeyWindow] != "S5" || m.Metadata[KeyRange] == "" {
			t.Errorf("last measurement is %+v", m)
		}
		metadata := run.Status.MetricResults[0].Metadata
		if metadata[KeyQuery] != "q" || metadata[KeyLimits] != "count=5 failureLimit=2 consecutiveErrorLimit=4" || metadata[judge.KeyWindow] != "S5" {
			t.Errorf("metadata is %v", metadata)
		}
		want := []string{`Normal MetricSuccessful Metric "error-rate" is Successful`, "Normal AnalysisRunSuccessful Analysis is Successful"}
		if diff := cmp.Diff(want, drain(b)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func drain(b *bed) []string {
	var out []string
	for len(b.events.Events) > 0 {
		out = append(out, <-b.events.Events)
	}
	return out
}

func TestAVerdictComesBeforeAnythingIsStored(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["q"] = "FFF"
		b.create(checkout(), owned(analysisRun(gate("error-rate", "q"))))
		b.after(2*time.Minute + margin)
		b.refuse(func(int) error { return errors.New("the webhook is down") })
		b.after(time.Minute)
		want := post{owner: types.NamespacedName{Namespace: "payments", Name: "checkout"}, uid: "ro-uid", stored: 3, after: 3*time.Minute + time.Millisecond}
		want.Run, want.Metric, want.Value, want.Failed, want.Limit = "checkout-1", "error-rate", "0.08", 3, 2
		want.Message = `Metric "error-rate" assessed Failed due to failed (3) > failureLimit (2)`
		if len(b.verdicts) != 1 {
			t.Fatalf("acceptance 6: %d verdicts: %+v", len(b.verdicts), b.verdicts)
		}
		got := b.verdicts[0]
		got.At, got.after = time.Time{}, got.after.Round(time.Millisecond)
		want.after = got.after
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(post{})); diff != "" || got.after > 3*time.Minute+10*time.Millisecond {
			t.Errorf("I7: verdict after %s (-want +got):\n%s", got.after, diff)
		}
		b.wants(b.run(), "Running, error-rate Running S0 F2 I0 E0 of 2")
		b.refuse(nil)
		b.wants(b.after(2*time.Second), "Failed, error-rate Failed S0 F3 I0 E0 of 3")
		if len(b.verdicts) != 1 || len(b.asked["q"]) != 3 {
			t.Errorf("%d verdicts, %d measurements, want one and three", len(b.verdicts), len(b.asked["q"]))
		}
		if events := drain(b); len(events) != 2 || !strings.HasPrefix(events[0], "Warning MetricFailed") || !strings.HasPrefix(events[1], "Warning AnalysisRunFailed") {
			t.Errorf("events are %q", events)
		}
	})
}

func TestAReadingInHandIsReappliedNotRetaken(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["q"] = "FSSSS"
		b.create(analysisRun(gate("error-rate", "q")))
		b.after(margin)
		b.overtake(func(c client.Client) {
			run := b.run()
			run.Labels = map[string]string{"touched": "yes"}
			if err := c.Update(t.Context(), run); err != nil {
				t.Error(err)
			}
		})
		run := b.after(time.Minute)
		b.wants(run, "Running, error-rate Running S0 F1 I0 E0 of 1")
		if run.Labels["touched"] != "yes" || len(b.asked["q"]) != 1 || b.writes != 3 {
			t.Errorf("rule 7: labels %v, measured %d times, %d writes", run.Labels, len(b.asked["q"]), b.writes)
		}
	})
}

func TestReadingsOutliveAnAPIServerThatIsGone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["q"] = "FSSSS"
		b.create(analysisRun(gate("error-rate", "q")))
		b.after(margin)
		b.refuse(func(n int) error {
			if n%2 == 0 {
				return conflict(n)
			}
			return errors.New("connection refused")
		})
		b.after(3 * time.Minute)
		b.refuse(nil)
		run := b.after(2 * time.Second)
		b.wants(run, "Running, error-rate Running S2 F1 I0 E0 of 3")
		if diff := cmp.Diff(minutes(1, 2, 3), b.asked["q"]); diff != "" {
			t.Errorf("rule 7: measured at (-want +got):\n%s", diff)
		}
		if n := len(run.Status.MetricResults[0].Measurements); n != 3 {
			t.Errorf("%d measurements stored, want 3", n)
		}
	})
}

func TestARestartGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["q"] = "FFBSF"
		b.create(checkout(), owned(analysisRun(gate("error-rate", "q"))))
		for range 50 {
			b.after(7 * time.Second)
			if b.run().Status.Phase.Completed() {
				break
			}
			b.reboot()
		}
		b.wants(b.run(), "Failed, error-rate Failed S1 F3 I1 E0 of 5")
		if diff := cmp.Diff(minutes(1, 2, 3, 4, 5), b.asked["q"]); diff != "" {
			t.Errorf("rule 17: measured at (-want +got):\n%s", diff)
		}
		if len(b.verdicts) != 1 {
			t.Errorf("%d verdicts", len(b.verdicts))
		}
	})
}

func TestASlowMetricDelaysNoVerdict(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["fast"] = "FFF"
		b.hang["slow"] = make(chan struct{})
		b.create(checkout(), owned(analysisRun(gate("a", "fast"), gate("b", "slow"))))
		b.wants(b.after(time.Minute+margin), "Running, a Running S0 F1 I0 E0 of 1, b Pending S0 F0 I0 E0 of 0")
		b.wants(b.after(2*time.Minute), "Failed, a Failed S0 F3 I0 E0 of 3, b Inconclusive S0 F0 I0 E0 of 0")
		if len(b.verdicts) != 1 || b.verdicts[0].after > 3*time.Minute+10*time.Millisecond {
			t.Errorf("verdicts are %+v", b.verdicts)
		}
		if b.overlap || len(b.asked["slow"]) != 1 {
			t.Errorf("the slow metric was asked %d times, at once: %v", len(b.asked["slow"]), b.overlap)
		}
		synctest.Wait()
		if b.busy["slow"] != 0 {
			t.Error("a measurement of a run that has ended goes on")
		}
	})
}

func TestOneWriteForOneTick(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		late := make(chan struct{})
		b.hang["late"] = late
		b.create(analysisRun(gate("a", "q"), gate("b", "late")))
		b.after(time.Minute + 100*time.Millisecond)
		close(late)
		synctest.Wait()
		b.wants(b.after(100*time.Millisecond), "Running, a Running S1 F0 I0 E0 of 1, b Running S1 F0 I0 E0 of 1")
		if b.writes != 2 {
			t.Errorf("%d writes, want one at the start and one for the tick", b.writes)
		}
		b.queue <- runKey
		b.queue <- runKey
		synctest.Wait()
		if b.writes != 2 {
			t.Errorf("%d writes: a pass that changes nothing writes", b.writes)
		}
	})
}

// An answer may come in after a pass was judged and before it starts what is
// due: that metric is not due any more.
func TestWhatCameInSinceIsNotMeasuredAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		s := b.r.sessions.of(analysisRun())
		s.inHand = []reading{{Taken: judge.Taken{Metric: "a"}}, {Taken: judge.Taken{Metric: "b"}}}
		b.r.launch(t.Context(), s, step{plan: judge.Plan{Due: []string{"b"}}, readings: s.inHand[:1]})
		if len(s.inFlight) > 0 {
			t.Errorf("%d measurements are under way", len(s.inFlight))
		}
	})
}

func TestErrorsHoldAndSayWhy(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["q"] = "DDDDDD"
		b.create(analysisRun(gate("error-rate", "q")))
		run := b.after(6*time.Minute + margin)
		b.wants(run, "Running, error-rate Running S0 F0 I0 E6 of 0")
		want := `Metric "error-rate" holds: more than 4 errors in a row: 403 from https://api.datadoghq.eu for q`
		if run.Status.Message != want {
			t.Errorf("acceptance 9: message %q, want %q", run.Status.Message, want)
		}
		if m := run.Status.MetricResults[0].Measurements[0]; m.Metadata[KeyReason] != "Unauthorized" || m.Phase != v1alpha1.AnalysisPhaseError {
			t.Errorf("acceptance 9: measurement is %+v", m)
		}
		facts := FactsOf(run, judge.Guide, time.Now())
		if facts.GuardReady || facts.Hold == "" || facts.HoldUntil.Sub(b.start).Round(time.Second) != 31*time.Minute {
			t.Errorf("rule 14: facts are %+v", facts)
		}
		b.wants(b.after(5*time.Minute), "Successful, error-rate Successful S5 F0 I0 E6 of 5")
	})
}

func TestFactsOfABackgroundGuard(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["q"] = "SSSSSSSNSSFFF"
		run := owned(analysisRun(gate("error-rate", "q")))
		run.Labels = map[string]string{v1alpha1.LabelRolloutType: v1alpha1.RolloutTypeBackground}
		b.create(checkout(), run)
		if f := FactsOf(b.after(margin), judge.Guide, time.Now()); f.GuardReady || f.GuardWhy == "" || !f.Trusted {
			t.Errorf("D14: before the first reading: %+v", f)
		}
		if f := FactsOf(b.after(7*time.Minute), judge.Guide, time.Now()); !f.GuardReady || f.Phase != v1alpha1.AnalysisPhaseRunning {
			t.Errorf("acceptance 12: after seven readings: %+v", f)
		}
		if f := FactsOf(b.run(), judge.Guide, time.Now().Add(2*time.Minute)); !f.GuardReady {
			t.Errorf("D14: one reading late: %+v", f)
		}
		if f := FactsOf(b.run(), judge.Guide, time.Now().Add(3*time.Minute)); f.GuardReady || f.GuardWhy != `metric "error-rate" was to be measured again by now` {
			t.Errorf("D14: nobody has looked for three minutes: %+v", f)
		}
		if f := FactsOf(b.run(), judge.Argo, time.Now().Add(3*time.Minute)); !f.GuardReady {
			t.Errorf("Argo has no guard: %+v", f)
		}
		if f := FactsOf(b.after(time.Minute), judge.Guide, time.Now()); f.GuardReady || !strings.Contains(f.GuardWhy, "query hits returned nothing") || f.Hold == "" {
			t.Errorf("D14: blind: %+v", f)
		}
		if f := FactsOf(b.after(time.Minute), judge.Guide, time.Now()); !f.GuardReady || f.Hold != "" {
			t.Errorf("D14: seeing again: %+v", f)
		}
		f := FactsOf(b.after(4*time.Minute), judge.Guide, time.Now())
		if f.Failed == nil || f.Failed.Name != "error-rate" || f.GuardReady || f.Phase != v1alpha1.AnalysisPhaseFailed {
			t.Errorf("acceptance 12: after the regression: %+v", f)
		}
		if len(b.verdicts) != 1 {
			t.Errorf("%d verdicts", len(b.verdicts))
		}
	})
}

func TestSecretArguments(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		const token, rotated = "top+secret/1", "top+secret/2"
		b.scripts["q-"+token], b.scripts["q-"+rotated] = "SD", "S"
		m := gate("error-rate", "q-{{args.token}}")
		m.SuccessCondition = "result < 0.01 && '{{args.token}}' != ''"
		run := analysisRun(m)
		run.Spec.Args = []v1alpha1.Argument{{Name: "token", ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "tokens", Key: "dd"}}}}
		b.create(run)
		got := b.after(time.Minute + margin)
		want := `Metric "error-rate" holds: argument "token": there is no Secret payments/tokens: create it and the run goes on`
		if got.Status.Message != want || got.Status.Phase != v1alpha1.AnalysisPhaseRunning {
			t.Errorf("%s, %q, want %q", got.Status.Phase, got.Status.Message, want)
		}
		b.mu.Lock()
		b.secrets["payments/tokens"] = map[string][]byte{"other": nil}
		b.mu.Unlock()
		if got = b.after(15 * time.Second); !strings.Contains(got.Status.Message, "there is no Secret") {
			t.Errorf("message is %q", got.Status.Message) // the first error stands while the kind is the same
		}
		b.mu.Lock()
		b.secrets["payments/tokens"] = map[string][]byte{"dd": []byte(token)}
		b.mu.Unlock()
		b.after(3 * time.Minute)
		b.mu.Lock()
		b.secrets["payments/tokens"] = map[string][]byte{"dd": []byte(rotated)}
		b.mu.Unlock()
		got = b.after(10 * time.Minute)
		if got.Status.Phase != v1alpha1.AnalysisPhaseSuccessful || len(b.asked["q-"+token]) == 0 || len(b.asked["q-"+rotated]) == 0 {
			t.Errorf("acceptance 3: %s, asked %v", summary(got), b.asked)
		}
		data, err := json.Marshal(got.Status)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "top") || !strings.Contains(string(data), "q-*****") {
			t.Errorf("a secret is stored, or nothing is: %s", data)
		}
	})
}

func TestWhatCannotBeJudgedIsAnErrorThatNamesTheField(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*v1alpha1.AnalysisRun)
		want   string
	}{
		"a condition": {func(r *v1alpha1.AnalysisRun) { r.Spec.Metrics[0].SuccessCondition = "result <" }, "the run cannot be judged: spec.metrics[0].successCondition: "},
		"an interval": {func(r *v1alpha1.AnalysisRun) { r.Spec.Metrics[0].Interval = "soon" }, `spec.metrics[0].interval: "soon" is no length of time`},
		"an argument": {func(r *v1alpha1.AnalysisRun) { r.Spec.Metrics[0].Interval = "{{args.x}}" }, `spec.metrics[0]: metric "error-rate" uses {{args.x}}, which is no argument`},
		"no metrics":  {func(r *v1alpha1.AnalysisRun) { r.Spec.Metrics = nil }, "the run has no metrics"},
		"a dry run":   {func(r *v1alpha1.AnalysisRun) { r.Spec.DryRun = []v1alpha1.DryRun{{MetricName: "x"}} }, `spec.dryRun[0].metricName: "x" matches no metric`},
		"the retention": {func(r *v1alpha1.AnalysisRun) {
			r.Spec.MeasurementRetention = []v1alpha1.MeasurementRetention{{MetricName: "x", Limit: 1}}
		}, `spec.measurementRetention[0].metricName`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bed) {
				run := analysisRun(gate("error-rate", "q"))
				tc.change(run)
				b.create(run)
				got := b.after(2 * time.Minute)
				if got.Status.Phase != v1alpha1.AnalysisPhaseError || !strings.Contains(got.Status.Message, tc.want) || got.Status.CompletedAt == nil {
					t.Errorf("%s, %q, want %q", got.Status.Phase, got.Status.Message, tc.want)
				}
				if len(b.asked) > 0 || b.writes != 1 {
					t.Errorf("measured %v, %d writes", b.asked, b.writes)
				}
			})
		})
	}
}

func TestAProviderThatCannotBeOpenedOrPanicsHolds(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		bad, web, none := gate("bad", "q"), gate("web", ""), gate("none", "")
		bad.Provider.Datadog.Formula = "a/b"
		web.Provider = v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{}}
		none.Provider = v1alpha1.MetricProvider{}
		b.scripts["panics"] = "P"
		b.create(analysisRun(bad, web, none, gate("panics", "panics")))
		got := b.after(time.Minute + margin)
		for _, want := range []string{"formula needs queries", `no metric provider "web"`, "names no provider", "the provider gave up: it panicked with a string"} {
			if !strings.Contains(got.Status.Message, want) {
				t.Errorf("message %q does not say %q", got.Status.Message, want)
			}
		}
		if strings.Contains(got.Status.Message, "nil map") {
			t.Errorf("message %q repeats what a provider panicked with, which may be a key", got.Status.Message)
		}
		if got.Status.Phase != v1alpha1.AnalysisPhaseRunning {
			t.Errorf("run is %s", got.Status.Phase)
		}
	})
}

func TestTermination(t *testing.T) {
	t.Parallel()
	terminate := func(by, why string) func(*v1alpha1.AnalysisRun) {
		return func(run *v1alpha1.AnalysisRun) {
			run.Spec.Terminate = true
			if by != "" {
				run.Annotations = map[string]string{AnnotationTerminatedBy: by, AnnotationTerminatedReason: why}
			}
		}
	}
	tests := map[string]struct {
		why    string
		script string
		change func(*v1alpha1.AnalysisRun)
		want   v1alpha1.AnalysisPhase
		says   string
	}{
		"by a person":       {"rule 22", "SS", terminate("", ""), v1alpha1.AnalysisPhaseInconclusive, "Run Terminated: by a person, before it had passed"},
		"by the controller": {"rule 22", "SS", terminate("controller", "the rollout was promoted"), v1alpha1.AnalysisPhaseSuccessful, "Run Terminated: the rollout was promoted"},
		"by somebody else":  {"rule 22", "SS", terminate("bob", "x"), v1alpha1.AnalysisPhaseInconclusive, "Run Terminated: by a person, before it had passed"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bed) {
				b.scripts["q"] = tc.script
				b.create(checkout(), owned(analysisRun(gate("error-rate", "q"))))
				b.after(2*time.Minute + margin)
				b.change(tc.change)
				got := b.after(5 * time.Minute)
				if got.Status.Phase != tc.want || got.Status.Message != tc.says || len(b.asked["q"]) != 2 {
					t.Errorf("%s: %s, %q after %d measurements, want %s, %q", tc.why, got.Status.Phase, got.Status.Message, len(b.asked["q"]), tc.want, tc.says)
				}
				if len(b.verdicts) > 0 {
					t.Errorf("verdicts: %+v", b.verdicts)
				}
			})
		})
	}
}

func TestARunIsEndedFromTheRolloutsRecord(t *testing.T) {
	t.Parallel()
	verdict := &v1alpha1.AnalysisVerdict{Run: runKey.Name, Metric: "error-rate", Message: "recorded", Failed: 3, Limit: 2}
	ref := func(phase v1alpha1.AnalysisPhase) *v1alpha1.RolloutAnalysisRunStatus {
		return &v1alpha1.RolloutAnalysisRunStatus{Name: runKey.Name, Status: phase, Message: "recorded"}
	}
	tests := map[string]struct {
		why    string
		change func(*v1alpha1.Rollout)
		want   string
	}{
		"a verdict":          {"rule 23", func(ro *v1alpha1.Rollout) { ro.Status.Sluice = &v1alpha1.SluiceStatus{Verdict: verdict} }, "Failed, error-rate Failed S0 F2 I0 E0 of 2"},
		"the step's run":     {"rule 23", func(ro *v1alpha1.Rollout) { ro.Status.Canary.CurrentStepAnalysisRunStatus = ref("Failed") }, "Failed, error-rate Inconclusive S0 F2 I0 E0 of 2"},
		"the background run": {"rule 23", func(ro *v1alpha1.Rollout) { ro.Status.Canary.CurrentBackgroundAnalysisRunStatus = ref("Failed") }, "Failed, error-rate Inconclusive S0 F2 I0 E0 of 2"},
		"a run that goes on": {"rule 23", func(ro *v1alpha1.Rollout) { ro.Status.Canary.CurrentStepAnalysisRunStatus = ref("Running") }, "Running, error-rate Running S0 F2 I0 E0 of 2"},
		"another Rollout": {"rule 27", func(ro *v1alpha1.Rollout) {
			ro.UID = "other"
			ro.Status.Sluice = &v1alpha1.SluiceStatus{Verdict: verdict}
		}, "Running, error-rate Running S0 F2 I0 E0 of 2"},
		"a verdict on another": {"rule 23", func(ro *v1alpha1.Rollout) {
			ro.Status.Sluice = &v1alpha1.SluiceStatus{Verdict: &v1alpha1.AnalysisVerdict{Run: "checkout-0"}}
		}, "Running, error-rate Running S0 F2 I0 E0 of 2"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bed) {
				b.scripts["q"] = "FF"
				b.create(owned(analysisRun(gate("error-rate", "q"))))
				b.after(2*time.Minute + margin)
				ro := checkout()
				tc.change(ro)
				if err := b.client.Create(t.Context(), ro); err != nil {
					t.Fatal(err)
				}
				b.reboot() // the crash between the record and the run
				got := b.after(margin)
				b.wants(got, tc.want)
				if got.Status.Phase == v1alpha1.AnalysisPhaseFailed && (got.Status.Message != "recorded" || got.Status.CompletedAt == nil) {
					t.Errorf("%s: status is %+v", tc.why, got.Status)
				}
			})
		})
	}
}

// When the Rollout aborts it terminates its runs; the failed one is not
// completed as anything else.
func TestARecordWinsOverATermination(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["q"] = "SS"
		b.create(checkout(), owned(analysisRun(gate("error-rate", "q"))))
		b.after(2*time.Minute + margin)
		ro := &v1alpha1.Rollout{}
		if err := b.client.Get(t.Context(), client.ObjectKey{Namespace: runKey.Namespace, Name: "checkout"}, ro); err != nil {
			t.Fatal(err)
		}
		ro.Status.Sluice = &v1alpha1.SluiceStatus{Verdict: &v1alpha1.AnalysisVerdict{Run: runKey.Name, Metric: "error-rate", Message: "recorded"}}
		if err := b.client.Update(t.Context(), ro); err != nil {
			t.Fatal(err)
		}
		b.change(func(run *v1alpha1.AnalysisRun) { run.Spec.Terminate = true })
		b.wants(b.after(margin), "Failed, error-rate Failed S2 F0 I0 E0 of 2")
	})
}

func TestAStatusThatWasFilledInBeforeIsRefused(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		run := analysisRun(gate("error-rate", "q"))
		run.Status = v1alpha1.AnalysisRunStatus{Phase: v1alpha1.AnalysisPhaseRunning, MetricResults: []v1alpha1.MetricResult{{
			Name: "error-rate", Phase: v1alpha1.AnalysisPhaseRunning, Count: 4, Successful: 4,
			Measurements: []v1alpha1.Measurement{{Phase: v1alpha1.AnalysisPhaseSuccessful}},
			Metadata:     map[string]string{judge.KeyWindow: "S4", judge.KeyNext: "2000-01-01T00:00:00Z", KeyRun: "another-uid"},
		}}}
		if FactsOf(run, judge.Guide, time.Now()).Trusted {
			t.Error("rule 27: it is trusted")
		}
		b.create(run)
		got := b.after(margin)
		b.wants(got, "Pending, error-rate Pending S0 F0 I0 E0 of 0")
		if len(got.Status.MetricResults[0].Measurements) > 0 {
			t.Error("measurements that were filled in are kept")
		}
		if !FactsOf(got, judge.Guide, time.Now()).Trusted {
			t.Error("our own status is not trusted")
		}
		b.wants(b.after(5*time.Minute), "Successful, error-rate Successful S5 F0 I0 E0 of 5")
	})
}

func TestARunMadeAgainUnderItsNameStartsAnew(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.create(analysisRun(gate("error-rate", "q")))
		b.after(3*time.Minute + margin)
		if err := b.client.Delete(t.Context(), b.run()); err != nil {
			t.Fatal(err)
		}
		run := analysisRun(gate("error-rate", "q"))
		run.UID = "second"
		b.create(run)
		b.wants(b.after(margin), "Pending, error-rate Pending S0 F0 I0 E0 of 0")
	})
}

func TestADeletedRunIsNotMeasured(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.create(analysisRun(gate("error-rate", "q")))
		b.after(time.Minute + margin)
		if err := b.client.Delete(t.Context(), b.run()); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if len(b.asked["q"]) != 1 || len(b.r.sessions.byName) != 0 {
			t.Errorf("measured %d times, %d sessions", len(b.asked["q"]), len(b.r.sessions.byName))
		}
	})
}

func TestRunsOfOtherInstancesAreLeftAlone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		run := analysisRun(gate("error-rate", "q"))
		run.Labels = map[string]string{v1alpha1.LabelControllerInstanceID: "other"}
		b.create(run)
		if got := b.after(2 * time.Minute); got.Status.Phase != "" || len(b.asked) > 0 {
			t.Errorf("run is %s, asked %v", got.Status.Phase, b.asked)
		}
	})
}

func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, b *bed) {
		b.scripts["q"] = strings.Repeat("G", 20)
		a, dry := gate("a", "q"), gate("dry", "q2")
		a.Count, dry.Count = nil, nil
		run := analysisRun(a, dry)
		run.Labels = map[string]string{v1alpha1.LabelRolloutType: v1alpha1.RolloutTypeBackground}
		run.Spec.DryRun = []v1alpha1.DryRun{{MetricName: "dry"}}
		run.Spec.MeasurementRetention = []v1alpha1.MeasurementRetention{{MetricName: "dry", Limit: 3}}
		b.create(run)
		got := b.after(15*time.Minute + margin)
		results := got.Status.MetricResults
		if len(results[0].Measurements) != 10 || len(results[1].Measurements) != 3 || results[0].Count != 15 {
			t.Fatalf("%d and %d measurements are kept of %d", len(results[0].Measurements), len(results[1].Measurements), results[0].Count)
		}
		for i, m := range results[0].Measurements {
			if (m.Metadata["groups"] != "") != (i == 9) || m.Metadata["zero"] != "errors" {
				t.Errorf("groups are kept on the latest only: measurement %d has %v", i, m.Metadata)
			}
		}
		if past := results[0].Metadata[evidence.KeyPast]; strings.Count(past, `["S",`) != 5 || len(results[1].Metadata[evidence.KeyPast]) == 0 {
			t.Errorf("the five before them are in the evidence: %s", past)
		}
		if got.Status.DryRunSummary == nil || got.Status.DryRunSummary.Count != 1 || got.Status.RunSummary.Count != 1 || !results[1].DryRun {
			t.Errorf("summaries are %+v and %+v", got.Status.RunSummary, got.Status.DryRunSummary)
		}
	})
}

func TestTimeToLive(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ttl    v1alpha1.TTLStrategy
		script string
		want   time.Duration // after the run ended
	}{
		"after completion":                      {v1alpha1.TTLStrategy{SecondsAfterCompletion: new(int32(100))}, "", 100 * time.Second},
		"after success wins":                    {v1alpha1.TTLStrategy{SecondsAfterCompletion: new(int32(100)), SecondsAfterSuccess: new(int32(10))}, "", 10 * time.Second},
		"after failure wins":                    {v1alpha1.TTLStrategy{SecondsAfterSuccess: new(int32(100)), SecondsAfterFailure: new(int32(0))}, "F", 0},
		"after failure says nothing of success": {v1alpha1.TTLStrategy{SecondsAfterFailure: new(int32(0))}, "", 24 * time.Hour},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, b *bed) {
				b.scripts["q"] = tc.script
				m := gate("error-rate", "q")
				m.Count, m.FailureLimit, m.InitialDelay, m.Interval = nil, nil, "", ""
				run := analysisRun(m)
				run.Spec.TTLStrategy = &tc.ttl
				b.create(run)
				synctest.Wait()
				b.queue <- runKey // the watch would
				gone := func() bool {
					synctest.Wait()
					return apierrors.IsNotFound(b.client.Get(t.Context(), runKey, &v1alpha1.AnalysisRun{}))
				}
				if tc.want > time.Second {
					<-time.After(tc.want - 2*time.Second)
					if gone() {
						t.Fatal("it is deleted too soon")
					}
				}
				if tc.want < time.Hour {
					<-time.After(4 * time.Second)
					if !gone() {
						t.Error("it is not deleted")
					}
				}
			})
		})
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   any
		want string
	}{
		"nothing":     {nil, ""},
		"a float":     {0.0123, "0.0123"},
		"a whole":     {400.0, "400"},
		"large":       {1e20, "100000000000000000000"},
		"a list":      {[]float64{1, 0.5}, "[1,0.5]"},
		"an object":   {map[string]any{"a": []any{1.0}}, `{"a":[1]}`},
		"a string":    {"text", "text"},
		"a long text": {strings.Repeat("x", 3000), strings.Repeat("x", maxValue) + "…"},
	}
	for name, tc := range tests {
		if got := format(tc.in); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if got := format(make([]float64, 1_000_000)); len(got) > maxValue+10 {
		t.Errorf("a long list is %d bytes", len(got))
	}
}

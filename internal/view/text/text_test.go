// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package text

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/view"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("drawing differs from %s (-want +got); after reading it, -update accepts it:\n%s", path, diff)
	}
}

const (
	passing = v1alpha1.AnalysisPhaseSuccessful
	running = v1alpha1.AnalysisPhaseRunning
	failed  = v1alpha1.AnalysisPhaseFailed
)

func healthy() view.Objects {
	o := world(checkout(), 0)
	o.ReplicaSets = o.ReplicaSets[:1]
	return o
}

func climbing() view.Objects {
	ro := releasing(2, 10)
	ro.Status.Message = "waiting for analysis to complete"
	return world(ro, 1,
		run("checkout-"+canary+"-2", "Background", running, []string{"0.0012", "0.003", "0.004098360655737705"}, []string{"198.2", "205.1", "212.71828182845904"}),
		run("checkout-"+canary+"-2-2", "Step", running, []string{"0.003", "0.0041"}, []string{"205.1", "212.7"}))
}

func band() view.Objects {
	ro := releasing(2, 10)
	ro.Status.Message = "waiting for analysis to complete"
	ro.Status.Sluice = &v1alpha1.SluiceStatus{
		Hold:         "error-rate of checkout-" + canary + "-2-2 is between its limits: neither < 0.01 nor >= 0.05",
		HoldingSince: new(ago(3 * time.Minute)),
	}
	return world(ro, 1,
		run("checkout-"+canary+"-2", "Background", running, []string{"0.021", "0.018", "0.023"}, []string{"198.2", "205.1", "212.7"}),
		run("checkout-"+canary+"-2-2", "Step", running, []string{"0.08", "0.021", "0.018", "0.023"}, []string{"201", "198.2", "205.1", "212.7"}))
}

func stepPause() view.Objects {
	ro := releasing(1, 10)
	ro.Status.Phase, ro.Status.Message = v1alpha1.RolloutPhasePaused, "CanaryPauseStep"
	ro.Status.ControllerPause = true
	ro.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonCanaryPauseStep, StartTime: ago(48 * time.Second)}}
	return world(ro, 1, run("checkout-"+canary+"-2", "Background", v1alpha1.AnalysisPhasePending, nil, nil))
}

func endlessPause() view.Objects {
	o := stepPause()
	o.Rollout.Spec.Strategy.Canary.Steps[1].Pause.Duration = nil
	return o
}

func aborted() view.Objects {
	ro := releasing(0, 0)
	ro.Status.Abort, ro.Status.AbortedAt = true, new(ago(10*time.Second))
	ro.Status.Phase = v1alpha1.RolloutPhaseDegraded
	message := `Metric "error-rate" assessed Failed due to failed (3) > failureLimit (2): last value 0.081, limit >= 0.05`
	ro.Status.Message = "RolloutAborted: Rollout aborted update to revision 2: Step-based analysis phase error/failed: " + message
	o := world(ro, 1,
		finish(run("checkout-"+canary+"-2", "Background", passing, []string{"0.081"}, []string{"198.2"}), "", passing, passing),
		finish(run("checkout-"+canary+"-2-2", "Step", failed, []string{"0.079", "0.083", "0.081"}, []string{"198.2", "205.1", "212.7"}), message, failed, passing))
	o.ReplicaSets[1].Annotations[v1alpha1.AnnotationScaleDownDeadline] = now.Add(20 * time.Second).Format(time.RFC3339)
	return o
}

func invalidSpec() view.Objects {
	o := healthy()
	o.Rollout.Generation, o.Rollout.Status.ObservedGeneration = 5, "5"
	o.Rollout.Status.Phase = v1alpha1.RolloutPhaseDegraded
	o.Rollout.Status.Message = `InvalidSpec: spec.strategy.canary.trafficRouting.istio.virtualService: VirtualService payments/checkout-vsvc is not there; it goes on by itself when it is`
	o.Rollout.Status.Conditions = []v1alpha1.RolloutCondition{{Type: v1alpha1.InvalidSpec, Status: corev1.ConditionTrue}}
	return o
}

func promoted() view.Objects {
	ro := checkout()
	ro.Status.StableRS, ro.Status.CurrentPodHash = canary, canary
	ro.Status.Replicas, ro.Status.ReadyReplicas, ro.Status.AvailableReplicas = 16, 16, 16
	o := world(ro, 8,
		finish(run("checkout-"+canary+"-2", "Background", passing, []string{"0.003"}, []string{"198.2"}), "", passing, passing),
		finish(run("checkout-"+canary+"-2-2", "Step", passing, []string{"0.003", "0", "0.001", "0.002", "0"}, []string{"198", "205", "212", "207", "203"}), "", passing, passing))
	o.ReplicaSets[0].Annotations[v1alpha1.AnnotationScaleDownDeadline] = now.Add(25 * time.Second).Format(time.RFC3339)
	return o
}

func noData() view.Objects {
	ro := releasing(2, 10)
	ro.Status.Message = "waiting for analysis to complete"
	ro.Status.Sluice = &v1alpha1.SluiceStatus{Hold: "error-rate of checkout-" + canary + "-2-2: no data from query hits"}
	return world(ro, 1,
		run("checkout-"+canary+"-2-2", "Step", running, []string{"0.002", ""}, []string{"201", "datadog https://api.datadoghq.eu answered 403 Forbidden: wrong address for this organisation, or the application key lacks timeseries_query"}))
}

func crashing() view.Objects {
	ro := releasing(0, 0)
	ro.Status.Message = "updated replicas are still becoming available"
	ro.Status.ReadyReplicas, ro.Status.AvailableReplicas = 8, 8
	o := world(ro, 1)
	o.ReplicaSets[1].Status.ReadyReplicas, o.ReplicaSets[1].Status.AvailableReplicas = 0, 0
	o.Pods[8].Status.ContainerStatuses = []corev1.ContainerStatus{{
		RestartCount: 4, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
	}}
	return o
}

func manual() view.Objects {
	ro := releasing(5, 50)
	ro.Spec.Paused = true
	ro.Status.Phase, ro.Status.Message = v1alpha1.RolloutPhasePaused, "manually paused"
	ro.Status.Sluice = &v1alpha1.SluiceStatus{Skipped: []v1alpha1.SkippedStep{{Step: 2, What: "checkout-" + canary + "-2-2", By: "kubectl-argo-rollouts"}}}
	return world(ro, 4, run("checkout-"+canary+"-2", "Background", running, []string{"0.0012", "0.003"}, []string{"198.2", "205.1"}))
}

func unobserved() view.Objects {
	o := healthy()
	o.Rollout.Generation = 5
	return o
}

func crowded() view.Objects {
	o := healthy()
	o.Pods = pods(stable, 14, time.Hour)
	o.Pods[3].Status.ContainerStatuses[0].Ready = false
	o.Rollout.Spec.Replicas = new(int32(14))
	return o
}

func inconclusive() view.Objects {
	ro := releasing(2, 10)
	ro.Status.Phase, ro.Status.Message = v1alpha1.RolloutPhasePaused, "InconclusiveAnalysisRun"
	ro.Status.ControllerPause = true
	ro.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonInconclusiveAnalysis, StartTime: ago(20 * time.Minute)}}
	return world(ro, 1, finish(run("checkout-"+canary+"-2-2", "Step", v1alpha1.AnalysisPhaseInconclusive, []string{"0.021"}, []string{"198"}),
		"", v1alpha1.AnalysisPhaseInconclusive, passing))
}

func blueGreen() view.Objects {
	ro := releasing(0, 0)
	ro.Spec.Strategy = v1alpha1.RolloutStrategy{BlueGreen: &v1alpha1.BlueGreenStrategy{ActiveService: "a", PreviewService: "p"}}
	ro.Status.BlueGreen.ActiveSelector, ro.Status.BlueGreen.PreviewSelector = stable, canary
	ro.Status.Phase, ro.Status.Message = v1alpha1.RolloutPhasePaused, "BlueGreenPause"
	ro.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonBlueGreenPause, StartTime: ago(time.Minute)}}
	o := world(ro, 2)
	o.ReplicaSets = append(o.ReplicaSets, appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "somebody-elses"}})
	return o
}

func TestRollout(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]func() view.Objects{
		"healthy": healthy, "climbing": climbing, "band": band, "step-pause": stepPause, "endless-pause": endlessPause,
		"aborted": aborted, "invalid-spec": invalidSpec, "promoted": promoted, "no-data-and-403": noData, "crashing": crashing,
		"manual-pause-and-skipped": manual, "unobserved": unobserved, "crowded": crowded, "inconclusive": inconclusive,
		"blue-green": blueGreen,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := view.Of(tc(), now)
			golden(t, name, Rollout(v, Options{Command: "kubectl argo rollouts"}))
			if name == "band" || name == "crashing" || name == "crowded" {
				golden(t, name+"-small", Rollout(v, Options{Width: 80, Small: true, Command: "sluice"}))
			}
			for _, columns := range []int{80, 120} {
				got := Rollout(v, Options{Width: columns, Command: "sluice"})
				if name == "band" || name == "aborted" || name == "no-data-and-403" {
					golden(t, name+"-"+map[int]string{80: "80", 120: "120"}[columns], got)
				}
				for line := range strings.Lines(got) {
					if n := width(strings.TrimRight(line, "\n")); n > columns && !strings.Contains(line, "registry.internal") {
						t.Errorf("at %d columns a line has %d: %q", columns, n, line)
					}
				}
			}
		})
	}
}

func TestColourIsTheOnlyDifference(t *testing.T) {
	t.Parallel()
	v := view.Of(band(), now)
	coloured := Rollout(v, Options{Color: true})
	golden(t, "band-colour", coloured)
	bare := coloured
	for _, code := range []string{"0", "1", "2", "31", "32", "33", "34"} {
		bare = strings.ReplaceAll(bare, "\x1b["+code+"m", "")
	}
	if diff := cmp.Diff(Rollout(v, Options{}), bare); diff != "" {
		t.Errorf("colour changed the text (-plain +coloured):\n%s", diff)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for name, ar := range map[string]v1alpha1.AnalysisRun{
		"run-failed":  aborted().AnalysisRuns[1],
		"run-no-data": noData().AnalysisRuns[0],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := view.DetailOf(&ar, now)
			golden(t, name, Run(d, Options{}))
			golden(t, name+"-80", Run(d, Options{Width: 80}))
		})
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	var list []view.Rollout
	for _, o := range []view.Objects{healthy(), band(), aborted(), blueGreen()} {
		list = append(list, view.Of(o, now))
	}
	golden(t, "list", Rollouts(list, Columns{}, Options{}))
	golden(t, "list-everywhere", Rollouts(list, Columns{Namespace: true, Time: "2026-11-22T12:00:00Z"}, Options{}))
	if got := Rollouts(nil, Columns{Bare: true}, Options{}); got != "" {
		t.Errorf("an empty list without headings draws %q", got)
	}
}

func TestExperiment(t *testing.T) {
	t.Parallel()
	exp := v1alpha1.Experiment{
		ObjectMeta: metav1.ObjectMeta{Name: "checkout-ab", Namespace: "payments", CreationTimestamp: ago(10 * time.Minute)},
		Spec: v1alpha1.ExperimentSpec{Duration: "30m", Templates: []v1alpha1.TemplateSpec{
			{Name: "canary", Replicas: new(int32(2)), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: "checkout:1.1.0"}}}}},
			{Name: "baseline"},
		}},
		Status: v1alpha1.ExperimentStatus{
			Phase: running, AvailableAt: new(ago(9 * time.Minute)),
			TemplateStatuses: []v1alpha1.TemplateStatus{
				{Name: "canary", Status: v1alpha1.TemplateStatusRunning, AvailableReplicas: 2},
				{Name: "baseline", Status: v1alpha1.TemplateStatusProgressing, Message: "waiting for pods"},
			},
			AnalysisRuns: []v1alpha1.ExperimentAnalysisRunStatus{{Name: "errors", AnalysisRun: "checkout-ab-errors", Phase: running}},
		},
	}
	v := view.ExperimentOf(&exp, []v1alpha1.AnalysisRun{run("checkout-ab-errors", "", running, []string{"0.003"}, []string{"198"})}, now)
	golden(t, "experiment", Experiment(v, Options{}))
	golden(t, "list-experiments", Experiments([]view.Experiment{v}, Columns{}, Options{}))
}

func TestShort(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0.07964601769911504": "0.079646", "39.38316127861645": "39.3832", "212.7": "212.7", "0": "0", "12345678": "12345678",
		"1234567.891": "1234568", "[0.01,0.0234567]": "[0.01,0.0234567]", "true": "true", "NaN": "NaN",
	} {
		if got := short(in); got != want {
			t.Errorf("short(%s) = %s, want %s", in, got, want)
		}
	}
}

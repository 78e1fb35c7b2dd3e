// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/api/v1alpha1"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// rollout is a canary at its second step, set up by the changes.
func rollout(change ...func(*v1alpha1.Rollout)) *v1alpha1.Rollout {
	ro := &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Name: "checkout", UID: "ro", Generation: 3},
		Spec: v1alpha1.RolloutSpec{Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{Steps: []v1alpha1.CanaryStep{
			{SetWeight: new(int32(20))}, {Pause: &v1alpha1.RolloutPause{Duration: new(intstr.FromString("1m"))}}, {SetWeight: new(int32(60))},
		}}}},
		Status: v1alpha1.RolloutStatus{
			ObservedGeneration: "3", CurrentPodHash: "new", StableRS: "old", CurrentStepIndex: new(int32(1)),
			Phase: v1alpha1.RolloutPhaseProgressing, Message: "waiting for all steps to complete",
			Replicas: 5, UpdatedReplicas: 1, AvailableReplicas: 5,
		},
	}
	for _, c := range change {
		c(ro)
	}
	return ro
}

func routed(weight int32) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		ro.Spec.Strategy.Canary.TrafficRouting = &v1alpha1.RolloutTrafficRouting{}
		ro.Status.Canary.Weights = &v1alpha1.TrafficWeights{
			Canary: v1alpha1.WeightDestination{Weight: weight, PodTemplateHash: "new"},
			Stable: v1alpha1.WeightDestination{Weight: 100 - weight, PodTemplateHash: "old"},
		}
	}
}

func TestPhase(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in      *v1alpha1.Rollout
		phase   v1alpha1.RolloutPhase
		message string
	}{
		"the status is trusted": {in: rollout(), phase: "Progressing", message: "waiting for all steps to complete"},
		"the spec is newer than the status": {
			in:    rollout(func(ro *v1alpha1.Rollout) { ro.Generation, ro.Status.Phase = 4, "Healthy" }),
			phase: "Progressing", message: "waiting for rollout spec update to be observed",
		},
		"no controller has ever looked": {
			in:    rollout(func(ro *v1alpha1.Rollout) { ro.Status = v1alpha1.RolloutStatus{} }),
			phase: "Progressing", message: "waiting for rollout spec update to be observed",
		},
		"an old controller wrote a hash": {
			in: rollout(func(ro *v1alpha1.Rollout) {
				ro.Status.ObservedGeneration, ro.Status.Phase, ro.Status.Message = "7b9c", "Healthy", ""
			}), phase: "Healthy",
		},
		"the workload is newer than the status": {
			in: rollout(func(ro *v1alpha1.Rollout) {
				ro.Spec.WorkloadRef = &v1alpha1.ObjectRef{}
				ro.Annotations = map[string]string{v1alpha1.AnnotationWorkloadGeneration: "2"}
				ro.Status.WorkloadObservedGeneration = "1"
			}),
			phase: "Progressing", message: "waiting for rollout spec update to be observed",
		},
		"a person has resumed and the controller has not seen it": {
			in:    rollout(func(ro *v1alpha1.Rollout) { ro.Status.ControllerPause, ro.Status.Phase = true, "Paused" }),
			phase: "Progressing", message: "waiting for rollout to unpause",
		},
		"an abort during a pause is no resumption": {
			in: rollout(func(ro *v1alpha1.Rollout) {
				ro.Status.ControllerPause, ro.Status.Abort, ro.Status.Phase, ro.Status.Message = true, true, "Degraded", "RolloutAborted"
			}),
			phase: "Degraded", message: "RolloutAborted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Of(Objects{Rollout: tc.in}, now)
			if got.Phase != tc.phase || got.Message != tc.message {
				t.Errorf("got %s, %q, want %s, %q", got.Phase, got.Message, tc.phase, tc.message)
			}
		})
	}
}

func TestWeights(t *testing.T) {
	t.Parallel()
	step := func(n int32) func(*v1alpha1.Rollout) {
		return func(ro *v1alpha1.Rollout) { ro.Status.CurrentStepIndex = &n }
	}
	for name, tc := range map[string]struct {
		in          *v1alpha1.Rollout
		set, actual int32
	}{
		"without a router, pods are counted":       {in: rollout(), set: 20, actual: 20},
		"with a router, it is believed":            {in: rollout(routed(10)), set: 20, actual: 10},
		"the weight of the step at work":           {in: rollout(routed(20), step(2)), set: 60, actual: 20},
		"all steps are done":                       {in: rollout(routed(60), step(3)), set: 100, actual: 60},
		"aborted":                                  {in: rollout(routed(20), func(ro *v1alpha1.Rollout) { ro.Status.Abort = true }), actual: 20},
		"nothing is under way":                     {in: rollout(routed(0), func(ro *v1alpha1.Rollout) { ro.Status.StableRS = "new" }), set: 100, actual: 100},
		"an index beyond the steps does no harm":   {in: rollout(routed(60), step(9)), set: 100, actual: 60},
		"no step has set a weight yet":             {in: rollout(func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.Steps[0] = v1alpha1.CanaryStep{} }), actual: 20},
		"a router that has not been told anything": {in: rollout(routed(0), func(ro *v1alpha1.Rollout) { ro.Status.Canary.Weights = nil }), set: 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Of(Objects{Rollout: tc.in}, now)
			if got.SetWeight != tc.set || got.ActualWeight != tc.actual {
				t.Errorf("got %d set, %d actual, want %d, %d", got.SetWeight, got.ActualWeight, tc.set, tc.actual)
			}
		})
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	waits := func(reason v1alpha1.PauseReason) func(*v1alpha1.Rollout) {
		return func(ro *v1alpha1.Rollout) {
			ro.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: reason, StartTime: ago(20 * time.Second)}}
		}
	}
	length := func(d *intstr.IntOrString) func(*v1alpha1.Rollout) {
		return func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.Steps[1].Pause.Duration = d }
	}
	for name, tc := range map[string]struct {
		in   *v1alpha1.Rollout
		want []Pause
	}{
		"none":                         {in: rollout()},
		"a timed step":                 {in: rollout(waits("CanaryPauseStep")), want: []Pause{{Reason: "CanaryPauseStep", Since: 20 * time.Second, Left: 40 * time.Second}}},
		"seconds as a number":          {in: rollout(waits("CanaryPauseStep"), length(new(intstr.FromInt32(30)))), want: []Pause{{Reason: "CanaryPauseStep", Since: 20 * time.Second, Left: 10 * time.Second}}},
		"seconds as a string":          {in: rollout(waits("CanaryPauseStep"), length(new(intstr.FromString("25")))), want: []Pause{{Reason: "CanaryPauseStep", Since: 20 * time.Second, Left: 5 * time.Second}}},
		"time that is over":            {in: rollout(waits("CanaryPauseStep"), length(new(intstr.FromInt32(5)))), want: []Pause{{Reason: "CanaryPauseStep", Since: 20 * time.Second}}},
		"until a person acts":          {in: rollout(waits("CanaryPauseStep"), length(nil)), want: []Pause{{Reason: "CanaryPauseStep", Since: 20 * time.Second, Left: -1}}},
		"an analysis that cannot tell": {in: rollout(waits("InconclusiveAnalysisRun")), want: []Pause{{Reason: "InconclusiveAnalysisRun", Since: 20 * time.Second, Left: -1}}},
		"a person, first": {
			in:   rollout(waits("CanaryPauseStep"), func(ro *v1alpha1.Rollout) { ro.Spec.Paused = true }),
			want: []Pause{{Left: -1}, {Reason: "CanaryPauseStep", Since: 20 * time.Second, Left: 40 * time.Second}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, Of(Objects{Rollout: tc.in}, now).Pauses); diff != "" {
				t.Errorf("pauses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPodStatus(t *testing.T) {
	t.Parallel()
	waiting := func(reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
	}
	ended := func(code, signal int32, reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Signal: signal, Reason: reason}}}
	}
	containers := func(s ...corev1.ContainerStatus) corev1.Pod {
		return corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: s}}
	}
	first := func(s corev1.ContainerStatus) corev1.Pod {
		return corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{s}}}
	}
	for name, tc := range map[string]struct {
		in   corev1.Pod
		want string
	}{
		"running":                     {in: corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}}, want: "Running"},
		"not seen by a node yet":      {want: "Pending"},
		"going":                       {in: corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: new(ago(0))}}, want: "Terminating"},
		"evicted":                     {in: corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}}, want: "Evicted"},
		"an image that is not there":  {in: containers(waiting("ImagePullBackOff")), want: "ImagePullBackOff"},
		"the second container fails":  {in: containers(corev1.ContainerStatus{}, waiting("CrashLoopBackOff")), want: "CrashLoopBackOff"},
		"killed for its memory":       {in: containers(ended(137, 0, "OOMKilled")), want: "OOMKilled"},
		"ended by a signal":           {in: containers(ended(0, 9, "")), want: "Signal:9"},
		"ended":                       {in: containers(ended(3, 0, "")), want: "ExitCode:3"},
		"an init container fails":     {in: first(ended(1, 0, "Error")), want: "Init:Error"},
		"an init container waits":     {in: first(waiting("ImagePullBackOff")), want: "Init:ImagePullBackOff"},
		"an init container has ended": {in: first(ended(0, 0, "Completed")), want: "Pending"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := podStatus(&tc.in); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestMetric(t *testing.T) {
	t.Parallel()
	spec := v1alpha1.Metric{
		Name: "errors", Count: new(intstr.FromString("{{args.n}}")), FailureLimit: new(intstr.FromInt32(1)),
		SuccessCondition: "result[0] < {{ args.max }}", FailureCondition: "isNaN(result)\n || result > 1", AbortCondition: "result>=0.5",
	}
	args := []v1alpha1.Argument{{Name: "n", Value: new("5")}, {Name: "max", Value: new("0.01")}}
	phases := func(letters string) []v1alpha1.Measurement {
		var out []v1alpha1.Measurement
		for _, l := range letters {
			out = append(out, v1alpha1.Measurement{Value: "0.02", Phase: map[rune]v1alpha1.AnalysisPhase{
				'S': v1alpha1.AnalysisPhaseSuccessful, 'F': v1alpha1.AnalysisPhaseFailed, 'I': v1alpha1.AnalysisPhaseInconclusive, 'E': v1alpha1.AnalysisPhaseError,
			}[l]})
		}
		return out
	}
	limits := Metric{Name: "errors", Pass: "< 0.01", Fail: "isNaN(result) || result > 1", Abort: ">= 0.5", FailureLimit: 1, Want: 5}
	for name, tc := range map[string]struct {
		kind   string
		result *v1alpha1.MetricResult
		window int
		failed int
		last   v1alpha1.AnalysisPhase
	}{
		"nothing was measured":                      {},
		"readings since the last inconclusive one":  {result: &v1alpha1.MetricResult{Measurements: phases("SISF"), Failed: 1}, window: 2, failed: 1, last: "Failed"},
		"an error is no reading":                    {result: &v1alpha1.MetricResult{Measurements: phases("SSE")}, window: 2, last: "Error"},
		"an inconclusive reading starts it again":   {result: &v1alpha1.MetricResult{Measurements: phases("SSI")}, last: "Inconclusive"},
		"a window is no larger than what is needed": {result: &v1alpha1.MetricResult{Measurements: phases("SSSSSSS")}, window: 5, last: "Successful"},
		"the judge remembers more than is kept": {
			result: &v1alpha1.MetricResult{Measurements: phases("S"), Metadata: map[string]string{"sluice.dev/window": "IS3"}}, window: 3, last: "Successful",
		},
		"beside the steps, old failures are forgiven": {
			kind: v1alpha1.RolloutTypeBackground, window: 5, failed: 1, last: "Successful",
			result: &v1alpha1.MetricResult{Measurements: phases("S"), Failed: 4, Metadata: map[string]string{"sluice.dev/window": "F3S4FS"}},
		},
		"in a step they are not": {
			kind: v1alpha1.RolloutTypeStep, window: 5, failed: 4, last: "Successful",
			result: &v1alpha1.MetricResult{Measurements: phases("S"), Failed: 4, Metadata: map[string]string{"sluice.dev/window": "F3S4FS"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{Args: args, Metrics: []v1alpha1.Metric{spec}}}
			run.Labels = map[string]string{v1alpha1.LabelRolloutType: tc.kind}
			if tc.result != nil {
				tc.result.Name = "errors"
				run.Status.MetricResults = []v1alpha1.MetricResult{*tc.result}
			}
			want := limits
			want.Window, want.Failed, want.Last = tc.window, tc.failed, tc.last
			got := RunOf(&run, now).Metrics[0]
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Metric{}, "Phase", "Value", "Counts")); diff != "" {
				t.Errorf("metric (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	owner := []metav1.OwnerReference{{UID: "ro", Controller: new(true)}}
	set := func(hash, number string, replicas int32, owner []metav1.OwnerReference) appsv1.ReplicaSet {
		return appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{
				Name: hash, OwnerReferences: owner,
				Labels: map[string]string{v1alpha1.LabelPodTemplateHash: hash}, Annotations: map[string]string{v1alpha1.AnnotationRevision: number},
			},
			Spec:   appsv1.ReplicaSetSpec{Replicas: &replicas},
			Status: appsv1.ReplicaSetStatus{Replicas: replicas, AvailableReplicas: replicas},
		}
	}
	run := func(name, hash, number string, age time.Duration) v1alpha1.AnalysisRun {
		ar := v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{
			Name: name, OwnerReferences: owner, CreationTimestamp: ago(age), Labels: map[string]string{v1alpha1.LabelPodTemplateHash: hash},
		}}
		if number != "" {
			ar.Annotations = map[string]string{v1alpha1.AnnotationRevision: number}
		}
		return ar
	}
	o := Objects{
		Rollout:     rollout(routed(20)),
		ReplicaSets: []appsv1.ReplicaSet{set("old", "9", 4, owner), set("new", "10", 1, owner), set("older", "8", 0, owner), set("foreign", "11", 1, nil)},
		AnalysisRuns: []v1alpha1.AnalysisRun{
			run("b-second", "new", "10", time.Minute), run("a-third", "new", "10", time.Second), run("c-first", "new", "", time.Hour), run("lost", "gone", "", 0),
		},
	}
	got := Of(o, now)
	type line struct {
		Number  int64
		Current bool
		Set     string
		Status  string
		Roles   []string
		Weight  int32
		Runs    []string
	}
	var lines []line
	for _, r := range got.Tree {
		l := line{Number: r.Number, Current: r.Current}
		for _, rs := range r.ReplicaSets {
			l.Set, l.Status, l.Roles, l.Weight = rs.Name, rs.Status, rs.Roles, rs.Weight
		}
		for _, run := range r.Runs {
			l.Runs = append(l.Runs, run.Name)
		}
		lines = append(lines, l)
	}
	want := []line{
		{Number: 10, Current: true, Set: "new", Status: "Healthy", Roles: []string{"canary"}, Weight: 20, Runs: []string{"c-first", "b-second", "a-third"}},
		{Number: 9, Set: "old", Status: "Healthy", Roles: []string{"stable"}, Weight: 80},
		{Number: 8, Set: "older", Status: "ScaledDown", Weight: -1},
		{Number: 0, Runs: []string{"lost"}},
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestAViewOfNoTimeStaysTheSame(t *testing.T) {
	t.Parallel()
	ro := rollout(func(ro *v1alpha1.Rollout) {
		ro.CreationTimestamp = ago(time.Hour)
		ro.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonCanaryPauseStep, StartTime: ago(time.Second)}}
	})
	got := Of(Objects{Rollout: ro}, time.Time{})
	if got.Age != 0 || got.Pauses[0].Since != 0 || got.Pauses[0].Left != time.Minute {
		t.Errorf("a view of no time has times in it: %+v", got)
	}
}

func TestASecretStaysHidden(t *testing.T) {
	t.Parallel()
	run := v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{
		Args: []v1alpha1.Argument{{Name: "token", ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}}},
		Metrics: []v1alpha1.Metric{{
			Name: "m", Provider: v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{URL: "http://example.com/?t={{args.token}}"}},
		}},
	}}
	got := DetailOf(&run, now)
	if diff := cmp.Diff([]string{"token=***** (key k of Secret s)"}, got.Args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	want := []Rule{{"Limits", "0 failures allowed"}, {"Web", "http://example.com/?t=*****"}}
	if diff := cmp.Diff(want, got.Details[0].Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

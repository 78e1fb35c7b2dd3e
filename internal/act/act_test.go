// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package act

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/api/v1alpha1"
)

// rollout is a canary with four steps that is at its second one.
func rollout(change ...func(*v1alpha1.Rollout)) *v1alpha1.Rollout {
	ro := &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Name: "checkout", Namespace: "payments", UID: "ro"},
		Spec: v1alpha1.RolloutSpec{Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{
			Steps: make([]v1alpha1.CanaryStep, 4),
		}}},
		Status: v1alpha1.RolloutStatus{CurrentPodHash: "new", StableRS: "old", CurrentStepIndex: new(int32(1))},
	}
	for _, c := range change {
		c(ro)
	}
	return ro
}

func paused(ro *v1alpha1.Rollout) { ro.Spec.Paused = true }

func atPause(ro *v1alpha1.Rollout) {
	ro.Status.ControllerPause = true
	ro.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonCanaryPauseStep}}
}

func undecided(ro *v1alpha1.Rollout) {
	ro.Status.ControllerPause = true
	ro.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonInconclusiveAnalysis}}
	ro.Status.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Status: v1alpha1.AnalysisPhaseInconclusive}
}

func atEnd(ro *v1alpha1.Rollout)      { ro.Status.CurrentStepIndex = new(int32(4)) }
func notStarted(ro *v1alpha1.Rollout) { ro.Status.CurrentStepIndex = nil }
func done(ro *v1alpha1.Rollout)       { ro.Status.StableRS = "new" }
func aborted(ro *v1alpha1.Rollout)    { ro.Status.Abort = true }
func stepless(ro *v1alpha1.Rollout)   { ro.Spec.Strategy.Canary.Steps = nil }
func blueGreen(ro *v1alpha1.Rollout) {
	ro.Spec.Strategy = v1alpha1.RolloutStrategy{BlueGreen: &v1alpha1.BlueGreenStrategy{}}
}

// sent is a Plan's patches in the form "[status ]TYPE BODY[ or FALLBACK]".
func sent(p Plan) []string {
	var out []string
	for _, one := range p.Patches {
		s := string(one.Body)
		if one.Type == JSON {
			s = "json " + s
		}
		if one.Subresource != "" {
			s = one.Subresource + " " + s
		}
		if one.Fallback != nil {
			s += " or " + string(one.Fallback)
		}
		out = append(out, s)
	}
	return out
}

// These are the bytes that the Argo Rollouts plugin sends. A person's pause ends
// first: see clearPause.
func TestPromoteSendsWhatTheArgoPluginSends(t *testing.T) {
	t.Parallel()
	const clear = `status {"status":{"pauseConditions":null}} or {"spec":{"paused":false},"status":{"pauseConditions":null}}`
	const unpause = `{"spec":{"paused":false}}`
	const full = `status {"status":{"promoteFull":true}} or {"spec":{"paused":false},"status":{"promoteFull":true}}`
	next := func(n string) string {
		return `status {"status":{"pauseConditions":null, "currentStepIndex":` + n + `}}` +
			` or {"spec":{"paused":false},"status":{"pauseConditions":null, "currentStepIndex":` + n + `}}`
	}
	index := func(n string) string {
		body := `{"status":{"currentStepIndex":` + n + `}}`
		return "status " + body + " or " + body
	}
	for name, tc := range map[string]struct {
		in   *v1alpha1.Rollout
		how  How
		want []string
	}{
		"a pause is cleared and the step stays":        {in: rollout(atPause), want: []string{clear}},
		"a person's pause is ended as well":            {in: rollout(atPause, paused), want: []string{unpause, clear}},
		"a running step is skipped":                    {in: rollout(), want: []string{next("2")}},
		"a running step is skipped and resumed":        {in: rollout(paused), want: []string{next("2"), unpause}},
		"the first step is skipped":                    {in: rollout(notStarted), want: []string{next("1")}},
		"past the last step there is none to skip":     {in: rollout(atEnd), want: []string{next("4")}},
		"an inconclusive gate is not measured again":   {in: rollout(undecided), want: []string{`status {"status":{"pauseConditions":null, "controllerPause":false, "currentStepIndex":2}} or {"spec":{"paused":false},"status":{"pauseConditions":null}}`}},
		"a blue-green pause is cleared":                {in: rollout(blueGreen, atPause), want: []string{clear}},
		"a blue-green rollout that runs needs nothing": {in: rollout(blueGreen)},
		"a canary without steps needs nothing":         {in: rollout(stepless)},
		"full":                                         {in: rollout(), how: Full, want: []string{full}},
		"full ends a person's pause":                   {in: rollout(paused), how: Full, want: []string{full, unpause}},
		"full of what is promoted already":             {in: rollout(done), how: Full},
		"one step is skipped":                          {in: rollout(atPause), how: SkipStep, want: []string{index("2")}},
		"no step is left to skip":                      {in: rollout(atEnd), how: SkipStep, want: []string{index("4")}},
		"all steps are skipped":                        {in: rollout(), how: SkipAll, want: []string{index("4")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := Promote(tc.in, tc.how)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, sent(p)); diff != "" {
				t.Errorf("patches (-want +got):\n%s", diff)
			}
			want := "rollout 'checkout' promoted"
			if tc.how == Full {
				want = "rollout 'checkout' fully promoted"
			}
			if p.Message != want {
				t.Errorf("message %q, want %q", p.Message, want)
			}
		})
	}
}

func TestPromoteRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in  *v1alpha1.Rollout
		how How
	}{
		"an aborted rollout":                {in: rollout(aborted)},
		"an aborted rollout, even in full":  {in: rollout(aborted), how: Full},
		"steps of a blue-green rollout":     {in: rollout(blueGreen), how: SkipStep},
		"all steps of a blue-green rollout": {in: rollout(blueGreen), how: SkipAll},
		"steps of a canary that has none":   {in: rollout(stepless), how: SkipAll},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := Promote(tc.in, tc.how)
			if !errors.Is(err, ErrRefused) || len(p.Patches) > 0 {
				t.Errorf("Promote() = %v, %v, want a refusal and no patch", sent(p), err)
			}
		})
	}
}

func TestVerbsSendWhatTheArgoPluginSends(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 13, 0, 0, 0, time.FixedZone("", 3600))
	ended := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Status: v1alpha1.AnalysisRunStatus{Phase: v1alpha1.AnalysisPhaseFailed}}
	for name, tc := range map[string]struct {
		in      Plan
		want    []string
		message string
		note    bool
	}{
		"abort":            {in: Abort(rollout()), want: []string{`status {"status":{"abort":true}} or {"status":{"abort":true}}`}, message: "rollout 'checkout' aborted"},
		"abort twice":      {in: Abort(rollout(aborted)), want: []string{`status {"status":{"abort":true}} or {"status":{"abort":true}}`}, message: "rollout 'checkout' aborted", note: true},
		"abort of nothing": {in: Abort(rollout(done)), want: []string{`status {"status":{"abort":true}} or {"status":{"abort":true}}`}, message: "rollout 'checkout' aborted", note: true},
		"retry":            {in: Retry(rollout(aborted)), want: []string{`status {"status":{"abort":false}} or {"status":{"abort":false}}`}, message: "rollout 'checkout' retried"},
		"retry of nothing": {in: Retry(rollout()), want: []string{`status {"status":{"abort":false}} or {"status":{"abort":false}}`}, message: "rollout 'checkout' retried", note: true},
		"pause":            {in: Pause(rollout()), want: []string{`{"spec":{"paused":true}}`}, message: "rollout 'checkout' paused"},
		"pause twice":      {in: Pause(rollout(paused)), want: []string{`{"spec":{"paused":true}}`}, message: "rollout 'checkout' paused", note: true},
		"resume": {
			in: Resume(rollout(paused, atPause)), message: "rollout 'checkout' resumed",
			want: []string{`{"spec":{"paused":false}}`, `status {"status":{"pauseConditions":null}} or {"spec":{"paused":false},"status":{"pauseConditions":null}}`},
		},
		"resume of nothing": {in: Resume(rollout()), message: "rollout 'checkout' resumed", note: true},
		"restart at once":   {in: Restart(rollout(), now, 0), want: []string{`{"spec":{"restartAt":"2026-11-22T12:00:00Z"}}`}, message: "rollout 'checkout' restarts in 0s"},
		"restart later":     {in: Restart(rollout(), now, 10*time.Second), want: []string{`{"spec":{"restartAt":"2026-11-22T12:00:10Z"}}`}, message: "rollout 'checkout' restarts in 10s"},
		"retry of an experiment": {
			in: RetryExperiment(&v1alpha1.Experiment{ObjectMeta: metav1.ObjectMeta{Name: "e"}}), want: []string{`status {"status":null} or {"status":null}`},
			message: "experiment 'e' retried",
		},
		"terminate": {in: TerminateRun(&v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Name: "r"}}), want: []string{`{"spec":{"terminate":true}}`}, message: "analysisrun 'r' terminated"},
		"terminate what has ended": {
			in: TerminateRun(ended), want: []string{`{"spec":{"terminate":true}}`}, message: "analysisrun 'r' terminated", note: true,
		},
		"terminate an experiment": {
			in: TerminateExperiment(&v1alpha1.Experiment{ObjectMeta: metav1.ObjectMeta{Name: "e"}}), want: []string{`{"spec":{"terminate":true}}`},
			message: "experiment 'e' terminated",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, sent(tc.in)); diff != "" {
				t.Errorf("patches (-want +got):\n%s", diff)
			}
			if tc.in.Message != tc.message || (tc.in.Note != "") != tc.note {
				t.Errorf("message %q, note %q; want %q and a note: %v", tc.in.Message, tc.in.Note, tc.message, tc.note)
			}
		})
	}
}

func set(hash, image string, revision int) appsv1.ReplicaSet {
	rs := appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Name: "checkout-" + hash, UID: types.UID(hash),
		Annotations:     map[string]string{v1alpha1.AnnotationRevision: strconv.Itoa(revision)},
		OwnerReferences: []metav1.OwnerReference{{UID: "ro", Controller: new(true)}},
	}}
	rs.Spec.Template = template(image)
	rs.Spec.Template.Labels[v1alpha1.LabelPodTemplateHash] = hash
	rs.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways
	return rs
}

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "checkout"}},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "migrate", Image: image}},
			Containers:     []corev1.Container{{Name: "checkout", Image: image}},
		},
	}
}

// restored is the template of set as it must arrive in the Rollout.
func restored(image string) string {
	return `{"metadata":{"labels":{"app":"checkout"}},"spec":{"initContainers":[{"name":"migrate","image":"` + image +
		`","resources":{}}],"containers":[{"name":"checkout","image":"` + image + `","resources":{}}],"restartPolicy":"Always"}}`
}

func TestUndo(t *testing.T) {
	t.Parallel()
	sets := []appsv1.ReplicaSet{set("two", "c:2", 2), set("three", "c:3", 3), set("one", "c:1", 1)}
	stranger := set("nine", "c:9", 9)
	stranger.OwnerReferences = nil
	sets = append(sets, stranger)
	for name, tc := range map[string]struct {
		to       int64
		current  string
		workload *v1alpha1.ObjectRef
		want     []string
		message  string
	}{
		"the one before the newest": {current: "c:3", want: []string{`json [{"op":"replace","path":"/spec/template","value":` + restored("c:2") + `}]`}, message: "rollout 'checkout' undo"},
		"a certain revision":        {to: 1, current: "c:3", want: []string{`json [{"op":"replace","path":"/spec/template","value":` + restored("c:1") + `}]`}, message: "rollout 'checkout' undo"},
		"what is there already":     {current: "c:2", message: "skipped rollback (current template already matches revision 2)"},
		"of a PodTemplate": {
			current: "c:3", workload: &v1alpha1.ObjectRef{Kind: "PodTemplate", Name: "t"}, message: "rollout 'checkout' undo",
			want: []string{`json [{"op":"replace","path":"/template","value":` + restored("c:2") + `}]`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			current := template(tc.current)
			p, err := Undo(rollout(func(ro *v1alpha1.Rollout) { ro.Spec.WorkloadRef = tc.workload }), &current, sets, tc.to)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, sent(p)); diff != "" {
				t.Errorf("patches (-want +got):\n%s", diff)
			}
			if p.Message != tc.message {
				t.Errorf("message %q, want %q", p.Message, tc.message)
			}
		})
	}
	for name, tc := range map[string]struct {
		to   int64
		sets []appsv1.ReplicaSet
	}{
		"a revision that is not there":  {to: 7, sets: sets},
		"a revision of somebody else":   {to: 9, sets: sets},
		"there is no earlier revision":  {sets: sets[:1]},
		"there is no revision whatever": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			current := template("c:3")
			if p, err := Undo(rollout(), &current, tc.sets, tc.to); !errors.Is(err, ErrRefused) {
				t.Errorf("Undo() = %v, %v, want a refusal", sent(p), err)
			}
		})
	}
}

func TestUndoLeavesTheMarksOfACanaryBehind(t *testing.T) {
	t.Parallel()
	rs := set("two", "c:2", 2)
	rs.Annotations[v1alpha1.AnnotationEphemeralMetadata] = `{"labels":{"role":"canary"},"annotations":{"note":"new"}}`
	rs.Spec.Template.Labels["role"] = "canary"
	rs.Spec.Template.Annotations = map[string]string{"note": "new"}
	rs.Spec.Template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{LabelSelector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: v1alpha1.LabelPodTemplateHash, Operator: metav1.LabelSelectorOpIn, Values: []string{"one"}}},
		}}},
	}}
	before := rs.DeepCopy()
	current := template("c:3")
	p, err := Undo(rollout(), &current, []appsv1.ReplicaSet{rs, set("three", "c:3", 3)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`json [{"op":"replace","path":"/spec/template","value":` + restored("c:2") + `}]`}
	if diff := cmp.Diff(want, sent(p)); diff != "" {
		t.Errorf("patches (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(*before, rs); diff != "" {
		t.Errorf("the ReplicaSet in hand was changed (-before +after):\n%s", diff)
	}
}

func TestSetImage(t *testing.T) {
	t.Parallel()
	op := func(list, name, image string) string {
		path := "/spec/template/spec/" + list + "/0"
		return `{"op":"test","path":"` + path + `/name","value":"` + name + `"},{"op":"replace","path":"` + path + `/image","value":"` + image + `"}`
	}
	current := template("c:1")
	for name, tc := range map[string]struct {
		container string
		want      string
	}{
		"one container":     {container: "checkout", want: `json [` + op("containers", "checkout", "c:2") + `]`},
		"an init container": {container: "migrate", want: `json [` + op("initContainers", "migrate", "c:2") + `]`},
		"all of them":       {container: "*", want: `json [` + op("initContainers", "migrate", "c:2") + "," + op("containers", "checkout", "c:2") + `]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := SetImage(rollout(), &current, tc.container, "c:2")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tc.want}, sent(p)); diff != "" {
				t.Errorf("patches (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := SetImage(rollout(), &current, "web", "c:2"); !errors.Is(err, ErrRefused) {
		t.Errorf("an unknown container gives %v, want a refusal", err)
	}
}

func TestUndoNeverGoesBackToADrill(t *testing.T) {
	t.Parallel()
	drilled := set("two", "c:2", 2)
	drilled.Spec.Template.Annotations = map[string]string{v1alpha1.AnnotationDrill: "d1"}
	sets := []appsv1.ReplicaSet{set("one", "c:1", 1), drilled, set("three", "c:3", 3)}
	current := template("c:3")
	p, err := Undo(rollout(), &current, sets, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`json [{"op":"replace","path":"/spec/template","value":` + restored("c:1") + `}]`}
	if diff := cmp.Diff(want, sent(p)); diff != "" {
		t.Errorf("patches (-want +got):\n%s", diff)
	}
	if _, err := Undo(rollout(), &current, sets, 2); !errors.Is(err, ErrRefused) {
		t.Errorf("asked for the drill: %v", err)
	}
	if _, err := Undo(rollout(), &drilled.Spec.Template, sets, 0); !errors.Is(err, ErrRefused) {
		t.Errorf("in the middle of the drill: %v", err)
	}
}

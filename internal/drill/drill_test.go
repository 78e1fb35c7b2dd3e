// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/act"
)

var clock = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const manifest = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: checkout, namespace: payments, uid: ro, generation: 3, resourceVersion: "77"}
spec:
  replicas: 8
  template:
    metadata: {labels: {app: checkout}}
    spec:
      containers:
        - name: checkout
          image: checkout:1
          env: [{name: MODE, value: calm}, {name: ERROR_RATE, valueFrom: {configMapKeyRef: {name: c, key: k}}}]
          args: [--port=8080]
        - {name: proxy, image: "proxy:1"}
  strategy:
    canary:
      trafficRouting: {istio: {virtualService: {name: checkout}}}
      analysis: {templates: [{templateName: errors}]}
      steps:
        - setWeight: 10
        - pause: {duration: 2m}
        - analysis: {templates: [{templateName: errors}]}
        - setWeight: 25
        - pause: {duration: 300}
        - setWeight: 50
        - analysis: {templates: [{templateName: errors}]}
        - setWeight: 100
status: {phase: Healthy, observedGeneration: "3", stableRS: good, currentPodHash: good}
`

const template = `
metrics:
  - {name: error-rate, initialDelay: 60s, interval: 60s, count: 5, failureLimit: 2, successCondition: result < 0.01, provider: {}}
`

func load(t *testing.T, replace ...string) (*v1alpha1.Rollout, []byte) {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(strings.NewReplacer(replace...).Replace(manifest)))
	if err != nil {
		t.Fatal(err)
	}
	ro := &v1alpha1.Rollout{}
	if err := json.Unmarshal(raw, ro); err != nil {
		t.Fatal(err)
	}
	return ro, raw
}

func lookup(v1alpha1.AnalysisTemplateRef) (*v1alpha1.AnalysisTemplateSpec, error) {
	spec := &v1alpha1.AnalysisTemplateSpec{}
	return spec, yaml.Unmarshal([]byte(template), spec)
}

func bad() Options { return Options{ID: "d1", Env: []Var{{"ERROR_RATE", "0.2"}}} }

// apply carries out a JSON patch of the kinds that this package makes.
func apply(t *testing.T, raw []byte, p act.Patch) []byte {
	t.Helper()
	doc, err := decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	var ops []operation
	if err := json.Unmarshal(p.Body, &ops); err != nil {
		t.Fatal(err)
	}
	if ops[0].Path != "/metadata/resourceVersion" || ops[0].Op != "replace" {
		t.Fatalf("the patch is not fenced: %+v", ops[0])
	}
	for _, op := range ops[1:] {
		i := strings.LastIndexByte(op.Path, '/')
		parent, ok := at(doc, op.Path[:i])
		m, isMap := parent.(map[string]any)
		if !ok || !isMap {
			t.Fatalf("%s: nothing there", op.Path)
		}
		key := strings.NewReplacer("~1", "/", "~0", "~").Replace(op.Path[i+1:])
		if _, there := m[key]; !there && op.Op != "add" {
			t.Fatalf("%s %s: not there", op.Op, op.Path)
		}
		if m[key] = op.Value; op.Op == "remove" {
			delete(m, key)
		}
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func typed(t *testing.T, raw []byte) *v1alpha1.Rollout {
	t.Helper()
	ro := &v1alpha1.Rollout{}
	if err := json.Unmarshal(raw, ro); err != nil {
		t.Fatal(err)
	}
	return ro
}

func same(t *testing.T, a, b []byte) string {
	t.Helper()
	x, errX := decode(a)
	y, errY := decode(b)
	if err := errors.Join(errX, errY); err != nil {
		t.Fatal(err)
	}
	return cmp.Diff(x, y)
}

func TestADrillIsRefused(t *testing.T) {
	t.Parallel()
	background := "analysis: {templates: [{templateName: errors}]}\n      steps"
	for name, tc := range map[string]struct {
		replace []string
		o       func(*Options)
		want    string
	}{
		"without anything bad":                 {o: func(o *Options) { o.Env = nil }, want: "--set-env"},
		"while a release is under way":         {replace: []string{"currentPodHash: good", "currentPodHash: new"}, want: "under way"},
		"when it is not Healthy":               {replace: []string{"phase: Healthy", "phase: Degraded, message: broken"}, want: "Degraded and not Healthy: broken"},
		"when the spec was not seen":           {replace: []string{`observedGeneration: "3"`, `observedGeneration: "2"`}, want: "not yet looked"},
		"when it is paused":                    {replace: []string{"replicas: 8", "replicas: 8\n  paused: true"}, want: "is paused"},
		"when a drill was left":                {replace: []string{"uid: ro", `uid: ro, annotations: {sluice.dev/drill: "{}"}`}, want: "--clean-up"},
		"without a gate":                       {replace: []string{background, "steps", "- analysis: {templates: [{templateName: errors}]}", "- pause: {}"}, want: "no gate"},
		"of a workloadRef":                     {replace: []string{"replicas: 8", "workloadRef: {name: x}"}, want: "workloadRef"},
		"in a template of Argo CD":             {replace: []string{"uid: ro", `uid: ro, annotations: {argocd.argoproj.io/tracking-id: "shop:argoproj.io/Rollout:payments/checkout"}`}, want: `Argo CD (application "shop")`},
		"in a template of Flux":                {replace: []string{"uid: ro", `uid: ro, labels: {kustomize.toolkit.fluxcd.io/name: shop}`}, want: "Flux"},
		"written by Argo CD":                   {replace: []string{"uid: ro", `uid: ro, managedFields: [{manager: argocd-controller}]`}, want: "Argo CD"},
		"with all of the traffic":              {o: func(o *Options) { o.MaxWeight = 100 }, want: "never gets all"},
		"below the first gate":                 {o: func(o *Options) { o.MaxWeight = 5 }, want: "at weight 10"},
		"in a container that is not there":     {o: func(o *Options) { o.Container = "web" }, want: "checkout, proxy"},
		"with the image that is there":         {o: func(o *Options) { o.Image = "checkout:1" }, want: "already"},
		"when a gate is at all of the traffic": {replace: []string{"setWeight: 10\n", "setWeight: 100\n"}, want: "never gets all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ro, raw := load(t, tc.replace...)
			o := bad()
			if tc.o != nil {
				tc.o(&o)
			}
			_, err := New(ro, raw, lookup, o, clock)
			if !errors.Is(err, act.ErrRefused) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("New() = %v, want a refusal with %q", err, tc.want)
			}
		})
	}
	ro, raw := load(t, "uid: ro", `uid: ro, labels: {argocd.argoproj.io/instance: shop}`)
	o := bad()
	o.SyncPaused = true
	if _, err := New(ro, raw, lookup, o, clock); err != nil {
		t.Errorf("with the sync paused: %v", err)
	}
	_, err := New(ro, raw, func(v1alpha1.AnalysisTemplateRef) (*v1alpha1.AnalysisTemplateSpec, error) {
		return nil, errors.New("gone")
	}, o, clock)
	if err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("without its template: %v", err)
	}
}

func TestTheGuardComesBeforeAnyLargerWeight(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		max, want int32
		guard     int
	}{{0, 25, 5}, {10, 10, 3}, {24, 24, 3}, {25, 25, 5}, {50, 50, 7}, {99, 99, 7}} {
		ro, raw := load(t)
		o := bad()
		o.MaxWeight = tc.max
		p, err := New(ro, raw, lookup, o, clock)
		if err != nil {
			t.Fatal(err)
		}
		after := typed(t, apply(t, raw, p.Patch)).Spec.Strategy.Canary.Steps
		if p.Record.Guard != tc.guard || p.Record.MaxWeight != tc.want || *after[tc.guard].SetWeight != 0 || after[tc.guard+1].Pause == nil || after[tc.guard+1].Pause.Duration != nil {
			t.Errorf("--max-weight %d: guard %d, weight %d, steps %+v", tc.max, p.Record.Guard, p.Record.MaxWeight, after)
		}
		for _, s := range after[:tc.guard] {
			if s.SetWeight != nil && *s.SetWeight > p.Record.MaxWeight {
				t.Errorf("--max-weight %d: weight %d comes before the guard", tc.max, *s.SetWeight)
			}
		}
	}
}

func TestThePlanSaysWhatItHarms(t *testing.T) {
	t.Parallel()
	ro, raw := load(t)
	p, err := New(ro, raw, lookup, bad(), clock)
	if err != nil {
		t.Fatal(err)
	}
	want := []Stage{
		{Step: 1, What: "pause", Weight: 10, Pods: 1, OfPods: 8, Lasts: 2 * time.Minute},
		{Step: 2, What: "analysis", Weight: 10, Pods: 1, OfPods: 8, Lasts: 8 * time.Minute},
		{Step: 4, What: "pause", Weight: 25, Pods: 2, OfPods: 8, Lasts: 5 * time.Minute},
	}
	if diff := cmp.Diff(want, p.Stages); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	if p.harm() != 135*time.Second || p.Record.Limit != 27*time.Minute+30*time.Second {
		t.Errorf("harm %s, limit %s", p.harm(), p.Record.Limit)
	}
	if text := p.Text(); !strings.Contains(text, "ERROR_RATE=0.2") || !strings.Contains(text, "analysis of step 7 comes after weight 25 and is not drilled") {
		t.Error(text)
	}
}

// Every way to make a release bad is put back exactly.
func TestCleanUpPutsBackExactlyWhatWasThere(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"a variable that was taken from elsewhere": bad(),
		"a new variable":                     {ID: "d1", Container: "proxy", Env: []Var{{"A", "1"}, {"B", "2"}}},
		"an image and arguments":             {ID: "d1", Image: "checkout:bad", Args: []string{"--fail"}},
		"arguments of a container with none": {ID: "d1", Container: "proxy", Args: []string{"--fail"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ro, raw := load(t)
			p, err := New(ro, raw, lookup, o, clock)
			if err != nil {
				t.Fatal(err)
			}
			during := apply(t, raw, p.Patch)
			if typed(t, during).Spec.Template.Annotations[v1alpha1.AnnotationDrill] != "d1" {
				t.Error("the template is not marked")
			}
			r, err := RecordOf(typed(t, during))
			if err != nil || cmp.Diff(&p.Record, r) != "" {
				t.Fatalf("the record does not survive: %v, %s", err, cmp.Diff(&p.Record, r))
			}
			back, left, err := CleanUp(during, r, nil)
			if err != nil || len(left) > 0 || len(back.Patches) != 1 {
				t.Fatalf("CleanUp() = %+v, %v, %v", back, left, err)
			}
			after := apply(t, during, back.Patches[0])
			withEmpty := strings.Replace(string(raw), `"name":"checkout","namespace"`, `"annotations":{},"name":"checkout","namespace"`, 1)
			if diff := same(t, []byte(withEmpty), after); diff != "" {
				t.Errorf("(-was +is):\n%s", diff)
			}
			again, left, err := CleanUp(after, r, nil)
			if err != nil || len(left) > 0 || len(again.Patches) > 0 {
				t.Errorf("a second clean-up: %+v, %v, %v", again, left, err)
			}
		})
	}
}

func TestCleanUpLeavesAloneWhatOthersChanged(t *testing.T) {
	t.Parallel()
	ro, raw := load(t)
	o := bad()
	o.Image = "checkout:bad"
	p, err := New(ro, raw, lookup, o, clock)
	if err != nil {
		t.Fatal(err)
	}
	during := strings.Replace(string(apply(t, raw, p.Patch)), `"image":"checkout:bad"`, `"image":"checkout:2"`, 1)
	during = strings.Replace(during, `"sluice.dev/drill-id":"d1"}}`, `"sluice.dev/drill-id":"d1","note":"new"}}`, 1)
	back, left, err := CleanUp([]byte(during), &p.Record, nil)
	if err != nil {
		t.Fatal(err)
	}
	after := typed(t, apply(t, []byte(during), back.Patches[0]))
	c := after.Spec.Template.Spec.Containers[0]
	if c.Image != "checkout:2" || c.Env[1].Value != "" || len(after.Spec.Strategy.Canary.Steps) != 8 || after.Annotations[AnnotationRecord] != "" {
		t.Errorf("container %+v, %d steps", c, len(after.Spec.Strategy.Canary.Steps))
	}
	if !strings.Contains(strings.Join(left, "\n"), "spec.template.spec.containers.0.image was changed by somebody else") {
		t.Errorf("left: %v", left)
	}
	if m := after.Spec.Template.Annotations; m[v1alpha1.AnnotationDrill] != "" {
		t.Errorf("the mark is still there: %v", m)
	}
}

func TestAProofIsWorthAsMuchAsItsGates(t *testing.T) {
	t.Parallel()
	ro, _ := load(t)
	gates, err := Gates(ro, lookup)
	if err != nil || len(gates) != 3 || gates[0].Hash == "" {
		t.Fatalf("gates %+v, %v", gates, err)
	}
	changed, err := Gates(ro, func(ref v1alpha1.AnalysisTemplateRef) (*v1alpha1.AnalysisTemplateSpec, error) {
		spec, err := lookup(ref)
		spec.Metrics[0].SuccessCondition = "result < 0.02"
		return spec, err
	})
	if err != nil {
		t.Fatal(err)
	}
	proven := &Proof{At: clock, Outcome: Proven, Why: "w", Gates: []ProvenGate{{Gate: gates[1], Verdict: Caught}}}
	for name, tc := range map[string]struct {
		proof  *Proof
		gates  []Gate
		reason string
	}{
		"the same gates":        {proven, gates, ReasonProven},
		"another condition":     {proven, changed, ReasonChanged},
		"gates that are gone":   {proven, nil, ReasonChanged},
		"a drill that was lost": {&Proof{At: clock, Outcome: Blind, Why: "w", Gates: []ProvenGate{{Gate: gates[1], Verdict: Passed}}}, gates, ReasonBlind},
	} {
		if c := tc.proof.Claim(tc.gates); c.Reason != tc.reason || c.True != (tc.reason == ReasonProven) || c.Message == "" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	text, err := json.Marshal(proven)
	if err != nil {
		t.Fatal(err)
	}
	ro.Annotations = map[string]string{AnnotationProof: string(text)}
	if diff := cmp.Diff(proven, ReadProof(ro)); diff != "" {
		t.Error(diff)
	}
	for _, broken := range []string{"", "{", `{"outcome":"proven"}`} {
		if ro.Annotations[AnnotationProof] = broken; ReadProof(ro) != nil {
			t.Errorf("%q is a proof", broken)
		}
	}
}

func controlled(ro *v1alpha1.Rollout, step string, change func(*v1alpha1.AnalysisRun)) v1alpha1.AnalysisRun {
	run := v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{
		Name: "run-" + step, Labels: map[string]string{v1alpha1.LabelPodTemplateHash: "bad", v1alpha1.LabelRolloutType: v1alpha1.RolloutTypeStep, v1alpha1.LabelStepIndex: step},
		OwnerReferences: []metav1.OwnerReference{{UID: ro.UID, Controller: new(true)}},
	}}
	if step == "" {
		run.Labels[v1alpha1.LabelRolloutType] = v1alpha1.RolloutTypeBackground
	}
	run.Spec.Metrics = []v1alpha1.Metric{{Name: "error-rate"}}
	change(&run)
	return run
}

// ended gives a run a phase and readings; "-" is one without data.
func ended(phase v1alpha1.AnalysisPhase, values ...string) func(*v1alpha1.AnalysisRun) {
	return func(run *v1alpha1.AnalysisRun) {
		run.Status.Phase = phase
		r := v1alpha1.MetricResult{Name: "error-rate", Phase: phase, Count: int32(len(values))}
		for _, v := range values {
			m := v1alpha1.Measurement{Value: v}
			if v == "-" {
				m = v1alpha1.Measurement{Metadata: map[string]string{v1alpha1.SluicePrefix + "reason": "NoData"}}
			}
			r.Measurements = append(r.Measurements, m)
		}
		run.Status.MetricResults = []v1alpha1.MetricResult{r}
	}
}

func TestWhatHasBecomeOfADrill(t *testing.T) {
	t.Parallel()
	aborted := func(ro *v1alpha1.Rollout) {
		ro.Status.Abort, ro.Status.AbortedAt = true, &metav1.Time{Time: clock.Add(3 * time.Minute)}
	}
	step := func(i int32) func(*v1alpha1.Rollout) {
		return func(ro *v1alpha1.Rollout) { ro.Status.CurrentStepIndex = &i }
	}
	const failed, passed, running, errored = v1alpha1.AnalysisPhaseFailed, v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseRunning, v1alpha1.AnalysisPhaseError
	type runs = map[string]func(*v1alpha1.AnalysisRun)
	for name, tc := range map[string]struct {
		ro    func(*v1alpha1.Rollout)
		runs  runs
		after time.Duration
		want  Outcome
		why   string
		gates string // background, step 3, step 7
	}{
		"the controller has not seen it":       {ro: func(ro *v1alpha1.Rollout) { ro.Status.CurrentPodHash = "good" }, gates: ""},
		"it bakes":                             {ro: step(1), gates: "not reached, not reached, not reached"},
		"a gate measures":                      {ro: step(2), runs: runs{"2": ended(running, "0.2")}, gates: "not reached, measuring, not reached"},
		"a gate aborts it":                     {ro: aborted, runs: runs{"2": ended(failed, "0.2", "0.2"), "": ended(running, "0.2")}, want: Proven, why: "analysis of step 3 aborted", gates: "measuring, caught it, not reached"},
		"the background aborts it":             {ro: aborted, runs: runs{"": ended(failed, "0.2")}, want: Proven, why: "background analysis aborted", gates: "caught it, not reached, not reached"},
		"a gate lets it pass":                  {ro: step(5), runs: runs{"2": ended(passed, "0.001")}, want: Blind, why: "got past weight 25", gates: "not reached, blind: let it pass, not reached"},
		"a gate never sees it":                 {ro: step(2), runs: runs{"2": ended(running, "-", "-", "-")}, after: time.Hour, want: Blind, why: "within 27m30s", gates: "not reached, blind: saw no data, not reached"},
		"a gate that sees it late still works": {ro: step(2), runs: runs{"2": ended(running, "-", "-", "-", "0.2")}, gates: "not reached, measuring, not reached"},
		"a gate comes to no end":               {ro: step(2), runs: runs{"2": ended(running, "0.03")}, after: time.Hour, want: Blind, gates: "not reached, blind: did not decide, not reached"},
		"a gate holds until a person is asked": {ro: func(ro *v1alpha1.Rollout) {
			step(2)(ro)
			ro.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonAnalysisHold}}
		}, runs: runs{"2": ended(running, "-", "-", "-")}, want: Blind, gates: "not reached, blind: saw no data, not reached"},
		"the provider is down, and that aborts": {ro: aborted, runs: runs{"2": ended(errored)}, want: Blind, why: "could not measure", gates: "not reached, blind: could not measure, not reached"},
		"no data is a failure, and that aborts": {ro: aborted, runs: runs{"2": ended(failed, "-", "-")}, want: Blind, why: "could not measure", gates: "not reached, blind: could not measure, not reached"},
		"a person aborts it": {ro: func(ro *v1alpha1.Rollout) {
			aborted(ro)
			ro.Status.Sluice = &v1alpha1.SluiceStatus{AbortReason: "User"}
		}, want: Inconclusive, why: "by hand", gates: "not reached, not reached, not reached"},
		"a person promotes it":                   {ro: func(ro *v1alpha1.Rollout) { ro.Status.StableRS = "bad" }, want: Blind, why: "promoted", gates: "not reached, not reached, not reached"},
		"somebody else releases":                 {ro: func(ro *v1alpha1.Rollout) { ro.Spec.Template.Annotations = nil }, want: Inconclusive, why: "changed the pod template"},
		"no gate is reached":                     {ro: step(1), after: time.Hour, want: Inconclusive, why: "no gate was reached", gates: "not reached, not reached, not reached"},
		"a run of another revision is not asked": {ro: aborted, runs: runs{"2": func(r *v1alpha1.AnalysisRun) { ended(failed, "1")(r); r.Labels[v1alpha1.LabelPodTemplateHash] = "old" }}, want: Inconclusive, gates: "not reached, not reached, not reached"},
		"a run of somebody else is not asked":    {ro: aborted, runs: runs{"2": func(r *v1alpha1.AnalysisRun) { ended(failed, "1")(r); r.OwnerReferences[0].UID = "x" }}, want: Inconclusive, gates: "not reached, not reached, not reached"},
		"an abort whose run is not written yet": {ro: func(ro *v1alpha1.Rollout) {
			aborted(ro)
			ro.Status.Sluice = &v1alpha1.SluiceStatus{Verdict: &v1alpha1.AnalysisVerdict{Run: "run-2"}}
		}, runs: runs{"2": ended(running, "0.2")}, want: Proven, gates: "not reached, caught it, not reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ro, raw := load(t)
			p, err := New(ro, raw, lookup, bad(), clock)
			if err != nil {
				t.Fatal(err)
			}
			during := typed(t, apply(t, raw, p.Patch))
			during.Status.CurrentPodHash = "bad"
			tc.ro(during)
			var list []v1alpha1.AnalysisRun
			for at, change := range tc.runs {
				list = append(list, controlled(during, at, change))
			}
			s := Look(&p.Record, during, list, clock.Add(max(tc.after, 4*time.Minute)))
			var gates []string
			for _, g := range s.Gates {
				gates = append(gates, string(g.Verdict))
			}
			if s.Outcome != tc.want || !strings.Contains(s.Why, tc.why) || strings.Join(gates, ", ") != tc.gates {
				t.Errorf("%q, %q, %v", s.Outcome, s.Why, gates)
			}
			if s.Outcome == Proven && s.After != 3*time.Minute {
				t.Errorf("took %s", s.After)
			}
			if settled := name != "an abort whose run is not written yet"; s.Settled != settled {
				t.Errorf("settled: %v", s.Settled)
			}
			if proof := ProofOf(&s, clock); (proof != nil) != (tc.want == Proven || tc.want == Blind) {
				t.Errorf("proof %+v", proof)
			}
		})
	}
}

func TestTruthIsComparedWithinItsNoise(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		values []float64
		want   string
	}{
		"it agrees":            {[]float64{0.19, 0.21, 0.2}, "they agree"},
		"steady and right":     {[]float64{0.2, 0.2}, "they agree"},
		"diluted":              {[]float64{0.02, 0.02, 0.021}, "do NOT agree"},
		"steady and wrong":     {[]float64{0.1, 0.1, 0.1}, "do NOT agree"},
		"once":                 {[]float64{0.2}, "noise is not known"},
		"nothing was measured": {nil, "no metric measured it"},
	} {
		s := &State{Gates: []Seen{{Gate: Gate{Step: 2}, Metrics: []Metric{{Name: "error-rate", Values: tc.values}, {Name: "p99", Values: []float64{300, 301}}}}}}
		if got := truth(&Truth{"error-rate", 0.2}, s); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestFailedRequestsAreCountedOnlyByAMetricThatCounts(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`{query: "sum:errors{a:b}.as_count()", aggregator: sum}`: "error-rate counted 17",
		`{query: "sum:errors{a:b}.as_count()"}`:                  "unknown",
		`{query: "avg:errors{a:b}", aggregator: sum}`:            "unknown",
	} {
		run := controlled(&v1alpha1.Rollout{}, "2", ended(v1alpha1.AnalysisPhaseFailed, "16", "[17]"))
		if err := yaml.Unmarshal(fmt.Appendf(nil, "{name: error-rate, provider: {datadog: %s}}", query), &run.Spec.Metrics[0]); err != nil {
			t.Fatal(err)
		}
		s := &State{Gates: []Seen{{Metrics: []Metric{metricOf(&run, &run.Spec.Metrics[0])}}}}
		if got := requests(s); !strings.Contains(got, want) {
			t.Errorf("%s: %s", query, got)
		}
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"

	"sluice.dev/sluice/playground/demo/proof"
	"sluice.dev/sluice/playground/demo/stage"
	"sluice.dev/sluice/playground/demo/witness"
	"sluice.dev/sluice/playground/mesh"
)

// An act is a play whose world is told by hand; each thing told has a higher
// resourceVersion than the one before.
type act struct {
	*Play
	version int
}

// newAct is an act in release 1 of revision bbb.
func newAct() *act {
	p := &Play{
		Stage:   &stage.Stage{Mesh: mesh.New(mesh.Options{})},
		Witness: witness.New(stage.Namespace, Name),
		Ledger:  &proof.Ledger{},
		release: release{number: 1, tag: "1.1.0", hash: "bbb", since: time.Now().Add(-time.Second)},
	}
	return &act{Play: p}
}

func (a *act) next() string {
	a.version++
	return strconv.Itoa(a.version)
}

// weigh changes the weights.
func (a *act) weigh(stable, canary int64) *act {
	vs := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"namespace": stage.Namespace, "name": virtualService, "resourceVersion": a.next()},
		"spec": map[string]any{
			"hosts": []any{stage.Host},
			"http": []any{map[string]any{"route": []any{
				map[string]any{"destination": map[string]any{"host": stableService}, "weight": stable},
				map[string]any{"destination": map[string]any{"host": "checkout-canary"}, "weight": canary},
			}}},
		},
	}}
	a.Stage.Mesh.Observe(vs)
	return a
}

// moved points the stable Service at a revision.
func (a *act) moved(hash string) *act {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: stage.Namespace, Name: stableService, ResourceVersion: a.next()}}
	s.Spec.Selector = map[string]string{mesh.HashLabel: hash}
	a.Stage.Mesh.Observe(s)
	return a
}

// measured makes a run of a type whose error rates were these, each "value
// phase", and which is in a phase now.
func (a *act) measured(rolloutType string, phase v1alpha1.AnalysisPhase, readings ...string) *act {
	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{
		Namespace: stage.Namespace, Name: "checkout-bbb-2-" + rolloutType, ResourceVersion: a.next(),
		Labels: map[string]string{mesh.HashLabel: "bbb", v1alpha1.LabelRolloutType: rolloutType},
	}}
	run.Status.Phase = phase
	m := v1alpha1.MetricResult{Name: errorRate, Count: int32(len(readings))}
	for _, r := range readings {
		value, verdict, _ := strings.Cut(r, " ")
		verdict, note, _ := strings.Cut(verdict, " ")
		m.Measurements = append(m.Measurements, v1alpha1.Measurement{
			Value: value, Phase: v1alpha1.AnalysisPhase(verdict), Metadata: map[string]string{"note": note},
		})
	}
	run.Status.MetricResults = []v1alpha1.MetricResult{m}
	a.Witness.See(run, false)
	return a
}

// seen reports whether a row counts as seen.
func (a *act) seen(row int) bool { return !slices.Contains(a.Ledger.Missing(), row) }

func TestChecks(t *testing.T) {
	t.Parallel()
	const gate, guard = v1alpha1.RolloutTypeStep, v1alpha1.RolloutTypeBackground
	const running, passed, failed = v1alpha1.AnalysisPhaseRunning, v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseFailed
	five := []string{"0 Successful", "0.001 Successful", "0 Successful", "0 Successful", "0 Successful"}
	cases := map[string]struct {
		row   int
		world func(*act)
		check func(*act)
		want  bool
	}{
		"row 1: the weights climb in order": {
			row: 1, want: true,
			world: func(a *act) {
				a.weigh(90, 10).weigh(75, 25).weigh(50, 50).weigh(0, 100).moved("bbb").weigh(100, 0)
			},
			check: func(a *act) { checkClimb(a.Play, 1) },
		},
		"row 1: a weight is left out": {
			row:   1,
			world: func(a *act) { a.weigh(90, 10).weigh(50, 50).weigh(0, 100).moved("bbb").weigh(100, 0) },
			check: func(a *act) { checkClimb(a.Play, 1) },
		},
		"row 1: the weights return before the stable Service has moved": {
			row: 1,
			world: func(a *act) {
				a.weigh(90, 10).weigh(75, 25).weigh(50, 50).weigh(0, 100).weigh(100, 0).moved("bbb")
			},
			check: func(a *act) { checkClimb(a.Play, 1) },
		},
		"row 1: nothing happened": {row: 1, world: func(*act) {}, check: func(a *act) { checkClimb(a.Play, 1) }},
		"row 4: readings below the limit are Successful": {
			row: 4, want: true,
			world: func(a *act) { a.measured(gate, passed, append(five, "0.03 Inconclusive")...) },
			check: func(a *act) { checkSuccesses(a.Play) },
		},
		"row 4: a reading below the limit is not": {
			row:   4,
			world: func(a *act) { a.measured(gate, passed, append(five, "0.009 Inconclusive")...) },
			check: func(a *act) { checkSuccesses(a.Play) },
		},
		"row 10: an absent count is taken as zero": {
			row: 10, want: true,
			world: func(a *act) { a.measured(gate, running, "0 Successful the query was taken as 0") },
			check: func(a *act) { checkSilence(a.Play) },
		},
		"row 10: every window had an error": {
			row:   10,
			world: func(a *act) { a.measured(gate, running, five...) },
			check: func(a *act) { checkSilence(a.Play) },
		},
		"row 11: the gate is over before the next weight": {
			row: 11, want: true,
			world: func(a *act) { a.weigh(90, 10).measured(gate, running).measured(gate, passed, five...).weigh(75, 25) },
			check: func(a *act) { checkGateFirst(a.Play) },
		},
		"row 11: the next weight comes first": {
			row:   11,
			world: func(a *act) { a.weigh(90, 10).measured(gate, running).weigh(75, 25).measured(gate, passed, five...) },
			check: func(a *act) { checkGateFirst(a.Play) },
		},
		"row 11: there was no gate": {
			row:   11,
			world: func(a *act) { a.weigh(90, 10).weigh(75, 25).measured(guard, running) },
			check: func(a *act) { checkGateFirst(a.Play) },
		},
		"row 12: the guard fails at half of the traffic": {
			row: 12, want: true,
			world: func(a *act) {
				ok := append(five, "0 Successful")
				a.weigh(90, 10).measured(guard, running, ok...).weigh(75, 25).weigh(50, 50)
				a.measured(guard, failed, append(ok, "0.2 Failed", "0.2 Failed", "0.2 Failed")...).weigh(100, 0)
			},
			check: func(a *act) { checkGuard(a.Play) },
		},
		"row 12: the guard had ended after its count": {
			row: 12,
			world: func(a *act) {
				a.weigh(90, 10).measured(guard, passed, five...).weigh(75, 25).weigh(50, 50).weigh(0, 100)
			},
			check: func(a *act) { checkGuard(a.Play) },
		},
		"row 12: it was a gate that failed": {
			row: 12,
			world: func(a *act) {
				ok := append(five, "0 Successful")
				a.weigh(90, 10).measured(gate, running, ok...).weigh(50, 50)
				a.measured(gate, failed, append(ok, "0.2 Failed", "0.2 Failed", "0.2 Failed")...).weigh(100, 0)
			},
			check: func(a *act) { checkGuard(a.Play) },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAct()
			tc.world(a)
			tc.check(a)
			if got := a.seen(tc.row); got != tc.want {
				t.Errorf("row %d seen: %t, want %t\n%s", tc.row, got, tc.want, a.Ledger.Table(100))
			}
		})
	}
}

func TestCheckQueries(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		queries []string
		want    bool
	}{
		"all have the canary's hash":        {queries: []string{"{service:checkout," + mesh.TagHash + ":bbb}"}, want: true},
		"one has another hash":              {queries: []string{"{" + mesh.TagHash + ":bbb}", "{" + mesh.TagHash + ":aaa}"}},
		"one has an empty hash":             {queries: []string{"{" + mesh.TagHash + ":bbb}", "{" + mesh.TagHash + ":}"}},
		"one has none":                      {queries: []string{"{" + mesh.TagHash + ":bbb}", "{service:checkout}"}},
		"one asks whether the count exists": {queries: []string{"{" + mesh.TagHash + ":bbb}", "{service:checkout} by {" + mesh.TagHash + "}"}, want: true},
		"there was no query":                {},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked []datadogtest.Request
			for _, q := range tc.queries {
				asked = append(asked, datadogtest.Request{Time: time.Now(), Queries: map[string]string{"hits": "sum:hits" + q}})
			}
			a := newAct()
			checkQueries(a.Play, asked)
			if got := a.seen(2); got != tc.want {
				t.Errorf("row 2 seen: %t, want %t\n%s", got, tc.want, a.Ledger.Table(100))
			}
		})
	}
}

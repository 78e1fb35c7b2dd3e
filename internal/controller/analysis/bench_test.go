// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"sluice.dev/sluice/api/v1alpha1"
	judge "sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/metric"
)

// BenchmarkTick is what one tick of a run with the guide's two metrics costs
// beside the requests: compare the spec, judge, and build the status.
func BenchmarkTick(b *testing.B) {
	r := New(Deps{Registry: metric.NewRegistry(metric.Define("datadog", func(metric.Env, v1alpha1.DatadogMetric) (metric.Source, error) { return nil, nil }))})
	run := analysisRun(gate("error-rate", "q"), gate("p99-latency", "p"))
	run.Labels = map[string]string{v1alpha1.LabelRolloutType: v1alpha1.RolloutTypeBackground}
	s := r.sessions.of(run)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for b.Loop() {
		p, err := r.prepare(b.Context(), s, run)
		if err != nil || p.invalid != "" {
			b.Fatal(err, p.invalid)
		}
		at = at.Add(time.Minute)
		s.inHand = nil
		for i, m := range p.rule.Metrics {
			t := p.rule.Assess(m, judge.Observation{Value: 0.001 * float64(i)}, at)
			t.Started, t.Finished = at, at
			s.inHand = append(s.inHand, reading{Taken: judge.Taken{Metric: m.Name, Measurement: t}, value: "0", query: "q"})
		}
		next := s.advance(at, run, p)
		status := statusOf(run, next)
		if equality.Semantic.DeepEqual(run.Status, status) {
			b.Fatal("nothing changed")
		}
		run = run.DeepCopy()
		run.Status = status
	}
}

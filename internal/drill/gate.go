// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"sluice.dev/sluice/api/v1alpha1"
)

// A Verdict is what a drill shows about one gate.
type Verdict string

// The verdicts on a gate.
const (
	// Caught: it failed the bad version.
	Caught Verdict = "caught it"
	// Passed: it judged the bad version good.
	Passed Verdict = "blind: let it pass" //nolint:gosec // G101 takes the word for a password
	// Silent: it had no data, and so never saw the bad version.
	Silent Verdict = "blind: saw no data"
	// Undecided: it measured and came to no end.
	Undecided Verdict = "blind: did not decide"
	// Broken: it could not measure.
	Broken Verdict = "blind: could not measure"
	// Measuring: it is at work.
	Measuring Verdict = "measuring"
	// NotReached: the drill ended before it.
	NotReached Verdict = "not reached"
)

// Seen is what was seen of a gate.
type Seen struct {
	Gate
	Verdict Verdict
	// Run is the AnalysisRun, and Done says that it has ended.
	Run    string
	Done   bool
	Detail string
	// Metrics are what it measured.
	Metrics []Metric
}

// A Metric is what one metric of a gate measured.
type Metric struct {
	Name string
	// Query is what was asked, where it was kept.
	Query string
	// Readings are the measurements that came about; Values those that are
	// numbers and are still kept, oldest first.
	Readings int32
	Failed   int32
	Values   []float64
	// Counts says that each value is a number of events in the metric's window.
	Counts bool
}

// gate is what was seen of g: the newest of its runs counts.
func (l *look) gate(g Gate) Seen {
	s := Seen{Gate: g, Verdict: NotReached}
	var run *v1alpha1.AnalysisRun
	for i := range l.runs {
		if r := &l.runs[i]; belongs(r, g) && (run == nil || run.CreationTimestamp.Before(&r.CreationTimestamp)) {
			run = r
		}
	}
	if run == nil {
		return s
	}
	s.Run, s.Done, s.Detail = run.Name, run.Status.Phase.Completed(), run.Status.Message
	for i := range run.Spec.Metrics {
		s.Metrics = append(s.Metrics, metricOf(run, &run.Spec.Metrics[i]))
	}
	s.Verdict = l.verdict(run)
	if s.Detail == "" {
		s.Detail = readings(s.Metrics)
	}
	return s
}

func belongs(run *v1alpha1.AnalysisRun, g Gate) bool {
	if g.Step == Background {
		return run.Labels[v1alpha1.LabelRolloutType] == v1alpha1.RolloutTypeBackground
	}
	return run.Labels[v1alpha1.LabelRolloutType] == v1alpha1.RolloutTypeStep && run.Labels[v1alpha1.LabelStepIndex] == strconv.Itoa(g.Step)
}

func (l *look) verdict(run *v1alpha1.AnalysisRun) Verdict {
	phase := run.Status.Phase
	switch {
	case phase == v1alpha1.AnalysisPhaseError, phase == v1alpha1.AnalysisPhaseFailed && failedUnseen(run):
		return Broken
	case phase == v1alpha1.AnalysisPhaseFailed, l.blamed(run):
		return Caught
	case phase == v1alpha1.AnalysisPhaseSuccessful:
		return Passed
	case silent(run):
		return Silent
	case phase == v1alpha1.AnalysisPhaseInconclusive && !run.Spec.Terminate:
		return Undecided
	}
	return Measuring
}

// blamed reports whether the rollout was aborted for run: it acts on a verdict
// before the run's own status is written.
func (l *look) blamed(run *v1alpha1.AnalysisRun) bool {
	s := l.ro.Status.Sluice
	return l.ro.Status.Abort && s != nil && s.Verdict != nil && s.Verdict.Run == run.Name
}

// silent reports whether a metric has measured at least three times and never
// found data.
func silent(run *v1alpha1.AnalysisRun) bool {
	return slices.ContainsFunc(run.Status.MetricResults, func(r v1alpha1.MetricResult) bool {
		return len(r.Measurements) >= 3 && unseen(&r)
	})
}

func unseen(r *v1alpha1.MetricResult) bool {
	return !slices.ContainsFunc(r.Measurements, func(m v1alpha1.Measurement) bool {
		return m.Metadata[v1alpha1.SluicePrefix+"reason"] != "NoData"
	})
}

// failedUnseen reports whether run failed for nothing but readings without
// data, as onNoData: failure makes it do: a good version would fail as well.
func failedUnseen(run *v1alpha1.AnalysisRun) bool {
	failed := false
	for i := range run.Status.MetricResults {
		r := &run.Status.MetricResults[i]
		if r.Phase != v1alpha1.AnalysisPhaseFailed || r.DryRun {
			continue
		}
		failed = true
		if len(r.Measurements) == 0 || !unseen(r) {
			return false
		}
	}
	return failed
}

func metricOf(run *v1alpha1.AnalysisRun, spec *v1alpha1.Metric) Metric {
	m := Metric{Name: spec.Name}
	if dd := spec.Provider.Datadog; dd != nil && dd.Formula == "" && len(dd.Queries) == 0 {
		q := strings.TrimSpace(dd.Query)
		m.Query = q
		m.Counts = strings.HasPrefix(q, "sum:") && strings.HasSuffix(q, ".as_count()") && dd.Aggregator == "sum"
	}
	for i := range run.Status.MetricResults {
		r := &run.Status.MetricResults[i]
		if r.Name != spec.Name {
			continue
		}
		m.Readings, m.Failed, m.Values = r.Count, r.Failed, numbers(r.Measurements)
	}
	return m
}

// numbers are the values that are one number each.
func numbers(measurements []v1alpha1.Measurement) []float64 {
	var out []float64
	for i := range measurements {
		v, err := strconv.ParseFloat(strings.Trim(measurements[i].Value, "[] "), 64)
		if err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			out = append(out, v)
		}
	}
	return out
}

func readings(metrics []Metric) string {
	var out []string
	for _, m := range metrics {
		text := fmt.Sprintf("%s: %d readings", m.Name, m.Readings)
		if n := len(m.Values); n > 0 {
			text += ", last " + short(m.Values[n-1])
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"maps"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/view"
)

// keyQuery is where the controller notes a query as it was sent.
const keyQuery = v1alpha1.SluicePrefix + "query"

// runOf is what the record holds of run.
func runOf(run *v1alpha1.AnalysisRun) Run {
	d := view.DetailOf(run, time.Time{})
	out := Run{
		Name: d.Name, Kind: d.Kind, Step: d.Step, Phase: string(d.Phase), Message: d.Message,
		StartedAt: d.Started, CompletedAt: d.Completed, Args: d.Args, Metrics: []Metric{},
	}
	for i := range d.Details {
		out.Metrics = append(out.Metrics, metricOf(run, &d.Details[i]))
	}
	return out
}

func metricOf(run *v1alpha1.AnalysisRun, d *view.MetricDetail) Metric {
	m := Metric{
		Name: d.Name, Phase: string(d.Phase), DryRun: d.DryRun, Aggregator: aggregator(run, d.Name),
		FailureLimit: d.FailureLimit, Count: d.Want, Readings: []Reading{},
		Successful: d.Counts.Successful, Failed: d.Counts.Failed, Inconclusive: d.Counts.Inconclusive, Errors: d.Counts.Error,
	}
	m.rules(d.Rules)
	for i := range run.Status.MetricResults {
		if res := &run.Status.MetricResults[i]; res.Name == d.Name {
			m.result(res)
		}
	}
	return m
}

// rules takes down how the metric is measured and judged.
func (m *Metric) rules(rules []view.Rule) {
	into := map[string]*string{"Pass": &m.Pass, "Fail": &m.Fail, "Abort": &m.Abort, "Limits": &m.Limits, "Schedule": &m.Schedule}
	var queries []string
	for _, rule := range rules {
		if field := into[rule.Name]; field != nil {
			*field = rule.Text
			continue
		}
		queries = append(queries, strings.TrimSpace(rule.Name)+": "+rule.Text)
	}
	m.Query = strings.Join(queries, "; ")
}

// result takes down what was measured.
func (m *Metric) result(res *v1alpha1.MetricResult) {
	m.Message = res.Message
	if q := res.Metadata[keyQuery]; q != "" {
		m.Query = q
	}
	kept, lost := measurements(res)
	m.Dropped = lost
	for j := range kept {
		m.Readings = append(m.Readings, readingOf(&kept[j]))
	}
}

// aggregator is what makes one number of a window, of Datadog's API v2.
func aggregator(run *v1alpha1.AnalysisRun, metric string) string {
	for i := range run.Spec.Metrics {
		if dd := run.Spec.Metrics[i].Provider.Datadog; dd != nil && run.Spec.Metrics[i].Name == metric && dd.APIVersion == "v2" {
			return cmp.Or(dd.Aggregator, "last")
		}
	}
	return ""
}

func readingOf(in *v1alpha1.Measurement) Reading {
	out := Reading{
		At: utc(in.StartedAt), Phase: string(in.Phase), Value: in.Value, Reason: in.Metadata[keyReason],
		Message: in.Message, Counts: counts(in),
	}
	if in.StartedAt != nil && in.FinishedAt != nil {
		out.Seconds = in.FinishedAt.Sub(in.StartedAt.Time).Seconds()
	}
	if from, to, ok := parseRange(in.Metadata[keyRange]); ok {
		out.From, out.To = from, to
	}
	notes := maps.Clone(in.Metadata)
	for _, k := range []string{keyReason, keyRange, KeyCounts, analysis.KeyWindow} {
		delete(notes, k)
	}
	if len(notes) > 0 {
		out.Notes = notes
	}
	return out
}

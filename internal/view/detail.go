// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/analysis"
)

// A Detail is all that is shown of one AnalysisRun.
type Detail struct {
	AnalysisRun
	// Owner is what started the run, such as "Rollout checkout".
	Owner string `json:"owner,omitempty"`
	// Revision is the number of the revision it judges, 0 when not known, and
	// Hash that revision's pod-template hash.
	Revision  int64     `json:"revision,omitempty"`
	Hash      string    `json:"hash,omitempty"`
	Started   time.Time `json:"started,omitzero"`
	Completed time.Time `json:"completed,omitzero"`
	// Args are the arguments as name=value; a secret stays hidden.
	Args    []string       `json:"args,omitempty"`
	Details []MetricDetail `json:"details,omitempty"`
}

// A MetricDetail is all that is shown of one metric.
type MetricDetail struct {
	Metric
	// Rules says in words how the metric is measured and judged.
	Rules []Rule `json:"rules"`
	// Readings are the measurements that are kept, oldest first, and Dropped is
	// how many older ones are not.
	Readings []Reading `json:"readings,omitempty"`
	Dropped  int       `json:"dropped,omitempty"`
}

// A Rule is a named line of text.
type Rule struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// A Reading is one measurement.
type Reading struct {
	Number   int                    `json:"number"`
	Started  time.Time              `json:"started"`
	Took     time.Duration          `json:"took"`
	Phase    v1alpha1.AnalysisPhase `json:"phase"`
	Value    string                 `json:"value,omitempty"`
	Reason   string                 `json:"reason,omitempty"`
	Message  string                 `json:"message,omitempty"`
	Window   string                 `json:"window,omitempty"`
	Metadata map[string]string      `json:"metadata,omitempty"`
}

// DetailOf is all that is shown of run at the time now.
func DetailOf(run *v1alpha1.AnalysisRun, now time.Time) Detail {
	d := Detail{
		AnalysisRun: RunOf(run, now),
		Revision:    revision(run.Annotations),
		Hash:        run.Labels[v1alpha1.LabelPodTemplateHash],
		Started:     at(run.Status.StartedAt),
		Completed:   at(run.Status.CompletedAt),
	}
	if ref := metav1.GetControllerOf(run); ref != nil {
		d.Owner = ref.Kind + " " + ref.Name
	}
	for _, a := range run.Spec.Args {
		value := "*****"
		if a.Value != nil {
			value = *a.Value
		} else if a.ValueFrom != nil && a.ValueFrom.SecretKeyRef != nil {
			value += fmt.Sprintf(" (key %s of Secret %s)", a.ValueFrom.SecretKeyRef.Key, a.ValueFrom.SecretKeyRef.Name)
		}
		d.Args = append(d.Args, a.Name+"="+value)
	}
	fill := filler(run.Spec.Args)
	for i := range run.Spec.Metrics {
		spec := &run.Spec.Metrics[i]
		res := resultOf(run, spec.Name)
		m := MetricDetail{Metric: d.Metrics[i], Rules: rules(spec, res, fill)}
		if res != nil {
			m.Readings = readings(res)
			m.Dropped = max(0, int(res.Count+res.Error)-len(m.Readings))
			for n := range m.Readings {
				m.Readings[n].Number = m.Dropped + n + 1
			}
		}
		d.Details = append(d.Details, m)
	}
	return d
}

func readings(res *v1alpha1.MetricResult) []Reading {
	out := make([]Reading, 0, len(res.Measurements))
	for i := range res.Measurements {
		m := &res.Measurements[i]
		r := Reading{
			Started: at(m.StartedAt), Phase: m.Phase, Value: m.Value, Message: m.Message,
			Reason: Reason(m), Window: m.Metadata[analysis.KeyWindow], Metadata: m.Metadata,
		}
		if m.StartedAt != nil && m.FinishedAt != nil {
			r.Took = m.FinishedAt.Sub(m.StartedAt.Time)
		}
		out = append(out, r)
	}
	return out
}

func at(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// rules says how a metric is measured and judged.
func rules(m *v1alpha1.Metric, res *v1alpha1.MetricResult, fill func(string) string) []Rule {
	var out []Rule
	add := func(name, text string) {
		if text = strings.Join(strings.Fields(fill(text)), " "); text != "" {
			out = append(out, Rule{Name: name, Text: text})
		}
	}
	add("Pass", m.SuccessCondition)
	add("Fail", m.FailureCondition)
	add("Abort", m.AbortCondition)
	add("Limits", limitsText(m, fill))
	add("Schedule", schedule(m, fill))
	asked := queries(&m.Provider)
	for _, q := range asked {
		add(q.Name, q.Text)
	}
	if len(asked) == 0 && res != nil {
		add("Query", res.Metadata[keyQuery])
	}
	return out
}

// keyQuery is where the controller notes the query as it was sent.
const keyQuery = v1alpha1.SluicePrefix + "query"

func limitsText(m *v1alpha1.Metric, fill func(string) string) string {
	var out []string
	if limit := number(m.FailureLimit, fill); limit >= 0 {
		out = append(out, fmt.Sprintf("%d failures allowed", limit))
	}
	if m.InconclusiveLimit != nil {
		out = append(out, fmt.Sprintf("%d inconclusive readings allowed", number(m.InconclusiveLimit, fill)))
	}
	if m.ConsecutiveSuccessLimit != nil {
		out = append(out, fmt.Sprintf("passes after %d good readings in a row", number(m.ConsecutiveSuccessLimit, fill)))
	}
	if m.OnNoData != "" {
		out = append(out, "no data counts as "+string(m.OnNoData))
	}
	if m.OnError != "" {
		out = append(out, "errors "+string(m.OnError))
	}
	return strings.Join(out, ", ")
}

func schedule(m *v1alpha1.Metric, fill func(string) string) string {
	var out []string
	if n := number(m.Count, fill); n > 0 {
		out = append(out, fmt.Sprintf("%d readings", n))
	}
	if m.Interval != "" {
		out = append(out, "one every "+string(m.Interval))
	}
	if m.InitialDelay != "" {
		out = append(out, "the first after "+string(m.InitialDelay))
	}
	return strings.Join(out, ", ")
}

// queries is what a provider is asked, by name.
func queries(p *v1alpha1.MetricProvider) []Rule {
	switch {
	case p.Datadog != nil:
		return datadogQueries(p.Datadog)
	case p.Prometheus != nil:
		return []Rule{{"Prometheus", p.Prometheus.Address}, {"Query", p.Prometheus.Query}}
	case p.Web != nil:
		return []Rule{{"Web", p.Web.URL}, {"Path", p.Web.JSONPath}}
	case p.Job != nil:
		return []Rule{{"Provider", "a Job"}}
	}
	return nil
}

func datadogQueries(d *v1alpha1.DatadogMetric) []Rule {
	source := "API v1"
	if d.APIVersion != "" {
		source = "API " + d.APIVersion
	}
	if d.Interval != "" {
		source += ", looking back " + string(d.Interval)
	}
	out := []Rule{{"Datadog", source}, {"Formula", d.Formula}, {"Query", d.Query}}
	for _, name := range slices.Sorted(maps.Keys(d.Queries)) {
		out = append(out, Rule{"  " + name, d.Queries[name]})
	}
	return out
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/fit"
)

//go:embed page.html.tmpl
var pageText string

// pageTemplate escapes everything by where it stands: what a provider or a
// manifest says is text and never markup.
var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"time": func(t time.Time) string { return stampText(t) }, "clock": func(t time.Time) string { return t.UTC().Format(time.TimeOnly) },
	"class": phaseClass, "mark": phaseMark, "counts": countsText, "notes": notesText, "outcome": outcomeClass, "value": shorten,
	"lines": func(query string) []string { return strings.Split(query, "; ") },
}).Parse(pageText))

// A page is what the template is given.
type page struct {
	*Record
	Title   string
	Facts   []fact
	Traffic *chart
	Gates   []gate
	Rows    []timelineRow
}

// A fact is one figure at the top of the page.
type fact struct{ Name, Value, More string }

// A gate is one metric with its chart and the runs that measured it.
type gate struct {
	*Metric
	Chart *chart
	Parts []part
	// Open says that its readings are shown without a click.
	Open bool
}

// A part is what one run measured of a metric.
type part struct {
	Run    *Run
	Metric *Metric
	Where  string
}

// A timelineRow is an Event and how long after the beginning it was.
type timelineRow struct {
	Event
	After string
}

// HTML writes r as one page that needs nothing else: no script, no network.
func HTML(r *Record) ([]byte, error) {
	x := span(r)
	p := page{Record: r, Title: fmt.Sprintf("%s, %s: %s", r.Rollout, r.Name(), strings.ToLower(spoken(r.Outcome))), Facts: facts(r), Traffic: trafficChart(r, x)}
	for i, s := range seriesOf(r) {
		g := gate{Metric: s.metrics[0], Chart: metricChart(r, s, x, fmt.Sprintf("metric-%d", i))}
		for k, m := range s.metrics {
			g.Parts = append(g.Parts, part{Run: s.runs[k], Metric: m, Where: runWhere(s.runs[k])})
			g.Open = g.Open || m.Phase == string(v1alpha1.AnalysisPhaseFailed)
		}
		p.Gates = append(p.Gates, g)
	}
	for _, e := range r.Timeline {
		p.Rows = append(p.Rows, timelineRow{Event: e, After: "+" + Duration(e.At.Sub(r.StartedAt))})
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("write the evidence of %s/%s as HTML: %w", r.Namespace, r.Rollout, err)
	}
	return b.Bytes(), nil
}

func facts(r *Record) []fact {
	end := r.EndedAt
	if end.IsZero() {
		end = r.RecordedAt
	}
	most := 0.0
	for _, e := range r.Timeline {
		if e.Kind == v1alpha1.MarkWeight {
			most = max(most, e.Weight)
		}
	}
	out := []fact{
		{"Lasted", Duration(end.Sub(r.StartedAt)), "from " + stampText(r.StartedAt) + " UTC"},
		{"Most traffic", number(most) + " %", "that the canary was given"},
	}
	if q := r.Requests; q != nil {
		share := ""
		if q.Served > 0 {
			share = fmt.Sprintf("%s %%, ", number(q.Failed/q.Served*100))
		}
		served := fact{"Requests served", Thousands(q.Served), "by the canary in all"}
		if q.AtLeast {
			served.Value, served.More = "≥ "+served.Value, fmt.Sprintf("by the canary, in %s", plural(q.Windows, "window"))
		}
		out = append(out, served,
			fact{"Requests failed", Thousands(q.Failed), share + "by metric " + q.Metric})
	} else {
		out = append(out, fact{"Requests served", "not known", "no query counts them"})
	}
	readings, bad := 0, 0
	for i := range r.Runs {
		for j := range r.Runs[i].Metrics {
			m := &r.Runs[i].Metrics[j]
			readings += int(m.Successful + m.Failed + m.Inconclusive)
			bad += int(m.Failed)
		}
	}
	return append(out, fact{"Readings", Thousands(float64(readings)), fmt.Sprintf("%s failed, %s", Thousands(float64(bad)), analysesText(len(r.Runs)))})
}

func analysesText(n int) string {
	if n == 1 {
		return "in 1 analysis"
	}
	return fmt.Sprintf("in %d analyses", n)
}

func runWhere(run *Run) string {
	switch {
	case run.Kind == v1alpha1.RolloutTypeBackground:
		return "background, the whole time"
	case run.Step >= 0:
		return fmt.Sprintf("gate at step %d", run.Step)
	}
	return ""
}

// Clock is a time of the attempt: without the day, if it did not last into
// another one.
func (p page) Clock(t time.Time) string {
	last := p.RecordedAt
	if !p.EndedAt.IsZero() {
		last = p.EndedAt
	}
	if t.IsZero() || p.StartedAt.Format(time.DateOnly) != last.Format(time.DateOnly) || t.UTC().Format(time.DateOnly) != last.Format(time.DateOnly) {
		return stampText(t)
	}
	return t.UTC().Format(time.TimeOnly)
}

func spoken(outcome string) string {
	if outcome == InProgress {
		return "In progress"
	}
	return outcome
}

func stampText(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format(time.DateTime)
}

func outcomeClass(outcome string) string {
	switch outcome {
	case v1alpha1.OutcomePromoted:
		return "good"
	case v1alpha1.OutcomeAborted:
		return "bad"
	}
	return "unclear"
}

func phaseClass(phase string) string {
	switch v1alpha1.AnalysisPhase(phase) {
	case v1alpha1.AnalysisPhaseSuccessful:
		return "good"
	case v1alpha1.AnalysisPhaseFailed:
		return "bad"
	case v1alpha1.AnalysisPhaseInconclusive:
		return "unclear"
	case v1alpha1.AnalysisPhaseError, v1alpha1.AnalysisPhasePending, v1alpha1.AnalysisPhaseRunning:
	}
	return "none"
}

// phaseMark is a sign for a phase that does not need colour.
func phaseMark(phase string) string {
	return map[string]string{"good": "●", "bad": "✕", "unclear": "◆", "none": "□"}[phaseClass(phase)]
}

func countsText(counts map[string]float64) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, name+" = "+Thousands(counts[name]))
	}
	return strings.Join(out, ", ")
}

func notesText(notes map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		out = append(out, name+": "+clip(notes[name]))
	}
	return strings.Join(out, "; ")
}

// shorten is a value that is not longer than a cell.
func shorten(value string) string { return fit.Bytes(value, 60) }

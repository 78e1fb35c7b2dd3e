// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/view"
)

// deep is how far from the left a metric is drawn, at most.
const deep = 12

// metricNodes draws the metrics of a run: the last value against its limits.
func metricNodes(o Options, run view.AnalysisRun) []node {
	var w struct{ name, value, limits, budget int }
	for _, m := range run.Metrics {
		w.name = max(w.name, width(metricName(m)))
		w.value = max(w.value, width(reading(m)))
		w.limits = max(w.limits, width(limits(m)))
		w.budget = max(w.budget, width(budget(m)))
	}
	beside := o.Width <= 0 || deep+w.name+w.value+w.limits+w.budget+6 <= o.Width
	var out []node
	for _, m := range run.Metrics {
		line := pad(metricName(m), w.name) + "  " + o.paint(readingMark(m).tone, pad(reading(m), w.value)) + "  "
		if beside {
			line += pad(limits(m), w.limits) + "  "
		}
		line += o.paint(budgetTone(m), budget(m))
		n := node{lines: []string{strings.TrimRight(line, " ")}}
		indent := strings.Repeat(" ", w.name+2)
		if l := limits(m); !beside && l != "" {
			n.lines = append(n.lines, o.hang(indent, l)...)
		}
		if why := explanation(m); why != "" {
			n.lines = append(n.lines, o.hang(indent, why)...)
		}
		out = append(out, n)
	}
	return out
}

// hang breaks text into lines behind an indent.
func (o Options) hang(indent, text string) []string {
	limit := 0
	if o.Width > 0 {
		limit = max(o.Width-deep-len(indent), 24)
	}
	lines := fold(text, limit)
	for i := range lines {
		lines[i] = indent + lines[i]
	}
	return lines
}

func metricName(m view.Metric) string {
	if m.DryRun {
		return m.Name + " (dry run)"
	}
	return m.Name
}

func readingMark(m view.Metric) mark {
	switch {
	case m.Last != "":
		return markRun(string(m.Last))
	case m.Phase.Completed():
		return unsure
	}
	return busy
}

// reading is the last measurement in a few words.
func reading(m view.Metric) string {
	icon := readingMark(m).icon
	switch {
	case m.Last == "" && m.Phase.Completed():
		return icon + " no reading"
	case m.Last == "":
		return icon + " no reading yet"
	case m.Last == v1alpha1.AnalysisPhaseError:
		return icon + " error"
	case m.Note == "NoData" || m.Value == "":
		return icon + " no data"
	}
	return icon + " " + cut(short(m.Value), 24)
}

// short is a number in six digits, or without its fraction when it is large:
// more say nothing beside a limit. What is no number stays as it is.
func short(value string) string {
	x, err := strconv.ParseFloat(value, 64)
	if err != nil || len(value) <= 8 {
		return value
	}
	if math.Abs(x) >= 100_000 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}

// limits is what a reading is judged by.
func limits(m view.Metric) string {
	var out []string
	for _, l := range []struct{ verb, cond string }{{"pass", m.Pass}, {"fail", m.Fail}, {"abort", m.Abort}} {
		if l.cond == "" {
			continue
		}
		if strings.ContainsAny(l.cond[:1], "<>=!") {
			out = append(out, l.verb+" "+l.cond)
		} else {
			out = append(out, l.verb+" when "+l.cond)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "(" + strings.Join(out, ", ") + ")"
}

// budget is how close the metric is to its verdict: failures of those allowed,
// and conclusive readings of those needed.
func budget(m view.Metric) string {
	if m.Phase == v1alpha1.AnalysisPhaseFailed && m.FailureLimit >= 0 {
		return fmt.Sprintf("%s  ✖ %d, %d allowed", m.Phase, m.Failed, m.FailureLimit)
	}
	if m.Phase.Completed() {
		return strings.TrimSpace(string(m.Phase) + "  " + counts(m.Counts))
	}
	var out []string
	if m.FailureLimit >= 0 {
		out = append(out, fmt.Sprintf("✖ %d/%d", m.Failed, m.FailureLimit))
	} else if m.Failed > 0 {
		out = append(out, fmt.Sprintf("✖ %d", m.Failed))
	}
	if m.Counts.Inconclusive > 0 {
		out = append(out, fmt.Sprintf("? %d", m.Counts.Inconclusive))
	}
	if m.Counts.Error > 0 {
		out = append(out, fmt.Sprintf("⚠ %d", m.Counts.Error))
	}
	if m.Want > 0 {
		out = append(out, fmt.Sprintf("window %d/%d", m.Window, m.Want))
	}
	return strings.Join(out, "  ")
}

func budgetTone(m view.Metric) tone {
	switch {
	case m.Phase.Completed():
		return markOf(string(m.Phase)).tone
	case m.Failed > 0:
		return yellow
	}
	return plain
}

// explanation is the reason of a reading that is not a plain value, or of a
// metric that has not passed.
func explanation(m view.Metric) string {
	failed := m.Phase.Completed() && m.Phase != v1alpha1.AnalysisPhaseSuccessful
	missing := m.Last == v1alpha1.AnalysisPhaseError || m.Note == "NoData" || (m.Last != "" && m.Value == "")
	if failed || missing {
		return m.Message
	}
	return ""
}

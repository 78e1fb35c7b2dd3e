// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sluice/internal/view"
)

// Run draws one AnalysisRun with every measurement that is kept: what was asked,
// what came back, and the verdict on it.
func Run(d view.Detail, o Options) string {
	var b strings.Builder
	m := markRun(string(d.Phase))
	o.field(&b, "Name:", d.Name)
	o.field(&b, "Namespace:", d.Namespace)
	o.field(&b, "Of:", origin(d))
	b.WriteString(pad("Status:", margin) + o.paint(m.tone, m.icon+" "+string(d.Phase)) + "\n")
	o.field(&b, "Message:", d.Message)
	o.field(&b, "Started:", stamp(d.Started))
	o.field(&b, "Completed:", stamp(d.Completed))
	for i, a := range d.Args {
		o.field(&b, pick(i == 0, "Arguments:", ""), a)
	}
	for _, metric := range d.Details {
		drawMetric(o, &b, metric)
	}
	return b.String()
}

func origin(d view.Detail) string {
	out := []string{}
	for _, part := range []string{d.Owner, runKind(d.AnalysisRun)} {
		if part != "" {
			out = append(out, part)
		}
	}
	if d.Revision > 0 {
		out = append(out, fmt.Sprintf("revision %d", d.Revision))
	}
	if d.Hash != "" {
		out = append(out, "pod-template hash "+d.Hash)
	}
	return strings.Join(out, ", ")
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func drawMetric(o Options, b *strings.Builder, m view.MetricDetail) {
	mark := markRun(string(m.Phase))
	b.WriteString("\n" + pad("Metric:", margin) + o.paint(bold, metricName(m.Metric)) + "  " +
		o.paint(mark.tone, mark.icon+" "+string(m.Phase)) + "\n")
	for _, r := range m.Rules {
		o.field(b, "  "+r.Name+":", r.Text)
	}
	tally := counts(m.Counts)
	switch {
	case tally == "" && m.Phase.Completed():
		tally = "none"
	case tally == "":
		tally = "none yet"
	}
	if m.Want > 0 && !m.Phase.Completed() {
		tally += fmt.Sprintf("  window %d/%d", m.Window, m.Want)
	}
	o.field(b, "  Readings:", tally)
	if m.Dropped > 0 {
		o.field(b, "", fmt.Sprintf("(the oldest %d are not kept)", m.Dropped))
	}
	if len(m.Readings) > 0 {
		o.readings(b, m.Readings)
	}
}

// verdictColumn is where the verdict stands in a table of readings.
const verdictColumn = 3

// readings draws the measurements as a table; what has a message says it on
// the lines below.
func (o Options) readings(b *strings.Builder, list []view.Reading) {
	rows := [][]string{{"#", "TIME (UTC)", "TOOK", "VERDICT", "VALUE", "WINDOW"}}
	for _, r := range list {
		rows = append(rows, readingRow(r))
	}
	w := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			w[i] = max(w[i], width(cell))
		}
	}
	if w[5] == len("WINDOW") && !windows(list) {
		w = w[:5]
	}
	for n, row := range rows {
		var line strings.Builder
		line.WriteString("    ")
		for i := range w {
			cell := pad(row[i], w[i])
			if n > 0 && i == verdictColumn {
				cell = o.paint(markRun(string(list[n-1].Phase)).tone, cell)
			}
			line.WriteString(cell + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		if n > 0 {
			o.reason(b, list[n-1].Message, 4+w[0]+2)
		}
	}
}

func windows(list []view.Reading) bool {
	return slices.ContainsFunc(list, func(r view.Reading) bool { return r.Window != "" })
}

func readingRow(r view.Reading) []string {
	value := r.Value
	if value == "" {
		value = r.Reason
	}
	verdict := markRun(string(r.Phase)).icon + " " + string(r.Phase)
	return []string{strconv.Itoa(r.Number), clock(r.Started), took(r.Took), verdict, cut(value, 40), r.Window}
}

// reason draws why a measurement got its verdict.
func (o Options) reason(b *strings.Builder, message string, indent int) {
	if message == "" {
		return
	}
	limit := 0
	if o.Width > 0 {
		limit = max(o.Width-indent, 24)
	}
	for _, l := range wrap(message, limit) {
		b.WriteString(strings.Repeat(" ", indent) + l + "\n")
	}
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("15:04:05")
}

func took(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

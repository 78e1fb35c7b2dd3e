// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
)

// A series is one metric, measured by one run or by several.
type series struct {
	metrics []*Metric
	runs    []*Run
}

// seriesOf groups the metrics of all runs that ask the same and judge the same.
func seriesOf(r *Record) []*series {
	var out []*series
	for i := range r.Runs {
		for j := range r.Runs[i].Metrics {
			m := &r.Runs[i].Metrics[j]
			k := slices.IndexFunc(out, func(s *series) bool {
				o := s.metrics[0]
				return o.Name == m.Name && o.Query == m.Query && o.Pass == m.Pass && o.Fail == m.Fail && o.Abort == m.Abort
			})
			if k < 0 {
				out = append(out, &series{})
				k = len(out) - 1
			}
			out[k].metrics, out[k].runs = append(out[k].metrics, m), append(out[k].runs, &r.Runs[i])
		}
	}
	return out
}

// The shapes of points: a circle, a cross, a diamond and a hollow square.
const (
	shapeGood    = "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0Z"
	shapeBad     = "M-4 -4L4 4M4 -4L-4 4"
	shapeUnclear = "M0 -4.6L4.6 0L0 4.6L-4.6 0Z"
	shapeNone    = "M-3.2 -3.2H3.2V3.2H-3.2Z"
)

func shapeOf(phase string, hasValue bool) (shape, class string) {
	switch {
	case !hasValue:
		return shapeNone, "none"
	case phase == string(v1alpha1.AnalysisPhaseSuccessful):
		return shapeGood, "good"
	case phase == string(v1alpha1.AnalysisPhaseFailed):
		return shapeBad, "bad"
	}
	return shapeUnclear, "unclear"
}

// metricChart draws the readings of a metric with its limits; nil if there is
// nothing to draw.
func metricChart(r *Record, s *series, x axis, id string) *chart {
	m := s.metrics[0]
	c := &chart{
		ID: id, Title: m.Name, Desc: "Readings of metric " + m.Name + " over time, with its limits.",
		Bottom: plotTop + metricPlot, Height: plotTop + metricPlot + axisBelow, X: timeTicks(x),
	}
	var values []float64
	n := 0
	for _, o := range s.metrics {
		n += len(o.Readings)
		for i := range o.Readings {
			values = append(values, numbers(o.Readings[i].Value)...)
		}
	}
	if n == 0 {
		return nil
	}
	limits := limitsOf(m)
	y := scale(values, limits, c.Bottom)
	c.Y = valueTicks(y)
	c.limits(limits, y)
	for _, o := range s.metrics {
		c.readings(o, x, y)
	}
	c.end(r, x)
	return c
}

// A threshold is a number that a condition compares the result with.
type threshold struct {
	class, op string
	value     float64
}

var plainComparison = regexp.MustCompile(`^\s*result(?:\[0\])?\s*(<=|>=|<|>)\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*$`)

// limitsOf are the limits of m that can be drawn: plain comparisons.
func limitsOf(m *Metric) []threshold {
	var out []threshold
	for _, c := range []struct{ class, expr string }{{"pass", m.Pass}, {"fail", m.Fail}, {"abort", m.Abort}} {
		part := plainComparison.FindStringSubmatch(c.expr)
		if part == nil {
			continue
		}
		if v, ok := drawable(part[2]); ok {
			out = append(out, threshold{c.class, part[1], v})
		}
	}
	return out
}

// scale is the axis of values. It begins at 0, unless something is below, or
// everything is far above, such as rates of success. A limit far beyond every
// value is left off, not to flatten the rest.
func scale(values []float64, limits []threshold, bottom float64) axis {
	low, high := math.Inf(1), math.Inf(-1)
	reach := func(v float64) { low, high = min(low, v), max(high, v) }
	for _, v := range values {
		reach(v)
	}
	sorted := slices.Clone(limits)
	slices.SortFunc(sorted, func(a, b threshold) int { return cmp.Compare(a.value, b.value) })
	for i, l := range sorted {
		if i == 0 || l.value <= 3*high {
			reach(l.value)
		}
	}
	switch {
	case low > high: // nothing at all
		low, high = 0, 1
	case low >= 0 && (low < far*high || low == high):
		low = 0
	case low > 0:
		low -= (high - low) * 0.25
	}
	if high <= low {
		high = low + 1
	}
	return axis{from: low, to: high + (high-low)*0.12, a: bottom, b: plotTop}
}

// far is the share of the highest value below which the lowest is near 0.
const far = 0.6

// limits draws the limits, and shades where values fail or are unclear.
func (c *chart) limits(limits []threshold, y axis) {
	c.shade(limits, y)
	for _, l := range limits {
		label := fmt.Sprintf("%s %s %s", l.class, l.op, number(l.value))
		at := y.at(l.value)
		if l.value > y.to {
			c.Limits = append(c.Limits, limit{Y: -1, LabelY: plotTop - 2, Class: l.class, Label: label + " ↑"})
			continue
		}
		c.Limits = append(c.Limits, limit{Y: at, LabelY: at + 4, Class: l.class, Label: label})
	}
	c.spread()
}

// shade fills the values that fail, and those that neither pass nor fail.
func (c *chart) shade(limits []threshold, y axis) {
	fill := func(from, to float64, class string) {
		top, bottom := min(y.at(from), y.at(to)), max(y.at(from), y.at(to))
		if bottom-top > 0.5 {
			c.Zones = append(c.Zones, zone{X: plotLeft, Y: top, Width: plotRight - plotLeft, Height: bottom - top, Class: class})
		}
	}
	beyond := func(l *threshold, above bool) {
		if above {
			fill(l.value, y.to, "failing")
			return
		}
		fill(y.from, l.value, "failing")
	}
	pass, fail := thresholdOf(limits, "pass"), thresholdOf(limits, "fail")
	switch {
	case fail != nil:
		beyond(fail, fail.up())
	case pass != nil:
		beyond(pass, !pass.up())
	}
	if fail != nil && pass != nil && fail.up() != pass.up() {
		fill(min(pass.value, fail.value), max(pass.value, fail.value), "band")
	}
}

// up reports whether larger values meet the condition.
func (l *threshold) up() bool { return l.op[0] == '>' }

func thresholdOf(limits []threshold, class string) *threshold {
	for i := range limits {
		if limits[i].class == class {
			return &limits[i]
		}
	}
	return nil
}

// spread moves labels apart that would lie on each other.
func (c *chart) spread() {
	slices.SortStableFunc(c.Limits, func(a, b limit) int { return int(math.Copysign(1, b.LabelY-a.LabelY)) })
	for i := 1; i < len(c.Limits); i++ {
		if over := c.Limits[i-1].LabelY - 13; c.Limits[i].LabelY > over {
			c.Limits[i].LabelY = over
		}
	}
}

// readings draws the readings of one run: a line through those that follow each
// other without a gap, and a point for each.
func (c *chart) readings(m *Metric, x, y axis) {
	path, width := "", usual(m)
	var last time.Time
	flush := func() {
		if path != "" {
			c.Paths = append(c.Paths, path)
		}
		path = ""
	}
	for i := range m.Readings {
		in := &m.Readings[i]
		px, values := x.at(seconds(in.At)), numbers(in.Value)
		title := fmt.Sprintf("%s UTC  %s  %s", in.At.UTC().Format(time.TimeOnly), in.Value, in.Phase)
		shape, class := shapeOf(in.Phase, len(values) > 0)
		if len(values) == 0 {
			flush()
			c.Points = append(c.Points, point{X: px, Y: c.Bottom - 7, Class: class, Shape: shape, Title: fmt.Sprintf("%s UTC  %s  %s", in.At.UTC().Format(time.TimeOnly), in.Phase, in.Reason)})
			continue
		}
		if path != "" && in.At.Sub(last) > width {
			flush()
		}
		last = in.At
		if len(values) == 1 {
			path += fmt.Sprintf("%s%s %s", pen(path), num(px), num(y.at(values[0])))
		}
		for _, v := range values[:min(len(values), 20)] {
			c.Points = append(c.Points, point{X: px, Y: y.at(v), Class: class, Shape: shape, Title: title})
		}
	}
	flush()
}

func pen(path string) string {
	if path == "" {
		return "M"
	}
	return "L"
}

// usual is the longest time between two readings that is no gap.
func usual(m *Metric) time.Duration {
	var all []time.Duration
	for i := 1; i < len(m.Readings); i++ {
		all = append(all, m.Readings[i].At.Sub(m.Readings[i-1].At))
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]*5/2 + time.Second
}

// huge bounds what is drawn: the difference of two values must be a number too.
const huge = 1e300

// drawable reads a number that can be drawn.
func drawable(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, false
	}
	return min(huge, max(-huge, f)), true
}

// numbers are the numbers of a stored value: one, or several of a grouped one.
func numbers(value string) []float64 {
	var out []float64
	for part := range strings.SplitSeq(strings.Trim(value, "[] "), ",") {
		if f, ok := drawable(part); ok {
			out = append(out, f)
		}
	}
	return out
}

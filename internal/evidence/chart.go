// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
)

// The geometry of charts, in the units of their view box. All charts of a record
// share their time axis, so that what is above each other happened together.
const (
	chartWidth  = 960.0
	plotLeft    = 60.0
	plotRight   = 838.0
	plotTop     = 14.0
	metricPlot  = 150.0
	trafficPlot = 110.0
	axisBelow   = 26.0
)

// A chart is the drawing of one thing over time.
type chart struct {
	ID, Title, Desc string
	Height, Bottom  float64
	X, Y            []tick
	Zones           []zone
	Limits          []limit
	Area            string
	Paths           []string
	Points          []point
	Waits           []zone
	Marks           []pill
	End             *tick
	EndClass        string
}

// A tick is a place on an axis and what is written there.
type tick struct {
	At    float64
	Label string
}

// A pill is the label of one step, or of several that are close together.
type pill struct {
	X, Width, Middle float64
	Label            string
	first            int
}

// A zone is a rectangle.
type zone struct {
	X, Y, Width, Height float64
	Class, Title        string
}

// A limit is a line that values are compared with.
type limit struct {
	Y, LabelY    float64
	Class, Label string
}

// A point is one reading.
type point struct {
	X, Y         float64
	Class, Title string
	// Shape is a path around 0,0, so that colour is not all that tells them
	// apart.
	Shape string
}

// An axis maps a stretch of values to a stretch of the drawing.
type axis struct{ from, to, a, b float64 }

func (x axis) at(v float64) float64 {
	if x.to <= x.from {
		return x.a
	}
	f := min(1, max(0, (v-x.from)/(x.to-x.from)))
	return math.Round((x.a+f*(x.b-x.a))*10) / 10
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// span is the time that all charts show.
func span(r *Record) axis {
	from, to := r.StartedAt, r.EndedAt
	if to.IsZero() {
		to = r.RecordedAt
	}
	reach := func(t time.Time) {
		if t.IsZero() {
			return
		}
		if from.IsZero() || t.Before(from) {
			from = t
		}
		if t.After(to) {
			to = t
		}
	}
	for _, e := range r.Timeline {
		reach(e.At)
	}
	for i := range r.Runs {
		for j := range r.Runs[i].Metrics {
			for _, x := range r.Runs[i].Metrics[j].Readings {
				reach(x.At)
			}
		}
	}
	width := max(seconds(to)-seconds(from), 10)
	return axis{from: seconds(from) - width*0.01, to: seconds(to) + width*0.015, a: plotLeft, b: plotRight}
}

// timeTicks are round times along x.
func timeTicks(x axis) []tick {
	steps := []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800}
	step := steps[len(steps)-1]
	for _, s := range steps {
		if (x.to-x.from)/s <= 8 {
			step = s
			break
		}
	}
	format := "15:04"
	switch {
	case step < 60:
		format = "15:04:05"
	case step >= 21600:
		format = "Jan 2 15:04"
	}
	var out []tick
	for v := math.Ceil(x.from/step) * step; v <= x.to && len(out) < 20; v += step {
		out = append(out, tick{At: x.at(v), Label: time.Unix(int64(v), 0).UTC().Format(format)})
	}
	return out
}

// valueTicks are round values from 0 or below up to the top, about five.
func valueTicks(y axis) []tick {
	raw := (y.to - y.from) / 5.5
	if raw <= 0 || math.IsInf(raw, 0) || math.IsNaN(raw) {
		return nil
	}
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := unit
	for _, m := range []float64{1, 2, 5, 10} {
		if step = unit * m; step >= raw {
			break
		}
	}
	var out []tick
	for i := math.Ceil(y.from / step); i*step <= y.to*1.0001 && len(out) < 12; i++ {
		out = append(out, tick{At: y.at(i * step), Label: number(i * step)})
	}
	return out
}

// trafficChart draws the canary's share over time, with the steps above it.
func trafficChart(r *Record, x axis) *chart {
	c := &chart{
		ID: "traffic", Title: "Traffic of the canary", Desc: "The canary's share of the traffic over time, in percent.",
		Bottom: plotTop + trafficPlot, Height: plotTop + trafficPlot + axisBelow, X: timeTicks(x),
	}
	y := axis{from: 0, to: 100, a: c.Bottom, b: plotTop}
	for _, v := range []float64{0, 25, 50, 75, 100} {
		c.Y = append(c.Y, tick{At: y.at(v), Label: number(v) + " %"})
	}
	end := r.EndedAt
	if end.IsZero() {
		end = r.RecordedAt
	}
	at := x.at(seconds(r.StartedAt))
	var path strings.Builder
	fmt.Fprintf(&path, "M%s %s", num(at), num(y.at(0)))
	for _, e := range r.Timeline {
		px := x.at(seconds(e.At))
		switch e.Kind {
		case v1alpha1.MarkWeight:
			fmt.Fprintf(&path, "H%sV%s", num(px), num(y.at(e.Weight)))
			at = px
		case v1alpha1.MarkStep:
			c.step(px, e.Step)
		}
	}
	at = max(at, x.at(seconds(end)))
	line := path.String() + "H" + num(at)
	c.Paths, c.Area = []string{line}, line+fmt.Sprintf("V%sZ", num(y.at(0)))
	c.waits(r, x)
	if c.end(r, x); c.End != nil {
		c.End.Label = strings.ToLower(r.Outcome)
	}
	return c
}

// step labels a step at x, together with the one before if there is no room.
func (c *chart) step(x float64, n int) {
	if k := len(c.Marks); k > 0 && x-7.5 < c.Marks[k-1].X+c.Marks[k-1].Width+2 {
		last := &c.Marks[k-1]
		*last = newPill(last.X+7.5, last.first, fmt.Sprintf("%d–%d", last.first, n))
		return
	}
	c.Marks = append(c.Marks, newPill(x, n, strconv.Itoa(n)))
}

func newPill(x float64, first int, label string) pill {
	width := max(15, 6*float64(len([]rune(label)))+6)
	return pill{X: x - 7.5, Width: width, Middle: x - 7.5 + width/2, Label: label, first: first}
}

// waits shades the time in which gates held or somebody had paused.
func (c *chart) waits(r *Record, x axis) {
	var since time.Time
	why := ""
	shade := func(until time.Time) {
		if since.IsZero() {
			return
		}
		from, to := x.at(seconds(since)), x.at(seconds(until))
		c.Waits = append(c.Waits, zone{X: from, Y: plotTop, Width: max(1.5, to-from), Height: c.Bottom - plotTop, Class: "wait", Title: why})
		since = time.Time{}
	}
	for _, e := range r.Timeline {
		switch e.Kind {
		case v1alpha1.MarkHold, v1alpha1.MarkPaused:
			if since.IsZero() {
				since, why = e.At, e.String()
			}
		case "HoldOver", v1alpha1.MarkResumed, r.Outcome:
			shade(e.At)
		}
	}
	shade(r.RecordedAt)
}

// end marks when and how the attempt ended.
func (c *chart) end(r *Record, x axis) {
	if r.EndedAt.IsZero() {
		return
	}
	c.End, c.EndClass = &tick{At: x.at(seconds(r.EndedAt))}, outcomeClass(r.Outcome)
}

func num(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

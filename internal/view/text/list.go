// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"strconv"
	"strings"

	"sluice.dev/sluice/internal/view"
)

// Columns say what a list shows besides its usual columns.
type Columns struct {
	// Namespace goes first.
	Namespace bool
	// Time, when it is not empty, goes before everything else.
	Time string
	// Bare leaves the headings out.
	Bare bool
}

// Rollouts draws a list with one line for each Rollout.
func Rollouts(list []view.Rollout, c Columns, o Options) string {
	g := newGrid(c, "NAME", "STRATEGY", "STATUS", "STEP", "SET-WEIGHT", "READY", "DESIRED", "UP-TO-DATE", "AVAILABLE")
	for i := range list {
		v := &list[i]
		step, weight := "-", "-"
		if len(v.Steps) > 0 {
			step = fmt.Sprintf("%d/%d", v.Step, len(v.Steps))
		}
		if v.Strategy == "Canary" {
			weight = strconv.Itoa(int(v.SetWeight))
		}
		g.add(v.Namespace, markOf(string(v.Phase)).tone,
			v.Name, v.Strategy, string(v.Phase), step, weight,
			fmt.Sprintf("%d/%d", v.Replicas.Ready, v.Replicas.Current),
			strconv.Itoa(int(v.Replicas.Desired)), strconv.Itoa(int(v.Replicas.Updated)), strconv.Itoa(int(v.Replicas.Available)))
	}
	return g.draw(o)
}

// Experiments draws a list with one line for each Experiment.
func Experiments(list []view.Experiment, c Columns, o Options) string {
	g := newGrid(c, "NAME", "AGE", "STATUS", "VERSIONS", "REMAINING")
	for i := range list {
		v := &list[i]
		left := "-"
		if v.Left >= 0 {
			left = age(v.Left)
		}
		g.add(v.Namespace, markRun(string(v.Phase)).tone, v.Name, age(v.Age), string(v.Phase), strconv.Itoa(len(v.Versions)), left)
	}
	return g.draw(o)
}

// Runs draws a list with one line for each AnalysisRun.
func Runs(list []view.AnalysisRun, c Columns, o Options) string {
	g := newGrid(c, "NAME", "AGE", "STATUS", "OF", "READINGS")
	for i := range list {
		v := &list[i]
		g.add(v.Namespace, markRun(string(v.Phase)).tone, v.Name, age(v.Age), string(v.Phase), runKind(*v), counts(v.Counts))
	}
	return g.draw(o)
}

// Experiment draws one Experiment: what state it is in and why, then its
// versions and runs.
func Experiment(v view.Experiment, o Options) string {
	var b strings.Builder
	m := markRun(string(v.Phase))
	o.field(&b, "Name:", v.Name)
	o.field(&b, "Namespace:", v.Namespace)
	b.WriteString(pad("Status:", margin) + o.paint(m.tone, m.icon+" "+string(v.Phase)) + "\n")
	o.field(&b, "Message:", v.Message)
	if v.Left >= 0 {
		o.field(&b, "Remaining:", age(v.Left))
	}
	for i, version := range v.Versions {
		if version.Image != "" {
			b.WriteString(pad(pick(i == 0, "Images:", ""), margin) + version.Image + " (" + version.Name + ")\n")
		}
	}
	return b.String() + "\n" + o.table(experimentNode(o, v))
}

// A grid is a list in columns; the third column of its own is a state and has
// its colour.
type grid struct {
	columns Columns
	rows    [][]string
	tones   []tone
}

const stateColumn = 2

func newGrid(c Columns, headings ...string) *grid {
	g := &grid{columns: c}
	if !c.Bare {
		g.rows = append(g.rows, g.front("NAMESPACE", "TIMESTAMP", headings))
		g.tones = append(g.tones, plain)
	}
	return g
}

func (g *grid) front(namespace, time string, cells []string) []string {
	var out []string
	if g.columns.Time != "" {
		out = append(out, time)
	}
	if g.columns.Namespace {
		out = append(out, namespace)
	}
	return append(out, cells...)
}

func (g *grid) add(namespace string, t tone, cells ...string) {
	g.rows = append(g.rows, g.front(namespace, g.columns.Time, cells))
	g.tones = append(g.tones, t)
}

func (g *grid) draw(o Options) string {
	if len(g.rows) == 0 {
		return ""
	}
	state := stateColumn + len(g.front("", "", nil))
	w := make([]int, len(g.rows[0]))
	for _, r := range g.rows {
		for i, cell := range r {
			w[i] = max(w[i], width(cell))
		}
	}
	var b strings.Builder
	for n, r := range g.rows {
		var cells []string
		for i, cell := range r {
			cell = pad(cell, w[i])
			if i == state {
				cell = o.paint(g.tones[n], cell)
			}
			cells = append(cells, cell)
		}
		b.WriteString(strings.TrimRight(strings.Join(cells, "  "), " ") + "\n")
	}
	return b.String()
}

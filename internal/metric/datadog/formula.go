// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"sluice.dev/sluice/internal/metric"
)

// readFormula is API v2 with a formula.
//
// A query that is silent makes the formula's own column worthless: Datadog may
// have taken the silence for zero, and a tag that is wrong is silent too. So
// the formula holds only if every query it needs has data, or is a count whose
// silence is proven to be zero.
func (s *source) readFormula(ctx context.Context, a asker, w metric.Window, t table) (metric.Reading, error) {
	f, ok := s.spec.arrange(t)
	if !ok {
		// No columns for the queries: the formula is all there is to go by.
		return s.finish(f, ""), nil
	}
	silent := f.silent()
	switch len(silent) {
	case 0:
		return s.finish(f, ""), nil
	case len(s.spec.queries):
		// Nothing at all is being measured; default_zero in the formula must
		// not hide that.
		return metric.Reading{NoData: f.noData(silent, "")}, nil
	}
	var notes []string
	for _, q := range silent {
		if s.spec.tree != nil && !slices.Contains(needed(s.spec.tree), q.name) {
			continue // the author's own word is that its silence is zero
		}
		note, why, err := s.zero(ctx, a, w, f, q)
		if err != nil {
			return metric.Reading{}, err
		}
		if note == "" {
			return metric.Reading{NoData: f.noData([]namedQuery{q}, why)}, nil
		}
		notes = append(notes, note)
		f.fill(q.name)
	}
	return s.finish(f, strings.Join(notes, "; ")), nil
}

// columns are the parts of an answer to a formula.
type columns struct {
	spec    spec
	table   table
	formula numberColumn
	// queries are by name.
	queries map[string]numberColumn
	// filled are the names of queries taken as zero.
	filled []string
}

// arrange finds the columns by the text of their formula, which is how Datadog
// names them, or by their order. It returns false if the queries have none.
func (s spec) arrange(t table) (*columns, bool) {
	f := &columns{spec: s, table: t, queries: map[string]numberColumn{}}
	want := s.formulas()
	byName := map[string]numberColumn{}
	for _, c := range t.numbers {
		byName[squeeze(c.name)] = c
	}
	found := make([]numberColumn, len(want))
	named := 0
	for i, formula := range want {
		if c, ok := byName[squeeze(formula)]; ok {
			found[i] = c
			named++
		}
	}
	if named < len(want) {
		if len(t.numbers) != len(want) {
			if len(t.numbers) > 0 {
				f.formula = t.numbers[0]
			}
			// An answer without columns has no data for any query.
			return f, len(t.numbers) == 0
		}
		found = t.numbers
	}
	f.formula = found[0]
	for i, formula := range want {
		f.queries[formula] = found[i]
	}
	return f, true
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

// silent are the queries without any value, by name.
func (f *columns) silent() []namedQuery {
	var silent []namedQuery
	for _, q := range f.spec.queries {
		if f.queries[q.name].silent() {
			silent = append(silent, q)
		}
	}
	return silent
}

// fill makes a silent query zero wherever another one has a value.
func (f *columns) fill(name string) {
	cells := make([]cell, f.table.rows())
	for row := range cells {
		for _, c := range f.queries {
			if c.at(row).known() {
				cells[row] = some(0)
			}
		}
	}
	f.queries[name] = numberColumn{name, cells}
	f.filled = append(f.filled, name)
}

// fillGroups makes a count zero in those groups where it is missing and
// another query is not: its values in the other groups of this answer are the
// proof that it exists under these tags.
func (f *columns) fillGroups() (note string) {
	if len(f.table.groups) == 0 || f.spec.tree == nil {
		return ""
	}
	for _, q := range f.spec.queries {
		c := f.queries[q.name]
		sel, ok := parseSelector(q.text)
		if !ok || !sel.count || c.silent() {
			continue
		}
		missing := 0
		cells := make([]cell, f.table.rows())
		for row := range cells {
			cells[row] = c.at(row)
			if !cells[row].known() && f.anyAt(row) {
				cells[row] = some(0)
				missing++
			}
		}
		if missing > 0 {
			f.queries[q.name] = numberColumn{c.name, cells}
			f.filled = append(f.filled, q.name)
			note = fmt.Sprintf("query %q is missing in %d of %d groups and was taken as 0 there: it has data in the others",
				q.name, missing, len(cells))
		}
	}
	return note
}

func (f *columns) anyAt(row int) bool {
	for _, q := range f.spec.queries {
		if f.queries[q.name].at(row).known() {
			return true
		}
	}
	return false
}

// row are the values of the queries in one row.
func (f *columns) row(row int) map[string]cell {
	env := make(map[string]cell, len(f.queries))
	for name, c := range f.queries {
		env[name] = c.at(row)
	}
	return env
}

// finish makes the reading.
func (s *source) finish(f *columns, note string) metric.Reading {
	if groupNote := f.fillGroups(); groupNote != "" {
		note = strings.TrimPrefix(note+"; "+groupNote, "; ")
	}
	r := reading(f.table, f.results())
	counts := ""
	if sums := f.totals(); len(sums) > 0 {
		text, _ := json.Marshal(sums) // finite numbers always encode
		counts = string(text)
	}
	for key, text := range map[string]string{"zero": note, "counts": counts} {
		if text == "" {
			continue
		}
		if r.Notes == nil {
			r.Notes = map[string]string{}
		}
		r.Notes[key] = text
	}
	if r.Value == nil {
		r.NoData = f.noValue()
	}
	return r
}

// results are the formula's values: Datadog's own, or, where a query was taken
// as zero or Datadog has none, what the queries' values make.
func (f *columns) results() []cell {
	if f.spec.tree == nil {
		return f.formula.cells
	}
	cells := make([]cell, f.table.rows())
	for row := range cells {
		cells[row] = f.formula.at(row)
		if f.anyAt(row) && (len(f.filled) > 0 || !cells[row].known()) {
			cells[row] = f.spec.tree.eval(f.row(row))
		}
	}
	return cells
}

// Count implements metric.Counter: it asks Datadog once.
func (s *source) Count(ctx context.Context, w metric.Window) (map[string]float64, error) {
	sum := *s
	sum.spec.aggregator = "sum"
	if s.spec.version != v2 || s.spec.formula == "" || !slices.ContainsFunc(s.spec.queries, namedQuery.counts) {
		return nil, nil
	}
	creds, err := s.credentials(ctx, "")
	if err != nil {
		return nil, err
	}
	t, err := s.asker(creds).scalar(ctx, sum.spec.scalar(w))
	if err != nil {
		return nil, err
	}
	f, ok := sum.spec.arrange(t)
	if !ok {
		return nil, nil
	}
	return f.totals(), nil
}

// counts reports whether a query counts events.
func (q namedQuery) counts() bool {
	sel, ok := parseSelector(q.text)
	return ok && sel.count
}

// totals are the events that the queries which count some have counted, over
// all rows, by name.
func (f *columns) totals() map[string]float64 {
	sums := map[string]float64{}
	for _, q := range f.spec.queries {
		if !q.counts() {
			continue
		}
		for row := range f.table.rows() {
			if v := f.queries[q.name].at(row); v.known() && !math.IsInf(v.value, 0) && !math.IsNaN(v.value) {
				sums[q.name] += v.value
			}
		}
	}
	return sums
}

// noValue says why a formula whose queries all have data has no value.
func (f *columns) noValue() string {
	window := short(f.spec.interval)
	if f.spec.tree != nil {
		for row := range f.table.rows() {
			if zero := zeroDivisors(f.spec.tree, f.row(row)); len(zero) > 0 {
				return fmt.Sprintf("no traffic: %s is 0 for the last %s, so %q has no value",
					listQueries(zero), window, f.spec.formula)
			}
		}
	}
	return fmt.Sprintf("formula %q returned nothing for the last %s", f.spec.formula, window)
}

// noData names the silent queries, and why the silence is not taken as zero.
func (f *columns) noData(silent []namedQuery, why string) string {
	var names []string
	for _, q := range silent {
		names = append(names, q.name)
	}
	text := fmt.Sprintf("%s returned nothing for the last %s", listQueries(names), short(f.spec.interval))
	if why != "" {
		text += ", which is not taken as 0: " + why
	}
	return text
}

func listQueries(names []string) string {
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, fmt.Sprintf("%q", n))
	}
	noun := "query "
	if len(names) > 1 {
		noun = "queries "
	}
	return noun + strings.Join(quoted, " and ")
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ratio is a formula that divides one count by another, such as errors / hits.
var ratio = regexp.MustCompile(`^(?:100(?:\.0)?\s*\*\s*)?\(?\s*(?:default_zero\(\s*)?(\w+)\s*\)?\s*/\s*(?:default_zero\(\s*)?(\w+)\s*\)?\s*\)?(?:\s*\*\s*100(?:\.0)?)?$`)

// A tally is what one window has counted.
type tally struct {
	from, to       time.Time
	served, failed float64
}

// CountableOf are the metrics of r whose queries count the canary's requests: one
// of each query, of the run that began first.
func CountableOf(r *Record) []Countable {
	var out []Countable
	seen := map[string]bool{}
	for i := range r.Runs {
		for j := range r.Runs[i].Metrics {
			m := &r.Runs[i].Metrics[j]
			if _, ok := r.ratioOf(m); ok && !seen[m.Query] {
				seen[m.Query] = true
				out = append(out, Countable{Run: r.Runs[i].Name, Metric: m.Name})
			}
		}
	}
	return out
}

// requests is what the canary served. It is known if a metric divides one count
// by another and both are the canary's alone: by what was counted over the whole
// attempt, or by the windows that it was measured in.
func requests(r *Record, totals []Total) *Requests {
	for _, t := range totals {
		m := r.metric(t.Run, t.Metric)
		if m == nil || t.Problem != "" {
			continue
		}
		if q, ok := r.ratioOf(m); ok && t.Counts[q.whole] > 0 {
			part, known := t.Counts[q.part]
			if !known && !q.zero && !m.counted(q.part) {
				continue // silence is no zero
			}
			failed := part
			if q.good {
				failed = t.Counts[q.whole] - part
			}
			return &Requests{Served: t.Counts[q.whole], Failed: failed, Metric: t.Metric, Run: t.Run, From: t.From.UTC(), To: t.To.UTC()}
		}
	}
	return atLeast(r)
}

// counted reports whether a reading of m has a count of that name.
func (m *Metric) counted(name string) bool {
	return slices.ContainsFunc(m.Readings, func(x Reading) bool { _, ok := x.Counts[name]; return ok })
}

// atLeast adds up windows. They overlap, so it adds up those that do not, and
// chooses them so that the sum is largest: it is what was served at least.
func atLeast(r *Record) *Requests {
	var best *Requests
	byQuery, first := map[string][]tally{}, map[string]Countable{}
	for i := range r.Runs {
		for j := range r.Runs[i].Metrics {
			m := &r.Runs[i].Metrics[j]
			byQuery[m.Query] = append(byQuery[m.Query], tallies(r, m)...)
			if _, ok := first[m.Query]; !ok {
				first[m.Query] = Countable{Run: r.Runs[i].Name, Metric: m.Name}
			}
		}
	}
	for _, q := range slices.Sorted(maps.Keys(byQuery)) {
		chosen := disjoint(byQuery[q])
		if len(chosen) == 0 {
			continue
		}
		sum := &Requests{AtLeast: true, Metric: first[q].Metric, Run: first[q].Run, From: chosen[0].from, To: chosen[len(chosen)-1].to, Windows: len(chosen)}
		for i, t := range chosen {
			sum.Served += t.served
			sum.Failed += t.failed
			if i > 0 {
				sum.Gap += t.from.Sub(chosen[i-1].to).Seconds()
			}
		}
		if best == nil || sum.Served > best.Served {
			best = sum
		}
	}
	return best
}

// A division is a ratio of two counts of the canary's requests: of those that
// went well, or of those that failed, to all.
type division struct {
	part, whole string
	good        bool
	// zero says that the formula takes a silent part for zero.
	zero bool
}

// ratioOf is the ratio that m measures, if it is one of the canary's requests.
func (r *Record) ratioOf(m *Metric) (division, bool) {
	formula, queries := parseQuery(m.Query)
	part := ratio.FindStringSubmatch(formula)
	if part == nil || !r.canarys(queries[part[1]]) || !r.canarys(queries[part[2]]) {
		return division{}, false
	}
	good, ok := countsGood(m)
	zero := strings.Contains(strings.ReplaceAll(formula, " ", ""), "default_zero("+part[1]+")")
	return division{part: part[1], whole: part[2], good: good, zero: zero}, ok
}

// tallies are the windows of a metric that counts the canary's requests, if what
// it counts is all of a window.
func tallies(r *Record, m *Metric) []tally {
	q, ok := r.ratioOf(m)
	if !ok || m.Aggregator != "sum" {
		return nil
	}
	var out []tally
	for i := range m.Readings {
		x := &m.Readings[i]
		part, whole, ok := parts(x, q.part, q.whole)
		if !ok || r.Attempt > 1 && x.From.Before(r.StartedAt) {
			continue // an earlier attempt's requests may be in it
		}
		if q.good {
			part = whole - part
		}
		out = append(out, tally{from: x.From, to: x.To, served: whole, failed: part})
	}
	return out
}

// parts are the two counts of a reading, if they are those of a window.
func parts(x *Reading, top, all string) (part, whole float64, ok bool) {
	part, hasPart := x.Counts[top]
	whole, hasWhole := x.Counts[all]
	return part, whole, hasPart && hasWhole && !x.To.IsZero() && whole > 0 && part >= 0 && part <= whole
}

// parseQuery splits a query as it was sent: the formula, then name = query.
func parseQuery(text string) (formula string, queries map[string]string) {
	parts := strings.Split(text, "; ")
	queries = map[string]string{}
	for _, p := range parts[1:] {
		if name, q, ok := strings.Cut(p, " = "); ok {
			queries[name] = q
		}
	}
	return strings.TrimSpace(parts[0]), queries
}

// canarys reports whether query asks for the canary alone: by the hash, or by
// the version that its image's tag names.
func (r *Record) canarys(query string) bool {
	if query == "" {
		return false
	}
	if r.Change.To.Hash != "" && strings.Contains(query, ":"+r.Change.To.Hash) {
		return true
	}
	for _, im := range r.Change.Images {
		if i := strings.LastIndexByte(im.To, ':'); i >= 0 && im.From != im.To {
			tag := im.To[i+1:]
			if after, ok := cutAfter(query, "version:"+tag); ok && (after == "" || strings.ContainsAny(after[:1], ",} ")) {
				return true
			}
		}
	}
	return false
}

func cutAfter(s, what string) (string, bool) {
	_, after, ok := strings.Cut(s, what)
	return after, ok
}

var comparison = regexp.MustCompile(`^\s*result(?:\[0\])?\s*(<=|>=|<|>)\s*`)

// countsGood reports whether a metric's ratio is of requests that went well: if
// more of it is better. It is not known of conditions beyond a comparison.
func countsGood(m *Metric) (good, known bool) {
	if c := comparison.FindStringSubmatch(m.Pass); c != nil {
		return c[1][0] == '>', true
	}
	if c := comparison.FindStringSubmatch(m.Fail); c != nil {
		return c[1][0] == '<', true
	}
	return false, false
}

// disjoint chooses windows that do not overlap so that the most is served in
// them, in the order of time.
func disjoint(all []tally) []tally {
	slices.SortStableFunc(all, func(a, b tally) int { return cmp.Or(a.to.Compare(b.to), a.from.Compare(b.from)) })
	best := make([]float64, len(all)+1) // of the first i windows
	before := make([]int, len(all))     // how many end before window i begins
	for i, t := range all {
		before[i], _ = slices.BinarySearchFunc(all[:i], t.from, func(w tally, from time.Time) int {
			if w.to.After(from) {
				return 1
			}
			return -1
		})
		best[i+1] = max(best[i], best[before[i]]+t.served)
	}
	var out []tally
	for i := len(all); i > 0; {
		if best[i] == best[i-1] {
			i--
			continue
		}
		out = append(out, all[i-1])
		i = before[i-1]
	}
	slices.Reverse(out)
	return out
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadogtest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A refusal is what the server answers with 400, worded as Datadog words it.
type refusal string

func (r refusal) Error() string { return string(r) }

// null is the value of a bucket without one.
var null = math.NaN()

func isNull(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

// A frame is what an expression evaluates to: for each group a value in each
// bucket. A frame without groups has one row, whose key is "", or none.
type frame struct {
	by      []string
	buckets int
	rows    map[string][]float64
	// free tells that it is a number, which fits every shape.
	free bool
}

// A world is what an expression is evaluated in.
type world struct {
	store    *store
	from, to time.Time
	buckets  int
	refs     map[string]frame
}

const maxBuckets = 1500

func (w world) eval(e expr) (frame, error) {
	switch e := e.(type) {
	case constant:
		return frame{free: true, buckets: 1, rows: map[string][]float64{"": {float64(e)}}}, nil
	case reference:
		f, ok := w.refs[string(e)]
		if !ok {
			return frame{}, refusal("Formula refers to unknown query " + string(e))
		}
		return f, nil
	case negated:
		f, err := w.eval(e.of)
		return f.each(func(v float64) float64 { return -v }), err
	case function:
		f, err := w.eval(e.of)
		if e.name == "abs" {
			return f.each(math.Abs), err
		}
		return f.defaultZero(), err
	case operation:
		l, err := w.eval(e.l)
		if err != nil {
			return frame{}, err
		}
		r, err := w.eval(e.r)
		if err != nil {
			return frame{}, err
		}
		return combine(e.op, l, r)
	case query:
		return w.query(e)
	}
	return frame{}, fmt.Errorf("cannot evaluate %T", e)
}

func (f frame) each(change func(float64) float64) frame {
	out := f
	out.rows = make(map[string][]float64, len(f.rows))
	for key, values := range f.rows {
		changed := make([]float64, len(values))
		for i, v := range values {
			changed[i] = change(v)
		}
		out.rows[key] = changed
	}
	return out
}

func (f frame) defaultZero() frame {
	out := f.each(func(v float64) float64 {
		if isNull(v) {
			return 0
		}
		return v
	})
	if len(f.by) == 0 && len(out.rows) == 0 {
		out.rows[""] = make([]float64, f.buckets)
	}
	return out
}

// shape returns the groups and buckets that both frames can be brought to.
func shape(l, r frame) (by []string, buckets int, err error) {
	by, buckets = l.by, l.buckets
	switch {
	case l.free:
		by, buckets = r.by, r.buckets
	case r.free:
	case l.buckets != r.buckets:
		return nil, 0, refusal("Queries with different rollups cannot be combined")
	case len(l.by) == 0:
		by = r.by
	case len(r.by) > 0 && !slices.Equal(l.by, r.by):
		return nil, 0, refusal("Queries with different groups cannot be combined")
	}
	return by, buckets, nil
}

// at is the value for a group and a bucket; what has no groups holds for all.
func (f frame) at(key string, bucket int) float64 {
	values, ok := f.rows[key]
	if len(f.by) == 0 {
		values, ok = f.rows[""]
	}
	if !ok {
		return null
	}
	if f.free {
		return values[0]
	}
	return values[bucket]
}

// keys are the groups of frames that are brought to the groups by.
func keys(by []string, frames ...frame) []string {
	set := map[string]bool{}
	for _, f := range frames {
		for key := range f.rows {
			if !f.free && (len(by) == 0 || len(f.by) > 0) {
				set[key] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func combine(op byte, l, r frame) (frame, error) {
	by, buckets, err := shape(l, r)
	if err != nil {
		return frame{}, err
	}
	out := frame{by: by, buckets: buckets, rows: map[string][]float64{}, free: l.free && r.free}
	all := keys(by, l, r)
	if out.free {
		all = []string{""}
	}
	for _, key := range all {
		values := make([]float64, buckets)
		for i := range values {
			values[i] = apply(op, l.at(key, i), r.at(key, i))
		}
		out.rows[key] = values
	}
	return out, nil
}

func apply(op byte, l, r float64) float64 {
	switch op {
	case '+':
		return l + r
	case '-':
		return l - r
	case '*':
		return l * r
	}
	if r == 0 {
		return null
	}
	return l / r
}

// cut returns how many buckets the query's window has, and how wide they are.
func (w world) cut(q query) (n int, width time.Duration, err error) {
	window := w.to.Sub(w.from)
	n = w.buckets
	width = window / time.Duration(n)
	if q.rollup > 0 {
		width = time.Duration(q.rollup * float64(time.Second))
		n = int(min((window+width-1)/max(width, 1), maxBuckets+1))
	}
	if n > maxBuckets || width <= 0 {
		return 0, 0, refusal("Too many points requested")
	}
	return n, width, nil
}

// query reads the store.
func (w world) query(q query) (frame, error) {
	n, width, err := w.cut(q)
	if err != nil {
		return frame{}, err
	}
	merged := map[string][]bucket{}
	w.store.visit(q.metric, w.from, w.to, func(tags map[string]string, points []point) {
		if len(points) == 0 || !q.matches(tags) {
			return
		}
		own := make([]point, n)
		for i := range points {
			start := time.Unix(0, points[i].slot*int64(w.store.resolution))
			// Buckets end where the window ends.
			b := n - 1 - int((w.to.Sub(start)-1)/width)
			own[min(max(b, 0), n-1)].merge(&points[i])
		}
		key := groupKey(q.by, tags)
		if merged[key] == nil {
			merged[key] = make([]bucket, n)
		}
		for i := range own {
			merged[key][i].add(&own[i])
		}
	})
	f := frame{by: q.by, buckets: n, rows: map[string][]float64{}}
	for key, buckets := range merged {
		f.rows[key] = make([]float64, n)
		for i := range buckets {
			if f.rows[key][i], err = buckets[i].value(q, width); err != nil {
				return frame{}, err
			}
		}
	}
	return f, nil
}

// A bucket is the series of one group in one stretch of time.
type bucket struct {
	all point
	// series is how many have data; lowest and most are of their sums.
	series       int
	lowest, most float64
}

func (b *bucket) add(p *point) {
	if p.n == 0 {
		return
	}
	if b.series == 0 || p.sum < b.lowest {
		b.lowest = p.sum
	}
	if b.series == 0 || p.sum > b.most {
		b.most = p.sum
	}
	b.series++
	b.all.merge(p)
}

func (b *bucket) value(q query, width time.Duration) (float64, error) {
	if b.series == 0 {
		if q.fill {
			return 0, nil
		}
		return null, nil
	}
	v, err := b.aggregate(q)
	if q.rate {
		v /= width.Seconds()
	}
	return v, err
}

// aggregate looks at values in a distribution, at series in a count.
func (b *bucket) aggregate(q query) (float64, error) {
	distribution := b.all.distribution()
	n, lowest, most := float64(b.series), b.lowest, b.most
	if distribution {
		n, lowest, most = b.all.n, b.all.lowest, b.all.most
	}
	switch q.aggregator {
	case "sum":
		return b.all.sum, nil
	case "count":
		return b.all.n, nil
	case "avg":
		return b.all.sum / n, nil
	case "min":
		return lowest, nil
	case "max":
		return most, nil
	}
	if !distribution {
		return 0, refusal("Percentile aggregations are not enabled for " + q.metric)
	}
	percent, err := strconv.ParseFloat(q.aggregator[1:], 64)
	return b.all.quantile(percent / 100), err
}

// groupKey joins the values of the tags that rows are grouped by.
func groupKey(by []string, tags map[string]string) string {
	values := make([]string, len(by))
	for i, key := range by {
		if values[i] = tags[key]; values[i] == "" {
			values[i] = "N/A"
		}
	}
	return strings.Join(values, "\x00")
}

func (q query) matches(tags map[string]string) bool {
	for _, t := range q.filter {
		value, ok := tags[t.key]
		if (ok && glob(t.value, value)) == t.not {
			return false
		}
	}
	return true
}

// glob matches text with a pattern in which * is any run of bytes.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

// reduce makes one bucket of all, as a scalar query's aggregator does.
func (f frame) reduce(aggregator string, width time.Duration) frame {
	out := frame{by: f.by, buckets: 1, rows: map[string][]float64{}, free: f.free}
	for key, values := range f.rows {
		known := slices.DeleteFunc(slices.Clone(values), isNull)
		if len(known) > 0 {
			out.rows[key] = []float64{aggregate(aggregator, known, width)}
		}
	}
	return out
}

func aggregate(aggregator string, values []float64, width time.Duration) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
		squares += v * v
	}
	switch aggregator {
	case "sum":
		return sum
	case "avg", "mean":
		return sum / float64(len(values))
	case "min":
		return slices.Min(values)
	case "max":
		return slices.Max(values)
	case "l2norm":
		return math.Sqrt(squares)
	case "area":
		return sum * width.Seconds()
	}
	return values[len(values)-1]
}

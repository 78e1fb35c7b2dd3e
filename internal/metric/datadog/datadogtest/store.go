// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadogtest

import (
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// gamma makes sketches accurate to 1 % of the value.
const gamma = 1.02

// A point is what one series holds for one slot of time: a number of events,
// or the values of a distribution as a sketch with logarithmic bins.
type point struct {
	slot         int64
	n, sum       float64
	lowest, most float64
	bins         []bin
}

type bin struct {
	index int32
	n     float64
}

func (p *point) count(n float64) { p.n, p.sum = p.n+1, p.sum+n }

func (p *point) observe(v float64) {
	p.merge(&point{n: 1, sum: v, lowest: v, most: v, bins: []bin{{index(v), 1}}})
}

// distribution tells a distribution from a count.
func (p *point) distribution() bool { return len(p.bins) > 0 }

// index is the bin of v; everything that is not above zero shares one.
func index(v float64) int32 {
	if !(v > 0) {
		return math.MinInt32
	}
	return int32(math.Ceil(math.Log(v) / math.Log(gamma)))
}

func (p *point) put(b bin) {
	i, ok := slices.BinarySearchFunc(p.bins, b.index, func(b bin, i int32) int { return int(b.index) - int(i) })
	if ok {
		p.bins[i].n += b.n
		return
	}
	p.bins = slices.Insert(p.bins, i, b)
}

// merge adds the events of q to p.
func (p *point) merge(q *point) {
	if p.n == 0 || q.lowest < p.lowest {
		p.lowest = q.lowest
	}
	if p.n == 0 || q.most > p.most {
		p.most = q.most
	}
	p.n, p.sum = p.n+q.n, p.sum+q.sum
	for _, b := range q.bins {
		p.put(b)
	}
}

// quantile is the value below which the share q of all values lies.
func (p *point) quantile(q float64) float64 {
	rank := q * (p.n - 1)
	seen := 0.0
	for _, b := range p.bins {
		if seen += b.n; seen > rank {
			if b.index == math.MinInt32 {
				return p.lowest
			}
			middle := 2 * math.Pow(gamma, float64(b.index)) / (gamma + 1)
			return min(max(middle, p.lowest), p.most)
		}
	}
	return p.most
}

// A series is one metric with one set of tags.
type series struct {
	tags map[string]string
	// points are in the order of their slots.
	points []point
}

// A store holds all series.
type store struct {
	resolution time.Duration
	retention  int64 // in slots

	mu      sync.RWMutex
	metrics map[string]map[string]*series
}

func newStore(resolution, retention time.Duration) *store {
	return &store{
		resolution: resolution,
		retention:  max(1, int64(retention/resolution)),
		metrics:    map[string]map[string]*series{},
	}
}

// slot is the slot that at lies in.
func (s *store) slot(at time.Time) int64 { return at.UnixNano() / int64(s.resolution) }

func (s *store) add(metric string, tags map[string]string, at time.Time, change func(*point)) {
	slot, key := s.slot(at), tagKey(tags)
	s.mu.Lock()
	defer s.mu.Unlock()
	byTags := s.metrics[metric]
	if byTags == nil {
		byTags = map[string]*series{}
		s.metrics[metric] = byTags
	}
	sr := byTags[key]
	if sr == nil {
		sr = &series{tags: maps.Clone(tags)}
		byTags[key] = sr
	}
	sr.change(slot, change)
	sr.forget(s.retention)
}

func tagKey(tags map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		b.WriteString(k)
		b.WriteByte(':')
		b.WriteString(tags[k])
		b.WriteByte(0)
	}
	return b.String()
}

// change finds or makes the point of slot; late points find their place.
func (s *series) change(slot int64, change func(*point)) {
	i := len(s.points)
	for i > 0 && s.points[i-1].slot >= slot {
		i--
	}
	if i == len(s.points) || s.points[i].slot != slot {
		s.points = slices.Insert(s.points, i, point{slot: slot})
	}
	change(&s.points[i])
}

// forget drops points that are too old, now and then.
func (s *series) forget(retention int64) {
	oldest := s.points[len(s.points)-1].slot - retention
	if s.points[0].slot >= oldest-retention/4 {
		return
	}
	i := 0
	for s.points[i].slot < oldest {
		i++
	}
	s.points = slices.Delete(s.points, 0, i)
}

// between returns the points of slots from..to-1.
func (s *series) between(from, to int64) []point {
	find := func(slot int64) int {
		i, _ := slices.BinarySearchFunc(s.points, slot, func(p point, slot int64) int {
			switch {
			case p.slot < slot:
				return -1
			case p.slot > slot:
				return 1
			}
			return 0
		})
		return i
	}
	return s.points[find(from):max(find(from), find(to))]
}

// visit calls f for each series of metric, in a fixed order, with the points
// whose slots begin within from..to. f must keep neither.
func (s *store) visit(metric string, from, to time.Time, f func(tags map[string]string, points []point)) {
	first, last := s.slot(from.Add(s.resolution-1)), s.slot(to.Add(s.resolution-1))
	s.mu.RLock()
	defer s.mu.RUnlock()
	byTags := s.metrics[metric]
	for _, key := range slices.Sorted(maps.Keys(byTags)) {
		sr := byTags[key]
		f(sr.tags, sr.between(first, last))
	}
}

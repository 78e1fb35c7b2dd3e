// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package mesh

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A Weight is what one destination of a route gets.
type Weight struct {
	// Service is the destination's Service.
	Service string
	// Percent is its weight.
	Percent int
	// Hashes are the revisions of its ready endpoints at that moment, sorted.
	Hashes []string
}

// A Shift is a change of a VirtualService's weights, as the mesh saw it.
type Shift struct {
	At time.Time
	// Version is the resourceVersion that brought it, which orders it among the
	// changes of all objects; 0 when it is no number.
	Version        uint64
	VirtualService string
	Weights        []Weight
}

// String returns the weights in the order of the route, as in "90/10".
func (s Shift) String() string {
	parts := make([]string, 0, len(s.Weights))
	for _, w := range s.Weights {
		parts = append(parts, strconv.Itoa(w.Percent))
	}
	return strings.Join(parts, "/")
}

// A Move is a change of the revision that a Service selects.
type Move struct {
	At time.Time
	// Version is the resourceVersion that brought it.
	Version uint64
	Service string
	// Hash is the revision selected now, empty for all of them.
	Hash string
}

// A timeline remembers the changes, oldest first.
type timeline struct {
	mu     sync.Mutex
	shifts []Shift
	moves  []Move
	last   map[types.NamespacedName]string
	hashes map[types.NamespacedName]string
}

// note adds what changed.
func (l *timeline) note(at time.Time, t *table, services map[types.NamespacedName]*corev1.Service) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[types.NamespacedName]string{}
		l.hashes = map[types.NamespacedName]string{}
	}
	for _, r := range t.routes {
		s := shift(at, r)
		if l.last[r.name] != s.String() {
			l.last[r.name] = s.String()
			l.shifts = append(l.shifts, s)
		}
	}
	for name, svc := range services {
		hash := svc.Spec.Selector[HashLabel]
		if was, known := l.hashes[name]; !known || was != hash {
			l.hashes[name] = hash
			l.moves = append(l.moves, Move{At: at, Version: version(svc), Service: name.Name, Hash: hash})
		}
	}
}

// version is an object's resourceVersion as a number.
func version(o metav1.Object) uint64 {
	n, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func shift(at time.Time, r *route) Shift {
	s := Shift{At: at, Version: r.version, VirtualService: r.name.Name}
	for _, d := range r.destinations {
		s.Weights = append(s.Weights, Weight{Service: d.service, Percent: d.weight, Hashes: d.hashes()})
	}
	return s
}

// Shifts returns the changes of weights since the moment, oldest first.
func (m *Mesh) Shifts(since time.Time) []Shift {
	m.timeline.mu.Lock()
	defer m.timeline.mu.Unlock()
	i := slices.IndexFunc(m.timeline.shifts, func(s Shift) bool { return !s.At.Before(since) })
	if i < 0 {
		return nil
	}
	return slices.Clone(m.timeline.shifts[i:])
}

// Route returns the weights of the host's route as they are now, nil if there is
// none.
func (m *Mesh) Route(host string) []Weight {
	rt := m.table.Load().find(host)
	if rt == nil {
		return nil
	}
	return shift(m.now(), rt).Weights
}

// Moves returns the changes of Services' revisions since the moment, oldest
// first.
func (m *Mesh) Moves(since time.Time) []Move {
	m.timeline.mu.Lock()
	defer m.timeline.mu.Unlock()
	i := slices.IndexFunc(m.timeline.moves, func(v Move) bool { return !v.At.Before(since) })
	if i < 0 {
		return nil
	}
	return slices.Clone(m.timeline.moves[i:])
}

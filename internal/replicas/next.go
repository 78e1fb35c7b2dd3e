// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

// A Pool is the pods of one revision as observed.
type Pool struct {
	// Desired is the size that its ReplicaSet asks for.
	Desired int32
	// Available is how many of them are available.
	Available int32
}

// A State is what Next looks at. All pods in it share the traffic.
type State struct {
	// Replicas is the size of the Rollout.
	Replicas int32
	// Weight is the wanted share of the canary, in percent.
	Weight int32
	// MaxSurge is by how many pods Replicas may be exceeded.
	MaxSurge int32
	// MaxUnavailable is by how many the available pods may fall below
	// Replicas. It is taken as 1 if it and MaxSurge are 0.
	MaxUnavailable int32
	// Canary and Stable are the two revisions. When there is only one, it is
	// Stable, and Weight is 0.
	Canary, Stable Pool
	// Older are all other revisions; they are to have no pods.
	Older []Pool
}

// Sizes are the sizes that ReplicaSets should ask for, Older in the order of
// the State.
type Sizes struct {
	Canary, Stable int32
	Older          []int32
}

// Next returns the sizes to ask for now, on the way to those of [Want]. It is
// called again whenever the number of available pods changes, and gets there
// as long as pods become available. Whichever of the sizes are applied, in
// whatever order:
//
//   - no more than Replicas+MaxSurge pods are asked for, unless more already are;
//   - at least Replicas-MaxUnavailable pods stay available, or as many as are
//     if that is fewer: then only pods that are not available are removed;
//   - a revision only ever moves towards its wanted size.
//
// The stable revision grows before the canary, and both grow before anything
// shrinks: capacity falls below Replicas only where there is no room to grow,
// or to get rid of a revision that was given up: an older one, or the canary
// when it is to have no pods. Pods that are not available go first; a
// ReplicaSet removes them first too.
func Next(s State) Sizes {
	canary, stable := Want(s.Replicas, s.Weight, s.MaxSurge)
	p := newPlan(s, canary, stable)
	grown := p.grow(&p.stable) + p.grow(&p.canary)

	for i := range p.older {
		p.shrink(&p.older[i], p.floor)
	}
	floor := max(s.Replicas, 0)
	if grown == 0 && p.stuck() {
		floor = p.floor
	}
	if canary == 0 {
		p.shrink(&p.canary, p.floor)
	} else {
		p.shrink(&p.canary, floor)
	}
	p.shrink(&p.stable, floor)

	out := Sizes{Canary: p.canary.size, Stable: p.stable.size, Older: make([]int32, len(p.older))}
	for i := range p.older {
		out.Older[i] = p.older[i].size
	}
	return out
}

// A plan is the sizes being worked out.
type plan struct {
	canary, stable move
	older          []move
	// room is how many pods may be added.
	room int32
	// available is how many pods are available whatever happens: what is
	// added does not count, what is removed does.
	available int32
	// floor is how many must stay available.
	floor int32
}

// A move is one revision on its way from its pool to its goal.
type move struct {
	pool       Pool
	goal, size int32
}

func newPlan(s State, canary, stable int32) *plan {
	unavailable := max(s.MaxUnavailable, 0)
	if s.MaxSurge <= 0 && unavailable == 0 {
		unavailable = 1
	}
	full := max(s.Replicas, 0)
	p := &plan{room: full + max(s.MaxSurge, 0), floor: max(0, full-unavailable)}
	p.canary = p.start(s.Canary, canary)
	p.stable = p.start(s.Stable, stable)
	for _, pool := range s.Older {
		p.older = append(p.older, p.start(pool, 0))
	}
	return p
}

// start takes pool into account.
func (p *plan) start(pool Pool, goal int32) move {
	// More can be available than are asked for while pods are being removed.
	// Those are as good as gone.
	pool.Available = min(pool.Available, pool.Desired)
	p.room -= pool.Desired
	p.available += pool.Available
	return move{pool: pool, goal: goal, size: pool.Desired}
}

// grow adds what m lacks, as far as there is room, and returns how much.
func (p *plan) grow(m *move) int32 {
	n := max(0, min(m.goal-m.size, p.room))
	m.size += n
	p.room -= n
	return n
}

// shrink removes what m has too much: pods that are not available, then others
// while floor stay available.
func (p *plan) shrink(m *move, floor int32) {
	extra := m.size - m.goal
	if extra <= 0 {
		return
	}
	idle := min(extra, m.size-m.pool.Available)
	taken := min(extra-idle, max(0, p.available-floor))
	m.size -= idle + taken
	p.available -= taken
}

// stuck reports whether a revision is too small and no pod is on its way that
// could make room.
func (p *plan) stuck() bool {
	lacking := p.canary.size < p.canary.goal || p.stable.size < p.stable.goal
	return lacking && !p.canary.coming() && !p.stable.coming()
}

// coming reports whether pods of m are not available yet.
func (m *move) coming() bool {
	return m.pool.Available < m.pool.Desired
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"time"
)

// shedOthers lets go of every revision but Stable and Current, once it carries
// no traffic: after delay, to let requests under way end.
func shedOthers(s *Snapshot, p *Plan, delay time.Duration) {
	for _, r := range s.revisions() {
		if r == p.Status.Stable || r == p.Status.Current {
			continue
		}
		if s.carried(r) > 0 || s.exposed() {
			continue
		}
		shed(s, p, r, delay)
	}
	clearDeadline(s, p, p.Status.Stable)
}

// shedAborted lets go of the aborted revision's pods after its own delay.
func shedAborted(s *Snapshot, p *Plan) {
	if s.Spec.KeepAborted || s.exposed() {
		return
	}
	shed(s, p, p.Status.Current, s.Spec.AbortDelay)
}

// shed scales r to nothing at its deadline, and sets one if there is none.
func shed(s *Snapshot, p *Plan, r Revision, delay time.Duration) {
	pool := s.Pools[r]
	if pool.Desired == 0 {
		return
	}
	deadline := pool.Deadline
	if deadline.IsZero() && delay > 0 {
		deadline = ceilSecond(s.Now.Add(delay))
		p.Deadlines[r] = deadline
	}
	if s.Now.Before(deadline) {
		p.Wake(deadline)
		return
	}
	p.Replicas[r] = 0
	clearDeadline(s, p, r)
}

func clearDeadline(s *Snapshot, p *Plan, r Revision) {
	if pool, ok := s.Pools[r]; ok && !pool.Deadline.IsZero() {
		p.Deadlines[r] = time.Time{}
	}
}

// prune deletes the oldest ReplicaSets without pods beyond the history limit.
func prune(s *Snapshot, p *Plan) {
	var old []Revision
	for _, r := range s.revisions() {
		pool := s.Pools[r]
		if r != p.Status.Stable && r != p.Status.Current && r != s.Services.Canary && r != s.Services.Stable && pool.Desired == 0 && pool.Total == 0 {
			old = append(old, r)
		}
	}
	slices.SortStableFunc(old, func(a, b Revision) int { return int(s.Pools[a].Number - s.Pools[b].Number) })
	if n := len(old) - int(s.Spec.HistoryLimit); n > 0 {
		p.Prune = old[:n]
	}
}

// revisions are the observed revisions in a fixed order.
func (s *Snapshot) revisions() []Revision {
	rs := make([]Revision, 0, len(s.Pools))
	for r := range s.Pools {
		rs = append(rs, r)
	}
	slices.Sort(rs)
	return rs
}

// pointServices points the Services of a rollout without traffic routing.
func pointServices(s *Snapshot, p *Plan, canary Revision) {
	st := &p.Status
	if s.Spec.StableService && s.Services.Stable != st.Stable && serves(s, st.Stable) {
		p.Services.Stable = st.Stable
	}
	if s.Spec.CanaryService && s.Services.Canary != canary && serves(s, canary) {
		p.Services.Canary = canary
	}
}

// others counts the pods that are not r's.
func (s *Snapshot) others(r Revision) int32 {
	var n int32
	for o, pool := range s.Pools {
		if o != r {
			n += pool.Total
		}
	}
	return n
}

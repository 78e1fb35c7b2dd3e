// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import "time"

// cleanRetry is how soon the stable Service's endpoints are looked at again.
const cleanRetry = 300 * time.Millisecond

// climbTraffic gives the canary the pods and the traffic of weight want, pods
// first. It is bound by invariant I1: a share rises only to what the pods that
// are available were sized for.
func climbTraffic(s *Snapshot, p *Plan, want int32) {
	st := &p.Status
	if s.Router == nil {
		return
	}
	if s.unsettled(st.Stable) {
		p.Replicas[st.Stable] = s.Spec.Replicas
		settleTraffic(s, p)
		return
	}
	now := s.Router.Weights.Canary
	ours := s.carried(st.Current)
	canary := s.Pools[st.Current]
	need := max(share(s.Spec, want), share(s.Spec, ours))
	if ok, why := raisable(s, p, want); !ok {
		st.Hold = why
		want = min(want, now)
		need = max(share(s.Spec, ours), canary.Desired)
	}
	p.Replicas[st.Current] = need
	clearDeadline(s, p, st.Current)
	steer(s, p, want)
	pointClimbing(s, p)
}

// steer moves the split towards want as far as is safe now, and sizes the
// stable revision for what it has and for what it is to take back.
func steer(s *Snapshot, p *Plan, want int32) {
	st := &p.Status
	now := s.Router.Weights.Canary
	canary := s.Pools[st.Current]
	aim := want
	switch {
	case now > 0 && (!s.canaryIs(st.Current) || !serves(s, st.Current)):
		// The canary's share goes to another revision, or to nobody.
		aim = 0
	case aim > now && (!s.canaryIs(st.Current) || !s.stableIs(st.Stable) || canary.Available < share(s.Spec, aim)):
		aim = now
	}
	p.Replicas[st.Stable] = stableSize(s, min(aim, now))
	if aim < now {
		aim = min(now, max(aim, s.Spec.MaxWeight-carries(s, st.Stable)))
	}
	split(s, p, aim)
}

// pointClimbing points the Services of a rollout at work: the canary's moves
// only while it carries nothing.
func pointClimbing(s *Snapshot, p *Plan) {
	st := &p.Status
	if s.Spec.StableService && s.Services.Stable != st.Stable && full(s, st.Stable) {
		p.Services.Stable = st.Stable
	}
	if s.Spec.CanaryService && s.Services.Canary != st.Current && s.Router.Weights.Canary == 0 && serves(s, st.Current) {
		p.Services.Canary = st.Current
	}
}

// retreatTraffic gives the stable revision as much as it can carry, which is
// all of it unless it was scaled down on request.
func retreatTraffic(s *Snapshot, p *Plan) {
	st := &p.Status
	if s.Router == nil {
		return
	}
	if s.unsettled(st.Stable) {
		settleTraffic(s, p)
		return
	}
	now := s.Router.Weights.Canary
	target := int32(0)
	if s.Spec.DynamicStable {
		target = min(now, s.Spec.MaxWeight-carries(s, st.Stable))
	}
	split(s, p, target)
	if s.Spec.StableService && s.Services.Stable != st.Stable && full(s, st.Stable) {
		p.Services.Stable = st.Stable
	}
	if s.Spec.CanaryService && s.Services.Canary != st.Stable && (now == 0 || full(s, st.Stable)) {
		p.Services.Canary = st.Stable
	}
}

// settleTraffic ends at everything on the stable destination. The weights go
// back only when the stable Service's endpoints are the stable pods alone.
func settleTraffic(s *Snapshot, p *Plan) {
	st := &p.Status
	if s.Router == nil {
		return
	}
	if !full(s, st.Stable) && s.carried(st.Stable) < s.Spec.MaxWeight {
		if s.stableIs(st.Stable) {
			split(s, p, min(s.Router.Weights.Canary, s.Spec.MaxWeight-carries(s, st.Stable)))
		}
		return
	}
	if s.Spec.StableService && s.Services.Stable != st.Stable {
		p.Services.Stable = st.Stable
		return
	}
	if s.Spec.CanaryService && s.Services.Canary != st.Stable {
		p.Services.Canary = st.Stable
	}
	if s.Router.Weights.Canary == 0 {
		return
	}
	if !s.Router.StableClean {
		p.Wake(s.Now.Add(cleanRetry))
		p.Status.Hold = "waiting for the stable Service's endpoints to be pods of the new stable revision only"
		return
	}
	split(s, p, 0)
}

// split asks for canary of MaxWeight on the canary's destination.
func split(s *Snapshot, p *Plan, canary int32) {
	want := Weights{Stable: s.Spec.MaxWeight - canary, Canary: canary}
	if s.Router.Weights == want {
		return
	}
	p.Weights = &want
}

// carried is the traffic that r has now, by the Services that select it.
func (s *Snapshot) carried(r Revision) int32 {
	if s.Router == nil {
		return 0
	}
	var n int32
	if s.Spec.StableService && s.Services.Stable == r {
		n += s.Router.Weights.Stable
	}
	if s.Spec.CanaryService && s.Services.Canary == r {
		n += s.Router.Weights.Canary
	}
	return n
}

// unsettled reports whether the canary's destination still carries the stable
// revision: a new template came before the last promotion had put the weights
// back. The stable Service may then select a revision that is being removed.
func (s *Snapshot) unsettled(stable Revision) bool {
	return s.Spec.CanaryService && s.Services.Canary == stable && s.Router.Weights.Canary > 0
}

// exposed reports whether r may receive traffic that nobody counts, because a
// Service that carries some selects no revision in particular.
func (s *Snapshot) exposed() bool {
	if s.Router == nil {
		return s.Spec.Routed
	}
	return s.Spec.StableService && s.Services.Stable == "" && s.Router.Weights.Stable > 0 ||
		s.Spec.CanaryService && s.Services.Canary == "" && s.Router.Weights.Canary > 0
}

// full reports whether r can carry all traffic.
func full(s *Snapshot, r Revision) bool { return s.Pools[r].Available >= s.Spec.Replicas }

// serves reports whether a Service may select r: it has a pod, or no revision
// is to have any.
func serves(s *Snapshot, r Revision) bool {
	return s.Pools[r].Available > 0 || s.Spec.Replicas == 0
}

// carries is the weight that r's available pods can carry. Unless the stable
// revision was scaled down on request it is trusted with everything: there is
// nowhere better to send the traffic.
func carries(s *Snapshot, r Revision) int32 {
	if !s.Spec.DynamicStable || s.Spec.Replicas <= 0 {
		return s.Spec.MaxWeight
	}
	return min(s.Spec.MaxWeight, int32(int64(s.Pools[r].Available)*int64(s.Spec.MaxWeight)/int64(s.Spec.Replicas)))
}

// stableSize is the stable revision's size while the canary has weight.
func stableSize(s *Snapshot, weight int32) int32 {
	if !s.Spec.DynamicStable {
		return s.Spec.Replicas
	}
	return share(s.Spec, s.Spec.MaxWeight-weight)
}

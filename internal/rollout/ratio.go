// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import "sluice.dev/sluice/internal/replicas"

// resize takes the next safe step towards the pod ratio of weight. Without a
// router, pods are the traffic.
func resize(s *Snapshot, p *Plan, weight int32) {
	st := &p.Status
	older := olderThan(s, p)
	next := replicas.Next(ratio(s, p, weight, older))
	p.Replicas[st.Stable] = next.Stable
	if st.Current != st.Stable {
		p.Replicas[st.Current] = next.Canary
	}
	for i, r := range older {
		p.Replicas[r] = next.Older[i]
	}
}

// desired is how many pods the canary is to have for weight.
func desired(s *Snapshot, weight int32) int32 {
	if s.Spec.Routed {
		return share(s.Spec, weight)
	}
	canary, _ := replicas.Want(s.Spec.Replicas, weight, s.Spec.MaxSurge)
	return canary
}

// keepUp adds the pods that the rollout lacks to the stable revision while the
// canary may not grow: somebody may need them meanwhile.
func keepUp(s *Snapshot, p *Plan) {
	lacks := s.Spec.Replicas
	for _, pool := range s.Pools {
		lacks -= pool.Desired
	}
	if lacks > 0 {
		p.Replicas[p.Status.Stable] = s.Pools[p.Status.Stable].Desired + lacks
	}
}

// ratio is what replicas.Next looks at. When the stable revision is the one
// asked for, there is no canary.
func ratio(s *Snapshot, p *Plan, weight int32, older []Revision) replicas.State {
	st := &p.Status
	state := replicas.State{
		Replicas: s.Spec.Replicas, MaxSurge: s.Spec.MaxSurge, MaxUnavailable: s.Spec.MaxUnavailable,
		Stable: counted(s.Pools[st.Stable]),
	}
	if st.Current != st.Stable {
		state.Weight, state.Canary = weight, counted(s.Pools[st.Current])
	}
	for _, r := range older {
		state.Older = append(state.Older, counted(s.Pools[r]))
	}
	return state
}

func counted(p Pool) replicas.Pool { return replicas.Pool{Desired: p.Desired, Available: p.Available} }

// olderThan are the revisions that are neither stable nor the one asked for.
func olderThan(s *Snapshot, p *Plan) []Revision {
	var older []Revision
	for _, r := range s.revisions() {
		if r != p.Status.Stable && r != p.Status.Current {
			older = append(older, r)
		}
	}
	return older
}

// sized reports whether the pods have the ratio of weight.
func sized(s *Snapshot, p *Plan, weight int32) bool {
	state := ratio(s, p, weight, olderThan(s, p))
	canary, stable := replicas.Want(s.Spec.Replicas, weight, s.Spec.MaxSurge)
	if state.Canary.Desired != canary || state.Canary.Available < canary || state.Stable.Desired != stable {
		return false
	}
	for _, o := range state.Older {
		if o.Desired > 0 {
			return false
		}
	}
	return true
}

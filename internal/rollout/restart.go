// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A Pod is a pod of a rollout, as a restart sees it.
type Pod struct {
	Name, UID string
	// Version is the resourceVersion that was observed.
	Version  string
	Revision Revision
	Created  time.Time
	// AvailableAt is when the pod is available, or will be if it stays ready;
	// zero when it is not ready, or on its way out.
	AvailableAt time.Time
	// Leaving says that the pod was deleted and is still there.
	Leaving bool
}

// A Restart is what a restart has to go by: it is observed only while one is
// due.
type Restart struct {
	// Pods are all pods of the rollout.
	Pods []Pod
	// Refused are the revisions of which no pod may be evicted for now.
	Refused map[Revision]Refusal
}

// A Refusal is the answer of an API server that would not evict a pod.
type Refusal struct {
	// Why is what it said.
	Why string
	// Until is when to ask again.
	Until time.Time
}

// RestartRetry is how soon a restart goes on that was refused an eviction, or
// that saw nothing happen.
const RestartRetry = 30 * time.Second

// RestartDue reports whether pods are to be restarted: the time is past, and no
// earlier pass has seen the end of it.
func (s *Snapshot) RestartDue() bool {
	at := s.Spec.RestartAt
	return !at.IsZero() && !at.Equal(s.Status.RestartedAt) && !s.Now.Before(at)
}

// restartPods evicts pods that are older than the restart that was asked for,
// a few at a time. Evictions may be lost and come in any order: the next look
// at the pods shows which are left.
func restartPods(s *Snapshot, p *Plan) {
	if !s.RestartDue() {
		if at := s.Spec.RestartAt; s.Now.Before(at) {
			p.Wake(at)
		}
		return
	}
	if s.Restart == nil {
		return
	}
	old := outdated(s, p)
	if len(old) == 0 {
		p.Status.RestartedAt = s.Spec.RestartAt
		p.note("every pod is newer than spec.restartAt")
		return
	}
	p.Wake(s.Now.Add(RestartRetry))
	if disturbs(s, p) {
		return
	}
	evict(s, p, old)
}

// outdated are the pods that a restart is to replace, in the order in which
// they go: stable, then the revision that is asked for, then others; of each
// first those that nobody will miss.
func outdated(s *Snapshot, p *Plan) []Pod {
	var old []Pod
	for _, pod := range s.Restart.Pods {
		if !pod.Leaving && pod.Created.Before(s.Spec.RestartAt) {
			old = append(old, pod)
		}
	}
	slices.SortFunc(old, func(a, b Pod) int {
		return cmp.Or(
			cmp.Compare(rank(p, a.Revision), rank(p, b.Revision)),
			strings.Compare(string(a.Revision), string(b.Revision)),
			missed(a, s.Now)-missed(b, s.Now),
			strings.Compare(a.Name, b.Name),
		)
	})
	return old
}

func rank(p *Plan, r Revision) int {
	switch r {
	case p.Status.Stable:
		return 0
	case p.Status.Current:
		return 1
	}
	return 2
}

// missed is how many pods fewer are available without x.
func missed(x Pod, now time.Time) int {
	if x.available(now) {
		return 1
	}
	return 0
}

func (x Pod) available(now time.Time) bool {
	return !x.Leaving && !x.AvailableAt.IsZero() && !now.Before(x.AvailableAt)
}

// disturbs reports whether p moves traffic or removes pods: what it counted on
// must not go away under it.
func disturbs(s *Snapshot, p *Plan) bool {
	if p.Weights != nil || p.Services != (Services{}) {
		return true
	}
	for r, n := range p.Replicas {
		if n < s.Pools[r].Desired {
			return true
		}
	}
	return false
}

// evict chooses among the old pods. At most places of them are on their way at
// a time, pods of any age that are not available counted. An old pod that is
// not available holds a place already: evicting it takes no other.
func evict(s *Snapshot, p *Plan, old []Pod) {
	places := max(s.Spec.MaxUnavailable, 1)
	missing := lacking(s, p)
	broken := int32(0)
	for _, x := range old {
		if !x.available(s.Now) {
			broken++
		}
	}
	onTheirWay := max(missing-broken, 0)
	for _, x := range old {
		if refused, ok := s.Restart.Refused[x.Revision]; ok && s.Now.Before(refused.Until) {
			p.Wake(refused.Until)
			continue
		}
		switch fine := x.available(s.Now); {
		case fine && missing < places:
			missing++
		case !fine && onTheirWay < places:
		default:
			continue
		}
		onTheirWay++
		p.Evict = append(p.Evict, x)
	}
}

// lacking counts the pods that are wanted and not available, and makes sure
// that the plan looks again when one will be.
func lacking(s *Snapshot, p *Plan) int32 {
	fine := map[Revision]int32{}
	for _, x := range s.Restart.Pods {
		if x.available(s.Now) {
			fine[x.Revision]++
		} else if !x.Leaving && !x.AvailableAt.IsZero() {
			p.Wake(x.AvailableAt)
		}
	}
	var n int32
	for _, r := range s.revisions() {
		n += max(max(s.Pools[r].Desired, p.Replicas[r])-fine[r], 0)
	}
	return n
}

// restarting is the message of a restart at work.
func restarting(s *Snapshot) string {
	if s.Restart == nil {
		return waitRestart
	}
	for _, r := range s.revisions() {
		if refused, ok := s.Restart.Refused[r]; ok && s.Now.Before(refused.Until) {
			return waitRestart + ": pods of revision " + string(r) + " may not be evicted now (" + refused.Why + "); trying again every 30 seconds"
		}
	}
	return waitRestart
}

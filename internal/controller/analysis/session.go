// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/api/v1alpha1"
	judge "sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/rollout"
)

// A reading is a measurement that was taken, and what is stored of it.
type reading struct {
	judge.Taken
	value, query string
	from, to     time.Time
	notes        map[string]string
}

// A session is what is in memory of one run: compiled rules, open sources, what
// is being measured, and what was measured and is not stored yet. Losing it
// costs the measurements under way and nothing else.
type session struct {
	name types.NamespacedName
	uid  types.UID

	mu sync.Mutex
	// base is the run as it was judged last; stored as we wrote it last, which
	// the cache may not know yet.
	base, stored *v1alpha1.AnalysisRun
	prepared     *prepared
	inHand       []reading
	inFlight     map[string]context.CancelFunc
	done         done
}

// done is what a session does once.
type done struct {
	// posted says that the verdict was given; asked that the Rollout's record
	// was looked at; ended that nothing is to be measured any more.
	posted, asked, ended bool
}

// sessions are the sessions of all runs that have not ended.
type sessions struct {
	mu     sync.Mutex
	byName map[types.NamespacedName]*session
}

// of returns the session of run. A run that was deleted and made again under
// its name gets a new one.
func (ss *sessions) of(run *v1alpha1.AnalysisRun) *session {
	name := types.NamespacedName{Namespace: run.Namespace, Name: run.Name}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.byName[name]
	if s != nil && s.uid == run.UID {
		return s
	}
	if s != nil {
		s.end()
	}
	s = &session{name: name, uid: run.UID, inFlight: map[string]context.CancelFunc{}}
	if ss.byName == nil {
		ss.byName = map[types.NamespacedName]*session{}
	}
	ss.byName[name] = s
	return s
}

// end forgets the session of the run called name and stops its measurements.
func (ss *sessions) end(name types.NamespacedName) {
	ss.mu.Lock()
	s := ss.byName[name]
	delete(ss.byName, name)
	ss.mu.Unlock()
	if s != nil {
		s.end()
	}
}

func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done.ended = true
	for _, cancel := range s.inFlight {
		cancel()
	}
}

// newest returns what we stored last if run, from the cache, is older. Every
// write to a run raises its generation, as it has no status subresource.
func (s *session) newest(run *v1alpha1.AnalysisRun) *v1alpha1.AnalysisRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stored != nil && s.stored.Generation > run.Generation {
		return s.stored
	}
	return run
}

// A step is the outcome of judging what is in hand.
type step struct {
	prepared *prepared
	rule     judge.Run
	state    judge.State
	plan     judge.Plan
	readings []reading
	// refused is why the run cannot be judged at all.
	refused string
}

// advance judges what is in hand.
func (s *session) advance(now time.Time, run *v1alpha1.AnalysisRun, p *prepared) step {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = run
	return s.judge(now, p)
}

// judge needs s.mu.
func (s *session) judge(now time.Time, p *prepared) step {
	next := step{prepared: p, rule: p.ruleFor(s.base), readings: append([]reading(nil), s.inHand...)}
	taken := make([]judge.Taken, len(next.readings))
	for i := range next.readings {
		taken[i] = next.readings[i].Taken
	}
	next.state, next.plan = judge.Advance(now, next.rule, stateOf(s.base), taken)
	return next
}

// refused is the outcome of a run that cannot be judged.
func refused(run *v1alpha1.AnalysisRun, why string, now time.Time) step {
	state := stateOf(run)
	if state.StartedAt.IsZero() {
		state.StartedAt = now
	}
	state.Phase, state.Message, state.CompletedAt = judge.Error, why, now
	return step{state: state, refused: why, prepared: &prepared{}}
}

// commit takes down that the first n readings in hand are stored.
func (s *session) commit(stored *v1alpha1.AnalysisRun, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored, s.base = stored, stored
	s.inHand = append([]reading(nil), s.inHand[n:]...)
}

// failed returns the verdict on run, the first time that next says that it
// failed, and the Rollout that owns it. A run that its Rollout has moved on from
// says nothing more.
func (s *session) failed(run *v1alpha1.AnalysisRun, next step) (*rollout.Verdict, *metav1.OwnerReference) {
	s.mu.Lock()
	defer s.mu.Unlock()
	blame, ok := judge.Culprit(next.rule, next.state)
	owner := metav1.GetControllerOf(run)
	if !ok || s.done.posted || next.refused != "" || next.rule.Terminate == judge.ByController || owner == nil || owner.Kind != "Rollout" {
		return nil, nil
	}
	s.done.posted = true
	v := &rollout.Verdict{
		Run: run.Name, Metric: blame.Metric, Message: next.state.Message,
		Failed: int32(blame.Failed), Limit: int32(blame.Limit), At: next.state.CompletedAt,
	}
	for _, in := range next.readings {
		if in.Metric == blame.Metric {
			v.Value = in.value
		}
	}
	return v, owner
}

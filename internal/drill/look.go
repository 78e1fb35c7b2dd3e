// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// An Outcome is how a drill ended.
type Outcome string

// The outcomes of a drill.
const (
	// Running is a drill that has not ended.
	Running Outcome = ""
	// Proven: a gate aborted the bad version.
	Proven Outcome = "proven"
	// Blind: gates judged the bad version, or could not see it, and none
	// aborted it.
	Blind Outcome = "blind"
	// Inconclusive: something else ended it, or no gate was reached.
	Inconclusive Outcome = "inconclusive"
)

// A State is what has become of a drill.
type State struct {
	Outcome Outcome
	// Why says it in one sentence.
	Why string
	// Doing is what it does while it runs.
	Doing string
	// Settled is false while the run that aborted is still to be completed: its
	// last measurement may be missing.
	Settled bool
	// Revision is the bad one's pod-template hash.
	Revision string
	Weight   int32
	// After is how long it took until the abort, or until now.
	After time.Duration
	Gates []Seen
}

// A look is one look at a drill.
type look struct {
	rec  *Record
	ro   *v1alpha1.Rollout
	runs []v1alpha1.AnalysisRun
	now  time.Time
}

// Look says what has become of the drill r of ro at now, by the AnalysisRuns of
// its namespace.
func Look(r *Record, ro *v1alpha1.Rollout, runs []v1alpha1.AnalysisRun, now time.Time) State {
	l := &look{rec: r, ro: ro, now: now}
	s := State{After: now.Sub(r.Started), Settled: true}
	if ro.Spec.Template.Annotations[v1alpha1.AnnotationDrill] != r.ID {
		return s.end(Inconclusive, "somebody changed the pod template in the middle of the drill")
	}
	seen := ro.Status.ObservedGeneration == strconv.FormatInt(ro.Generation, 10)
	if (!seen && ro.Status.StableRS == r.Stable) || ro.Status.CurrentPodHash == r.Stable {
		if s.After > r.Limit {
			return s.end(Inconclusive, "no controller has looked at the rollout")
		}
		s.Doing = "waiting for the controller"
		return s
	}
	s.Revision = ro.Status.CurrentPodHash
	if w := ro.Status.Canary.Weights; w != nil {
		s.Weight = w.Canary.Weight
	}
	for i := range runs {
		if runs[i].Labels[v1alpha1.LabelPodTemplateHash] == s.Revision && metav1.IsControlledBy(&runs[i], ro) {
			l.runs = append(l.runs, runs[i])
		}
	}
	for _, g := range r.Gates {
		s.Gates = append(s.Gates, l.gate(g))
	}
	return l.judge(s)
}

func (s State) end(o Outcome, format string, args ...any) State {
	s.Outcome, s.Why = o, fmt.Sprintf(format, args...)
	return s
}

// judge says whether the drill has ended.
func (l *look) judge(s State) State {
	st := &l.ro.Status
	switch {
	case st.StableRS != l.rec.Stable:
		return s.blind("the bad version was promoted, past every gate")
	case st.Abort:
		return l.aborted(s)
	case st.CurrentStepIndex != nil && int(*st.CurrentStepIndex) >= l.rec.Guard:
		return s.blind("the bad version got past weight %d", l.rec.MaxWeight)
	case undecided(st):
		return s.blind("the gate could not decide, and the release waits for a person")
	case s.After > l.rec.Limit:
		return l.late(s)
	}
	s.Doing = l.doing(&s)
	return s
}

// aborted says who did it.
func (l *look) aborted(s State) State {
	if at := l.ro.Status.AbortedAt; at != nil {
		s.After = at.Sub(l.rec.Started)
	}
	for i := range s.Gates {
		if g := &s.Gates[i]; g.Verdict == Caught {
			s.Settled = g.Done
			return s.end(Proven, "the %s aborted the bad version", g.Name())
		}
	}
	for i := range s.Gates {
		if g := &s.Gates[i]; g.Verdict == Broken {
			return s.end(Blind, "the %s aborted, but because it could not measure: that says nothing about the version", g.Name())
		}
	}
	why := l.ro.Status.Message
	if sl := l.ro.Status.Sluice; sl != nil && sl.AbortReason == "User" {
		why = "somebody aborted it by hand"
	}
	return s.end(Inconclusive, "the release was aborted, but by no gate: %s", why)
}

// late is the end of a drill whose time is up.
func (l *look) late(s State) State {
	reached := slices.ContainsFunc(s.Gates, func(g Seen) bool { return g.Verdict != NotReached })
	if !reached {
		return s.end(Inconclusive, "no gate was reached within %s: %s", l.rec.Limit, l.ro.Status.Message)
	}
	return s.blind("no gate aborted the bad version within %s", l.rec.Limit)
}

// blind ends the drill: a gate that still measures has had its time.
func (s State) blind(format string, args ...any) State {
	for i := range s.Gates {
		if g := &s.Gates[i]; g.Verdict == Measuring {
			g.Verdict = Undecided
		}
	}
	return s.end(Blind, format, args...)
}

func undecided(st *v1alpha1.RolloutStatus) bool {
	return slices.ContainsFunc(st.PauseConditions, func(p v1alpha1.PauseCondition) bool {
		return p.Reason == v1alpha1.PauseReasonAnalysisHold || p.Reason == v1alpha1.PauseReasonInconclusiveAnalysis
	})
}

func (l *look) doing(s *State) string {
	step := 0
	if i := l.ro.Status.CurrentStepIndex; i != nil {
		step = int(*i)
	}
	for i := range s.Gates {
		if g := &s.Gates[i]; g.Step == step && g.Verdict == Measuring {
			return fmt.Sprintf("judged by the %s: %s", g.Name(), g.Detail)
		}
	}
	return fmt.Sprintf("baking at step %d", step+1)
}

// Away says why ro is not yet as it was before the drill r; empty when it is.
func Away(r *Record, ro *v1alpha1.Rollout) string {
	st := &ro.Status
	switch {
	case ro.Annotations[AnnotationRecord] != "":
		return "the drill's record is still there"
	case st.ObservedGeneration != strconv.FormatInt(ro.Generation, 10):
		return "the controller has not looked at it yet"
	case st.CurrentPodHash != r.Stable || st.StableRS != r.Stable:
		return fmt.Sprintf("its newest revision is %s and its stable one %s; before the drill both were %s", st.CurrentPodHash, st.StableRS, r.Stable)
	case st.Phase != v1alpha1.RolloutPhaseHealthy:
		return fmt.Sprintf("it is %s: %s", st.Phase, st.Message)
	}
	return ""
}

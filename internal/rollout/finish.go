// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The reasons of events and conditions. They are the ones that tools match.
const (
	ReasonUpdated   = "RolloutUpdated"
	ReasonCompleted = "RolloutCompleted"
	ReasonAborted   = "RolloutAborted"
	ReasonPaused    = "RolloutPaused"
	ReasonResumed   = "RolloutResumed"
	ReasonRetry     = "RolloutRetry"
	ReasonHold      = "AnalysisHold"
	ReasonSkipped   = "SkipSteps"
	ReasonInvalid   = "InvalidSpec"
	ReasonTimedOut  = "ProgressDeadlineExceeded"
	ReasonAvailable = "NewReplicaSetAvailable"
	ReasonProgress  = "ReplicaSetUpdated"
	ReasonByHand    = "ChangedByHand"
)

// The short messages that tools match.
const (
	waitRestart   = "rollout is restarting"
	waitUpdated   = "more replicas need to be updated"
	waitAvailable = "updated replicas are still becoming available"
	waitOld       = "old replicas are pending termination"
	waitSteps     = "waiting for all steps to complete"
	waitAnalysis  = "waiting for analysis to complete"
)

// finish fills in what is derived from the rest: counts, phase, message and
// conditions.
func finish(s *Snapshot, p *Plan) {
	st := &p.Status
	count(s, p)
	if s.Router != nil {
		w := s.Router.Weights
		st.Weights = &w
		p.Unlatch = s.Router.Aborted != "" && !st.Abort
	}
	stopStrays(s, p)
	tellHandChanges(s, p)
	if len(s.Problems) == 0 {
		prune(s, p)
		own := st.Step
		st.OwnStep, st.Known = &own, true
	}
	st.Phase, st.Message = phase(s, p)
	st.Conditions = conditions(s, p)
	deadlineWake(s, p)
}

// tellHandChanges tells of each change by hand once, and of several the oldest
// first.
func tellHandChanges(s *Snapshot, p *Plan) {
	for _, h := range slices.Backward(s.HandChanges) {
		if !slices.ContainsFunc(p.Status.HandChanges, h.same) {
			p.warn(ReasonByHand, h.Sentence)
		}
	}
	p.Status.HandChanges = s.HandChanges
}

func count(s *Snapshot, p *Plan) {
	c := Counts{Updated: s.Pools[p.Status.Current].Total}
	for _, pool := range s.Pools {
		c.Replicas += pool.Total
		c.Ready += pool.Ready
		c.Available += pool.Available
	}
	p.Status.Counts = c
}

// phase returns what people see first, in the order that tools expect.
func phase(s *Snapshot, p *Plan) (Phase, string) {
	st := &p.Status
	switch {
	case len(s.Problems) > 0:
		return Degraded, "InvalidSpec: " + strings.Join(s.Problems, "; ")
	case st.Abort:
		return Degraded, "RolloutAborted: " + abortMessage(s, st)
	case expired(s, p):
		return Degraded, "ProgressDeadlineExceeded: " + timedOut(p)
	case s.Spec.Paused:
		return Paused, "manually paused"
	case len(st.Pauses) > 0:
		return Paused, st.Pauses[0].Reason
	}
	if s.RestartDue() && !p.Status.RestartedAt.Equal(s.Spec.RestartAt) {
		return Progressing, restarting(s)
	}
	if why := unfinished(s, p); why != "" {
		return Progressing, why
	}
	return Healthy, ""
}

// unfinished says what a rollout that is neither broken nor paused waits for.
func unfinished(s *Snapshot, p *Plan) string {
	st := &p.Status
	current := s.Pools[st.Current]
	switch {
	case climbing(p) && st.Hold != "":
		return st.Hold
	case climbing(p):
		return climbingMessage(s, p)
	case current.Total < s.Spec.Replicas:
		return waitUpdated
	case current.Available < s.Spec.Replicas:
		return waitAvailable
	case st.Stable == "":
		return waitSteps
	case !s.Spec.Routed && s.others(st.Stable) > 0:
		return waitOld
	case !settled(s, st):
		if st.Hold != "" {
			return st.Hold
		}
		return waitSteps
	}
	return ""
}

func climbingMessage(s *Snapshot, p *Plan) string {
	st := &p.Status
	current := s.Pools[st.Current]
	need := p.Replicas[st.Current]
	if !s.Spec.Routed {
		// What the step needs in the end: the pods may have to take turns.
		need = max(need, desired(s, weightAt(s.Spec, st.Step)))
	}
	switch {
	case current.Total < need:
		return waitUpdated
	case current.Available < need:
		return waitAvailable
	case st.StepRun != nil:
		return waitAnalysis
	default:
		return waitSteps
	}
}

// settled reports whether all traffic is on the stable revision, by Service
// and by weight.
func settled(s *Snapshot, st *Status) bool {
	if !s.stableIs(st.Stable) || !s.canaryIs(st.Stable) {
		return false
	}
	return !s.Spec.Routed || s.Router != nil && s.Router.Weights.Canary == 0
}

func abortMessage(s *Snapshot, st *Status) string {
	msg := fmt.Sprintf("Rollout aborted update to revision %d", s.Pools[st.Current].Number)
	if st.Verdict != nil && st.Verdict.Message != "" {
		return msg + ": " + st.Verdict.Message
	}
	return msg
}

// waiting is the message of a rollout that waits for pods, which starts the
// clock of its progress deadline.
func waiting(p *Plan) string {
	return fmt.Sprintf("ReplicaSet of revision %q is progressing.", p.Status.Current)
}

func timedOut(p *Plan) string {
	return fmt.Sprintf("ReplicaSet of revision %q has timed out progressing: its pods did not become available in time", p.Status.Current)
}

// expired reports whether the rollout has waited for pods for longer than its
// progress deadline. Time in a pause, at a gate or in a hold does not count.
func expired(s *Snapshot, p *Plan) bool {
	at := deadline(s, p)
	return !at.IsZero() && !s.Now.Before(at)
}

// deadline is when the wait for pods becomes a failure; zero when the rollout
// does not wait for pods. The wait began when the Progressing condition last
// said so, or moved.
func deadline(s *Snapshot, p *Plan) time.Time {
	if s.Spec.ProgressDeadline <= 0 || stopped(s, p) || !waitsForPods(s, p) {
		return time.Time{}
	}
	fresh := s.Now.Add(s.Spec.ProgressDeadline)
	if progressed(s, p) {
		return fresh
	}
	for _, c := range s.Status.Conditions {
		switch {
		case c.Type != CondProgressing:
		case c.Reason == ReasonTimedOut:
			return c.Updated
		case c.Reason == ReasonProgress && c.Message == waiting(p):
			return c.Updated.Add(s.Spec.ProgressDeadline)
		}
	}
	return fresh
}

// stopped reports whether nobody expects the rollout to move by itself.
func stopped(s *Snapshot, p *Plan) bool {
	return p.Status.Abort || s.Spec.Paused || len(p.Status.Pauses) > 0
}

// waitsForPods reports whether the rollout waits for pods, or for the traffic
// that is to follow them.
func waitsForPods(s *Snapshot, p *Plan) bool {
	st := &p.Status
	need, ok := p.Replicas[st.Current]
	if !ok {
		need = s.Pools[st.Current].Desired
	}
	if s.Pools[st.Current].Available < need || p.Weights != nil {
		return true
	}
	return st.Stable != "" && st.Current == st.Stable && !settled(s, st)
}

// progressed reports whether something moved since the status was written.
func progressed(s *Snapshot, p *Plan) bool {
	was, is := &s.Status, &p.Status
	if was.Current != is.Current || was.Stable != is.Stable || was.Step != is.Step || was.Abort != is.Abort || was.Attempt != is.Attempt {
		return true
	}
	if len(was.Pauses) != len(is.Pauses) || (was.StepRun == nil) != (is.StepRun == nil) || (was.Background == nil) != (is.Background == nil) {
		return true
	}
	return is.Counts.Available > was.Counts.Available || is.Counts.Updated > was.Counts.Updated
}

func deadlineWake(s *Snapshot, p *Plan) {
	if at := deadline(s, p); !at.IsZero() && s.Now.Before(at) {
		p.Wake(at)
	}
}

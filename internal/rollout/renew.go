// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"time"
)

// renew takes in what changed since the last pass: the template, the steps,
// and what people wrote into the status.
func renew(s *Snapshot, p *Plan) {
	adopt(s, p)
	retemplate(s, p)
	st := &p.Status
	if st.Current == st.Stable || st.Stable == "" {
		resteps(s, p)
		if st.Abort {
			p.note("abort ignored: the revision is promoted")
		}
		st.Abort, st.AbortedAt, st.Reason, st.Verdict = false, time.Time{}, "", nil
		st.Waived, st.PromoteFull = 0, false
		return
	}
	lapse(s, p)
	resteps(s, p)
	if st.Abort {
		return
	}
	moved(s, p)
	promoteFull(s, p)
	resumed(s, p)
}

// lapse takes in what ends an attempt or starts the next one. A verdict comes
// before the latch that it left: the latch says that, not why.
func lapse(s *Snapshot, p *Plan) {
	retry(s, p)
	if !p.Status.Abort {
		fallen(s, p)
	}
	latched(s, p)
	if p.Status.Abort {
		stampAbort(s, p)
	}
}

// adopt finds the stable revision when the status knows nothing: what the
// stable Service selects, else the largest. Without any pods the rollout is
// initial and has none; it stays initial, whatever is asked for next, until its
// first revision is available.
func adopt(s *Snapshot, p *Plan) {
	st := &p.Status
	if st.Stable != "" || st.Current != "" {
		return
	}
	best, found := Revision(""), Pool{}
	for _, r := range s.revisions() {
		pool := s.Pools[r]
		if pool.Desired == 0 && pool.Total == 0 {
			continue
		}
		if larger(pool, found) || best == "" {
			best, found = r, pool
		}
	}
	if sel := s.Services.Stable; sel != "" && s.Pools[sel].Desired > 0 {
		best = sel
	}
	if best == "" {
		return
	}
	st.Stable = best
	p.note("adopted " + string(best) + " as stable")
}

// larger orders pools by available pods, then by size, then by age.
func larger(a, b Pool) bool {
	switch {
	case a.Available != b.Available:
		return a.Available > b.Available
	case a.Desired != b.Desired:
		return a.Desired > b.Desired
	default:
		return a.Number < b.Number
	}
}

// retemplate opens a release when the template that is asked for is another
// one. Going back to the stable template needs no gate.
func retemplate(s *Snapshot, p *Plan) {
	st := &p.Status
	if st.Current == s.Spec.Revision {
		return
	}
	first := st.Current == ""
	endRuns(s, p, "a new template replaced this revision")
	reset(p)
	st.Current, st.StepsHash = s.Spec.Revision, s.Spec.StepsHash
	st.Attempt, st.Skipped = 1, nil
	st.Phase, st.Counts = "", Counts{}
	if first && (st.Stable == "" || st.Stable == st.Current) {
		return
	}
	if st.Current == st.Stable {
		st.Step = len(s.Spec.Steps)
		p.event(ReasonUpdated, "Rollout returned to the stable revision "+string(st.Current))
		return
	}
	p.event(ReasonUpdated, "Rollout updated to revision "+string(st.Current))
}

// reset forgets the attempt.
func reset(p *Plan) {
	st := &p.Status
	st.Step, st.Known = 0, true
	st.Pauses, st.Paused = nil, false
	st.Abort, st.AbortedAt, st.Reason, st.Verdict = false, time.Time{}, "", nil
	st.PromoteFull, st.Waived = false, 0
	st.StepRun, st.Background = nil, nil
	st.OwnStep, st.Adopted = nil, false
}

// resteps starts the steps over when they changed under a release. A hash of
// another controller on a generation that it had seen is taken as ours.
func resteps(s *Snapshot, p *Plan) {
	st := &p.Status
	if st.StepsHash == s.Spec.StepsHash {
		return
	}
	known := st.StepsHash != ""
	st.StepsHash = s.Spec.StepsHash
	if !known || s.Spec.Settled || !climbing(p) {
		return
	}
	endRuns(s, p, "the steps changed")
	reset(p)
	p.event(ReasonUpdated, "Rollout starts its steps over: they changed")
}

// reasonLatch is the reason of an abort that nothing but the latch tells of.
const reasonLatch = "AbortLatch"

// latched reads an abort that could be written to the router's object only.
func latched(s *Snapshot, p *Plan) {
	st := &p.Status
	if s.Router == nil || s.Router.Aborted == "" || st.Abort {
		return
	}
	if s.Router.Aborted == st.Current && s.Router.AbortedAttempt == st.Attempt && st.AbortedAt.IsZero() && st.Current != st.Stable {
		st.Abort, st.Reason = true, reasonLatch
	}
}

// retry starts a new attempt at a revision that was aborted.
func retry(s *Snapshot, p *Plan) {
	st := &p.Status
	if st.Abort || st.AbortedAt.IsZero() {
		return
	}
	attempt := st.Attempt
	endRuns(s, p, "a new attempt was started")
	reset(p)
	st.Attempt = max(attempt, 1) + 1
	p.event(ReasonRetry, fmt.Sprintf("Retrying rollout after abort, attempt %d", st.Attempt))
}

// stampAbort makes an abort that somebody asked for complete.
func stampAbort(s *Snapshot, p *Plan) {
	st := &p.Status
	st.PromoteFull = false
	if !st.AbortedAt.IsZero() {
		return
	}
	reason, message := st.Reason, ""
	switch reason {
	case "":
		reason = "User"
	case reasonLatch:
		message = "why is not known, because only the router's object could be written at the time; the log and the events of that time tell"
	}
	abort(s, p, reason, message)
	p.warn(ReasonAborted, abortMessage(s, st))
}

// abort ends the attempt. It is the only place that does.
func abort(s *Snapshot, p *Plan, reason, message string) {
	st := &p.Status
	st.Abort, st.AbortedAt, st.Reason = true, s.Now, reason
	st.PromoteFull, st.Step, st.Pauses, st.Paused = false, 0, nil, false
	if message != "" && st.Verdict == nil {
		st.Verdict = &Verdict{Message: message, At: s.Now}
	}
}

// promoteFull passes over every step and gate that is left; that is recorded.
func promoteFull(s *Snapshot, p *Plan) {
	st := &p.Status
	if !st.PromoteFull {
		return
	}
	last := len(s.Spec.Steps)
	switch {
	case st.Step < last:
		skip(s, p, st.Step, "all remaining steps")
		p.note("promote --full: all remaining steps are skipped")
	case s.Spec.Background && st.Waived <= last:
		skip(s, p, st.Step, "background analysis")
	}
	st.Step, st.Pauses, st.Paused, st.Waived = last, nil, false, last+1
	st.OwnStep = nil
	endRuns(s, p, "the rollout was promoted in full")
	st.StepRun, st.Background = nil, nil
}

// moved takes in a step index that somebody else wrote. What was passed over
// is recorded.
func moved(s *Snapshot, p *Plan) {
	st := &p.Status
	st.Step = min(max(st.Step, 0), len(s.Spec.Steps))
	if st.OwnStep == nil || *st.OwnStep == st.Step {
		return
	}
	from := min(*st.OwnStep, len(s.Spec.Steps))
	for i := from; i < st.Step; i++ {
		skip(s, p, i, string(s.Spec.Steps[i].Kind))
	}
	if st.Background != nil && st.Background.Phase == RunInconclusive {
		st.Background = nil
	}
	if st.Step > from {
		waive(s, p)
	}
	if st.StepRun != nil {
		stop(s, p, st.StepRun, s.StepRun, "its step was skipped")
		st.StepRun = nil
	}
	st.Pauses, st.Paused = nil, false
}

// waive lifts the background guard for the step that somebody moved to, if it
// was holding.
func waive(s *Snapshot, p *Plan) {
	st := &p.Status
	if ok, _ := guarded(s, p); ok {
		return
	}
	st.Waived = st.Step + 1
	skip(s, p, st.Step, "background analysis")
}

// resumed takes in that somebody cleared the pauses that Decide had added. It
// starts an inconclusive analysis over, and passes over a gate that holds.
func resumed(s *Snapshot, p *Plan) {
	st := &p.Status
	if !st.Paused || len(st.Pauses) > 0 {
		return
	}
	st.Paused = false
	p.event(ReasonResumed, "Rollout is resumed")
	resumeStep(s, p)
	switch {
	case st.Background != nil && st.Background.Phase == RunInconclusive:
		st.Background = nil
	case holding(s.Background, st.Background):
		st.Waived = st.Step + 1
		skip(s, p, st.Step, "background analysis")
	}
}

// resumeStep goes on with the step that was paused.
func resumeStep(s *Snapshot, p *Plan) {
	st := &p.Status
	switch {
	case st.Step < len(s.Spec.Steps) && s.Spec.Steps[st.Step].Kind == StepPause:
		st.Step++
	case st.StepRun != nil && st.StepRun.Phase == RunInconclusive:
		st.StepRun = nil
	case holding(s.StepRun, st.StepRun) && st.Step < len(s.Spec.Steps):
		skip(s, p, st.Step, string(StepAnalysis))
		stop(s, p, st.StepRun, s.StepRun, "its step was skipped")
		st.StepRun = nil
		st.Step++
	}
}

// holding reports whether the run that ref names holds the rollout.
func holding(run *Run, ref *RunRef) bool {
	r := seen(run, ref)
	return r != nil && !r.Phase.Done() && !r.HoldUntil.IsZero()
}

// maxSkips is how many skips the status keeps.
const maxSkips = 50

func skip(s *Snapshot, p *Plan, step int, what string) {
	st := &p.Status
	st.Skipped = append(st.Skipped, Skip{Step: step, What: what, At: s.Now})
	if n := len(st.Skipped); n > maxSkips {
		st.Skipped = st.Skipped[n-maxSkips:]
	}
	p.event(ReasonSkipped, fmt.Sprintf("Step %d was skipped by a person: %s", step, what))
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"strings"
	"time"
)

// A Taken is a measurement of the metric called Metric.
type Taken struct {
	Metric string
	Measurement
}

// A Plan says what to do after a state.
type Plan struct {
	// Due are the names of the metrics to measure now.
	Due []string
	// WakeAt is when to look again; zero means not before something is
	// measured or changes.
	WakeAt time.Time
}

// maxMessage is the longest message of a run, in bytes.
const maxMessage = 1024

// Advance returns the state of run at the time now, after taken, and what to do
// next. s is left as it is. A state that has ended stays as it is.
//
// Advance is all there is: what it needs is in s, so a controller that starts
// again with what was stored comes to the same end.
func Advance(now time.Time, run Run, s State, taken []Taken) (State, Plan) {
	if s.Phase.Completed() {
		return s, Plan{}
	}
	s = s.begin(now, run)
	for _, t := range taken {
		for i, m := range run.Metrics {
			if c := (trial{run, m, &s.Results[i]}); m.Name == t.Metric && !c.ended() {
				c.apply(t.Measurement)
			}
		}
	}
	run.expireDryRuns(now, &s)
	if run.over(s) {
		run.conclude(now, &s)
		return s, Plan{}
	}
	s.Phase, s.Message = run.progress(s)
	return s, run.plan(now, s)
}

// stopped reports whether a metric that decides has ended badly, which ends the
// run.
func (run Run) stopped(s State) bool {
	for _, r := range s.Results {
		if !r.DryRun && (r.Phase == Failed || r.Phase == Error || r.Phase == Inconclusive) {
			return true
		}
	}
	return false
}

// over reports whether the run ends: it was stopped, or everything that it
// waits for has passed. Metrics that decide do not wait for dry runs.
func (run Run) over(s State) bool {
	if run.Terminate != NotTerminated || run.stopped(s) {
		return true
	}
	deciding := false
	for _, r := range s.Results {
		deciding = deciding || !r.DryRun
	}
	for _, r := range s.Results {
		waits := !r.DryRun || !deciding || run.argo()
		if waits && !r.Phase.Completed() {
			return false
		}
	}
	return true
}

// expireDryRuns ends the dry runs that have had their time.
func (run Run) expireDryRuns(now time.Time, s *State) {
	if run.argo() {
		return
	}
	for i, m := range run.Metrics {
		r := &s.Results[i]
		if end := dryRunEnd(m, *s); m.DryRun && !r.Phase.Completed() && !end.IsZero() && !now.Before(end) {
			trial{run, m, r}.stop()
		}
	}
}

// dryRunEnd is when a dry run ends at the latest; zero means that only the
// other metrics end it.
func dryRunEnd(m Metric, s State) time.Time {
	if m.Count <= 0 || m.Interval <= 0 {
		return time.Time{}
	}
	return s.StartedAt.Add(m.InitialDelay + time.Duration(m.Count)*m.Interval)
}

// conclude ends the run and all that still runs in it.
func (run Run) conclude(now time.Time, s *State) {
	for i, m := range run.Metrics {
		if r := &s.Results[i]; !r.Phase.Completed() {
			trial{run, m, r}.stop()
		}
		s.Results[i].Next = time.Time{}
	}
	s.CompletedAt = now
	s.Phase, s.Message = run.worst(*s)
	if len(run.Metrics) == 0 {
		s.Phase, s.Message = Error, "the run has no metrics"
	}
}

// stop ends a metric before its own end.
func (c trial) stop() {
	c.r.Next = time.Time{}
	switch {
	case c.run.argo():
		c.r.Phase = Successful
		return
	case c.run.Terminate == ByPerson && !c.m.DryRun:
		c.r.Phase = Inconclusive
		c.r.Message = "terminated by a person before it had passed"
	case c.r.proven() < 1:
		c.r.Phase = Inconclusive
		c.r.Message = "stopped without a successful reading"
	case !c.r.HoldSince.IsZero():
		c.r.Phase = Inconclusive
		c.r.Message = "stopped while it held: " + c.r.Message
	default:
		c.r.Phase = Successful
		c.r.Message = ""
		if !c.run.endless(c.m) && !c.m.DryRun {
			c.r.Message = fmt.Sprintf("stopped after %d of %d readings", c.r.Count, c.m.need())
		}
	}
	c.r.HoldSince, c.r.HoldCause = time.Time{}, ""
}

// worst returns the phase of a run that has ended and why.
func (run Run) worst(s State) (Phase, string) {
	worst, message := Successful, ""
	for _, r := range s.Results {
		if !r.DryRun && rank(r.Phase) > rank(worst) {
			worst, message = r.Phase, r.Message
		}
	}
	if run.Terminate == NotTerminated || worst == Failed || worst == Error {
		return worst, message
	}
	return worst, run.terminated(message)
}

// terminated returns the message of a run that was ended early.
func (run Run) terminated(message string) string {
	const short = "Run Terminated"
	switch {
	case run.argo():
		return short
	case strings.HasPrefix(message, "Metric "):
		return message // it had ended before it was terminated
	case run.Terminate == ByPerson && message != "":
		return short + ": by a person, before it had passed"
	case run.Reason != "":
		return short + ": " + run.Reason
	default:
		return short
	}
}

func rank(p Phase) int {
	switch p {
	case Failed:
		return 4
	case Error:
		return 3
	case Inconclusive:
		return 2
	case Successful:
		return 0
	default:
		return 1
	}
}

// progress returns the phase and the message of a run that goes on.
func (run Run) progress(s State) (Phase, string) {
	phase := Pending
	var holds []string
	for _, r := range s.Results {
		if r.DryRun {
			continue
		}
		if r.measured() {
			phase = Running
		}
		if !r.HoldSince.IsZero() {
			holds = append(holds, fmt.Sprintf("Metric %q holds: %s", r.Name, r.Message))
		}
	}
	if run.argo() {
		return run.argoProgress(s), ""
	}
	for _, r := range s.Results {
		if r.DryRun && r.measured() {
			phase = Running // a run of nothing but dry runs
		}
	}
	message := strings.Join(holds, "; ")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return phase, message
}

// argoProgress is the worst phase where Pending is worse than Running.
func (run Run) argoProgress(s State) Phase {
	phase := Running
	for _, r := range s.Results {
		if !r.DryRun && !r.measured() {
			phase = Pending
		}
	}
	return phase
}

// plan returns what is due now and when to look again.
func (run Run) plan(now time.Time, s State) Plan {
	var p Plan
	for i, m := range run.Metrics {
		r := s.Results[i]
		if m.DryRun && !run.argo() && !r.Phase.Completed() {
			p.wake(dryRunEnd(m, s))
		}
		switch {
		case trial{run, m, &r}.ended() || r.Next.IsZero():
		case r.Next.After(now):
			p.wake(r.Next)
		default:
			p.Due = append(p.Due, m.Name)
		}
	}
	return p
}

func (p *Plan) wake(t time.Time) {
	if !t.IsZero() && (p.WakeAt.IsZero() || t.Before(p.WakeAt)) {
		p.WakeAt = t
	}
}

// A Blame is the metric that a run failed for.
type Blame struct {
	Metric, Message string
	Phase           Phase
	// Failed is the number of failures that counted; Limit how many were
	// allowed.
	Failed, Limit int
}

// Culprit returns the metric that made a run Failed or Error, and false if the
// run is neither.
func Culprit(run Run, s State) (Blame, bool) {
	if s.Phase != Failed && s.Phase != Error {
		return Blame{}, false
	}
	for _, m := range run.Metrics {
		if r := s.Result(m.Name); r != nil && !m.DryRun && r.Phase == s.Phase {
			return Blame{Metric: m.Name, Message: r.Message, Phase: r.Phase, Failed: trial{run, m, r}.failed(), Limit: m.FailureLimit}, true
		}
	}
	return Blame{Message: s.Message, Phase: s.Phase}, true
}

// Convict ends a run as Failed by a verdict that was recorded elsewhere, with
// the metric that it names, if it names one. What else was known stays.
func Convict(now time.Time, run Run, s State, metric, message string) State {
	s = s.begin(now, run)
	for i, m := range run.Metrics {
		r := &s.Results[i]
		if m.Name == metric {
			r.Phase, r.Message = Failed, message
		} else if !r.Phase.Completed() {
			trial{run, m, r}.stop()
		}
		r.Next, r.HoldSince, r.HoldCause = time.Time{}, time.Time{}, ""
	}
	s.Phase, s.Message, s.CompletedAt = Failed, message, now
	return s
}

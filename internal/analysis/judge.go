// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"strings"
	"time"
)

// A ruling is what the readings of a metric add up to.
type ruling struct {
	phase Phase
	// why is what follows "due to" in the message; empty while it runs.
	why string
}

// A trial is one metric of a run and what is known of it.
type trial struct {
	run Run
	m   Metric
	r   *Result
}

// judge says what phase the metric is in after the measurement t.
func (c trial) judge(t Measurement) ruling {
	if !c.run.lenient(c.m) {
		return c.judgeStrictly()
	}
	if t.aborts {
		return ruling{Failed, "abortCondition"}
	}
	if end, ok := c.exceeds(); ok {
		return end
	}
	if c.run.endless(c.m) {
		return ruling{phase: Running}
	}
	return c.m.passes(c.r)
}

// exceeds reports whether a limit of m is exceeded.
func (c trial) exceeds() (ruling, bool) {
	if n := c.failed(); c.m.FailureLimit >= 0 && n > c.m.FailureLimit {
		why := fmt.Sprintf("failed (%d) > failureLimit (%d)", n, c.m.FailureLimit)
		if c.slides() {
			why += fmt.Sprintf(" in the last %d readings", len(c.r.Conclusive))
		}
		return ruling{Failed, why}, true
	}
	if n := c.m.inconclusive(c.r); c.m.InconclusiveLimit != nil && n > *c.m.InconclusiveLimit {
		return ruling{Inconclusive, fmt.Sprintf("inconclusive (%d) > inconclusiveLimit (%d)", n, *c.m.InconclusiveLimit)}, true
	}
	if c.m.AbortOnError && c.r.ConsecutiveError > c.m.ErrorLimit {
		return ruling{Error, errorsWhy(c.m, c.r)}, true
	}
	return ruling{}, false
}

// slides reports whether the failure budget applies to a window instead of all
// readings: in the background, and once a metric has passed.
func (c trial) slides() bool {
	return c.m.budgetWindow() > 0 && (c.run.endless(c.m) || !c.r.PassedAt.IsZero())
}

// failed is the number of failures that count towards the failure limit.
func (c trial) failed() int {
	if c.slides() {
		return failures(c.r.Conclusive)
	}
	return c.r.Failed
}

// inconclusive is the number of inconclusive readings that count towards the
// limit: all, or those in the window once the metric has passed.
func (m Metric) inconclusive(r *Result) int {
	if !r.PassedAt.IsZero() && m.window() > 0 {
		return strings.Count(r.Recent, string(letterInconclusive))
	}
	return r.Inconclusive
}

// passes says whether m has passed, under limits that are not exceeded.
func (m Metric) passes(r *Result) ruling {
	if m.SuccessLimit > 0 && r.ConsecutiveSuccess >= m.SuccessLimit && r.proven() > 0 {
		return ruling{phase: Successful}
	}
	if !m.enough(r) {
		return ruling{phase: Running}
	}
	if m.SuccessLimit > 0 {
		return m.endsWithoutStreak(r)
	}
	if !m.succeeded(r) {
		return ruling{Inconclusive, fmt.Sprintf("no successful reading in %d", m.need())}
	}
	return ruling{phase: Successful}
}

// enough reports whether m has the readings that it needs: as many as its count
// and, where the band holds, every one of the last ones conclusive.
func (m Metric) enough(r *Result) bool {
	if m.need() == 0 || r.Count < m.need() {
		return false
	}
	return m.InconclusiveLimit != nil || !strings.ContainsRune(r.Recent, letterInconclusive)
}

// succeeded reports whether one of the readings that pass m is a success that
// stands on data.
func (m Metric) succeeded(r *Result) bool {
	if m.InconclusiveLimit != nil {
		return r.proven() > 0
	}
	return strings.ContainsRune(r.Recent, letterSuccess)
}

// endsWithoutStreak is the end of a metric whose count is reached while the
// successes in a row that it asks for are not.
func (m Metric) endsWithoutStreak(r *Result) ruling {
	if !r.PassedAt.IsZero() {
		return ruling{phase: Running}
	}
	why := fmt.Sprintf("consecutiveSuccess (%d) < consecutiveSuccessLimit (%d) after %d readings", r.ConsecutiveSuccess, m.SuccessLimit, r.Count)
	if m.FailureLimit >= 0 {
		return ruling{Inconclusive, why}
	}
	return ruling{Failed, why}
}

// judgeStrictly is the rule of Argo Rollouts, for Argo semantics and for dry
// runs. Of several limits that are exceeded the last one decides.
func (c trial) judgeStrictly() ruling {
	limit := 0
	if c.m.InconclusiveLimit != nil {
		limit = *c.m.InconclusiveLimit
	}
	switch {
	case c.r.ConsecutiveError > c.m.ErrorLimit:
		return ruling{Error, errorsWhy(c.m, c.r)}
	case c.r.Inconclusive > limit:
		return ruling{Inconclusive, fmt.Sprintf("inconclusive (%d) > inconclusiveLimit (%d)", c.r.Inconclusive, limit)}
	case c.m.FailureLimit >= 0 && c.r.Failed > c.m.FailureLimit:
		return ruling{Failed, fmt.Sprintf("failed (%d) > failureLimit (%d)", c.r.Failed, c.m.FailureLimit)}
	case c.m.SuccessLimit > 0 && c.r.ConsecutiveSuccess >= c.m.SuccessLimit:
		return c.provenOnly()
	case c.m.need() == 0 || c.r.Count < c.m.need():
		return ruling{phase: Running}
	case c.m.SuccessLimit > 0:
		return c.m.endsWithoutStreak(c.r)
	default:
		return c.provenOnly()
	}
}

// provenOnly is Successful for a metric that has a success and, but on Argo
// Rollouts, Inconclusive for one that has none.
func (c trial) provenOnly() ruling {
	if c.run.argo() || c.r.proven() > 0 {
		return ruling{phase: Successful}
	}
	return ruling{Inconclusive, "no successful reading"}
}

func errorsWhy(m Metric, r *Result) string {
	return fmt.Sprintf("consecutiveErrors (%d) > consecutiveErrorLimit (%d)", r.ConsecutiveError, m.ErrorLimit)
}

// apply counts t, judges the metric, and plans its next measurement.
func (c trial) apply(t Measurement) {
	first := !c.r.measured()
	c.r.tally(c.m, t)
	if first && !c.run.argo() {
		c.r.Anchor = t.Started
	}
	rule := c.judge(t)
	c.r.Phase = rule.phase
	if rule.phase == Successful && c.r.PassedAt.IsZero() {
		c.r.PassedAt = t.Finished
	}
	if c.run.lenient(c.m) {
		c.r.hold(c.run, c.m, t)
	}
	c.r.Message = c.message(t, rule)
	c.r.Next = time.Time{}
	if !c.ended() {
		c.r.Next = c.next(t)
	}
}

// ended reports whether m takes no more measurements. A metric that has passed
// goes on while the others do, so that its pass is never stale.
func (c trial) ended() bool {
	if c.r.Phase == Successful && c.run.lenient(c.m) && c.m.Interval > 0 {
		return false
	}
	return c.r.Phase.Completed()
}

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

// judge says what phase r is in after the measurement t.
func (run Run) judge(m Metric, r *Result, t Measurement) ruling {
	if !run.lenient(m) {
		return run.judgeStrictly(m, r)
	}
	if t.aborts {
		return ruling{Failed, "abortCondition"}
	}
	if end, ok := run.exceeds(m, r); ok {
		return end
	}
	if run.endless(m) {
		return ruling{phase: Running}
	}
	return m.passes(r)
}

// exceeds reports whether a limit of m is exceeded.
func (run Run) exceeds(m Metric, r *Result) (ruling, bool) {
	if n := run.failed(m, r); m.FailureLimit >= 0 && n > m.FailureLimit {
		why := fmt.Sprintf("failed (%d) > failureLimit (%d)", n, m.FailureLimit)
		if run.slides(m, r) {
			why += fmt.Sprintf(" in the last %d readings", len(r.Conclusive))
		}
		return ruling{Failed, why}, true
	}
	if n := m.inconclusive(r); m.InconclusiveLimit != nil && n > *m.InconclusiveLimit {
		return ruling{Inconclusive, fmt.Sprintf("inconclusive (%d) > inconclusiveLimit (%d)", n, *m.InconclusiveLimit)}, true
	}
	if m.AbortOnError && r.ConsecutiveError > m.ErrorLimit {
		return ruling{Error, errorsWhy(m, r)}, true
	}
	return ruling{}, false
}

// slides reports whether the failure budget applies to a window instead of all
// readings: in the background, and once a metric has passed.
func (run Run) slides(m Metric, r *Result) bool {
	return m.budgetWindow() > 0 && (run.endless(m) || !r.PassedAt.IsZero())
}

// failed is the number of failures that count towards the failure limit.
func (run Run) failed(m Metric, r *Result) int {
	if run.slides(m, r) {
		return failures(r.Conclusive)
	}
	return r.Failed
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
func (run Run) judgeStrictly(m Metric, r *Result) ruling {
	limit := 0
	if m.InconclusiveLimit != nil {
		limit = *m.InconclusiveLimit
	}
	switch {
	case r.ConsecutiveError > m.ErrorLimit:
		return ruling{Error, errorsWhy(m, r)}
	case r.Inconclusive > limit:
		return ruling{Inconclusive, fmt.Sprintf("inconclusive (%d) > inconclusiveLimit (%d)", r.Inconclusive, limit)}
	case m.FailureLimit >= 0 && r.Failed > m.FailureLimit:
		return ruling{Failed, fmt.Sprintf("failed (%d) > failureLimit (%d)", r.Failed, m.FailureLimit)}
	case m.SuccessLimit > 0 && r.ConsecutiveSuccess >= m.SuccessLimit:
		return run.provenOnly(r)
	case m.need() == 0 || r.Count < m.need():
		return ruling{phase: Running}
	case m.SuccessLimit > 0:
		return m.endsWithoutStreak(r)
	default:
		return run.provenOnly(r)
	}
}

// provenOnly is Successful for a metric that has a success and, but on Argo
// Rollouts, Inconclusive for one that has none.
func (run Run) provenOnly(r *Result) ruling {
	if run.argo() || r.proven() > 0 {
		return ruling{phase: Successful}
	}
	return ruling{Inconclusive, "no successful reading"}
}

func errorsWhy(m Metric, r *Result) string {
	return fmt.Sprintf("consecutiveErrors (%d) > consecutiveErrorLimit (%d)", r.ConsecutiveError, m.ErrorLimit)
}

// apply counts t, judges the metric, and plans its next measurement.
func (run Run) apply(m Metric, r *Result, t Measurement) {
	first := !r.measured()
	r.tally(m, t)
	if first && !run.argo() {
		r.Anchor = t.Started
	}
	rule := run.judge(m, r, t)
	r.Phase = rule.phase
	if rule.phase == Successful && r.PassedAt.IsZero() {
		r.PassedAt = t.Finished
	}
	if run.lenient(m) {
		r.hold(run, m, t)
	}
	r.Message = run.message(m, r, t, rule)
	r.Next = time.Time{}
	if !run.ended(m, r) {
		r.Next = run.next(m, r, t)
	}
}

// ended reports whether m takes no more measurements. A metric that has passed
// goes on while the others do, so that its pass is never stale.
func (run Run) ended(m Metric, r *Result) bool {
	if r.Phase == Successful && run.lenient(m) && m.Interval > 0 {
		return false
	}
	return r.Phase.Completed()
}

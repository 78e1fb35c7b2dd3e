// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"strings"
	"time"
)

// hold notes since when r holds its rollout, and why. A hold begins with the
// first measurement that says nothing, and ends when the metric ends, passes,
// or has a conclusive reading that no inconclusive one still hangs over.
func (r *Result) hold(run Run, m Metric, t Measurement) {
	switch {
	case r.Phase.Completed():
		r.HoldSince, r.HoldCause = time.Time{}, ""
	case !r.conclusive():
		if r.HoldSince.IsZero() {
			r.HoldSince = t.Finished
		}
	case run.endless(m) || m.InconclusiveLimit != nil || !strings.ContainsRune(r.Recent, letterInconclusive):
		r.HoldSince, r.HoldCause = time.Time{}, ""
	}
}

// message returns the message of r after t. It stays as it is while the state
// is the same: the values are in the measurements.
func (c trial) message(t Measurement, rule ruling) string {
	switch {
	case rule.why != "":
		msg := assessed(c.m.Name, rule)
		if t.Message != "" && t.Phase == rule.phase && t.Reason != ReasonBand && !t.aborts {
			msg += fmt.Sprintf(": \"Error Message: %s\"", t.Message)
		}
		return msg
	case c.r.Phase.Completed():
		return ""
	case !c.run.lenient(c.m):
		return t.Message
	case c.r.HoldSince.IsZero():
		return ""
	}
	cause, text := c.cause(t)
	if cause == c.r.HoldCause && c.r.Message != "" {
		return c.r.Message
	}
	c.r.HoldCause = cause
	return text
}

func assessed(name string, rule ruling) string {
	return fmt.Sprintf("Metric %q assessed %s due to %s", name, rule.phase, rule.why)
}

// cause returns what r holds for, as a key and in words.
func (c trial) cause(t Measurement) (key, text string) {
	switch {
	case c.r.conclusive():
		return "recovering", fmt.Sprintf("was inconclusive; passes when %d readings in a row are conclusive", c.m.window())
	case t.Reason == ReasonNoData:
		return "nodata " + t.Message, "no data: " + t.Message
	case t.Phase == Inconclusive:
		return "band", t.Message
	case t.failure == nil:
		return "error " + t.Message, t.Message
	}
	// The provider's words may differ each time (a request id, a time); the
	// kind of failure does not.
	key = fmt.Sprintf("error %s %d", t.Reason, t.failure.Status)
	text = t.Message
	if c.r.ConsecutiveError > c.m.ErrorLimit {
		key += " limit"
		text = fmt.Sprintf("more than %d errors in a row: %s", c.m.ErrorLimit, t.Message)
	}
	return key, text
}

// A Hold is a run that cannot decide.
type Hold struct {
	// Metric holds, the one whose time is up first.
	Metric string
	// Message says why.
	Message string
	// Since is when it began; after Until people are asked.
	Since, Until time.Time
}

// Holds returns the hold of a run whose time is up first, and false when no
// metric holds.
func Holds(run Run, s State) (Hold, bool) {
	var first Hold
	if s.Phase.Completed() || run.argo() {
		return first, false
	}
	for _, m := range run.Metrics {
		r := s.Result(m.Name)
		if r == nil || m.DryRun || r.HoldSince.IsZero() {
			continue
		}
		until := r.HoldSince.Add(m.HoldLimit())
		if first.Metric == "" || until.Before(first.Until) {
			first = Hold{Metric: m.Name, Message: r.Message, Since: r.HoldSince, Until: until}
		}
	}
	return first, first.Metric != ""
}

// Guard reports whether a background run vouches for the canary: each metric
// that decides has a success that stands on data, and its latest measurement is
// conclusive. Otherwise why says which metric does not.
func Guard(run Run, s State) (ready bool, why string) {
	if run.argo() {
		return true, ""
	}
	if s.Phase.Completed() && s.Phase != Successful {
		return false, fmt.Sprintf("the run is %s", s.Phase)
	}
	for _, m := range run.Metrics {
		if why := s.Result(m.Name).blind(m.Name); why != "" && !m.DryRun {
			return false, why
		}
	}
	return true, ""
}

// blind says why the metric called name does not vouch for the canary, and
// nothing when it does. It may be called on nil.
func (r *Result) blind(name string) string {
	switch {
	case r == nil || !r.measured():
		return fmt.Sprintf("metric %q has no measurement yet", name)
	case !r.conclusive() && r.Message != "":
		return fmt.Sprintf("metric %q: %s", name, r.Message)
	case !r.conclusive():
		return fmt.Sprintf("metric %q: its latest measurement is %s", name, r.Last)
	case r.proven() < 1:
		return fmt.Sprintf("metric %q has no successful reading yet", name)
	default:
		return ""
	}
}

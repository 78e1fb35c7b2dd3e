// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"

	"sluice.dev/sluice/api/v1alpha1"
)

// Text writes r as plain text, such as for the description of an incident.
func Text(r *Record) string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(plain(fmt.Sprintf(format, args...)) + "\n") }
	for _, s := range r.Verdict {
		line("%s", s)
	}
	line("")
	line("WHAT CHANGED")
	line("  from     %s", r.Change.From.text())
	line("  to       %s", r.Change.To.text())
	for _, im := range r.Change.Images {
		line("  image    %s: %s -> %s", im.Container, cmp.Or(im.From, "(none)"), cmp.Or(im.To, "(none)"))
	}
	if n := len(r.Change.Template); n > 0 {
		line("  template %s", plural(n, "changed field"))
	}
	line("  commit   %s", cmp.Or(r.Change.Commit, "not annotated"))
	line("  by       %s", r.StartedBy.String())
	line("")
	line("TIMELINE (UTC)")
	for _, e := range r.Timeline {
		line("  %s  %s", e.At.UTC().Format(time.DateTime), e.String())
	}
	for i := range r.Runs {
		line("")
		r.Runs[i].write(line)
	}
	for i, s := range r.Missing {
		if i == 0 {
			line("")
			line("NOT IN THIS RECORD")
		}
		line("  %s", s)
	}
	return b.String()
}

func (v Revision) text() string {
	if v.Number == 0 {
		return v.Hash
	}
	return fmt.Sprintf("revision %d (%s)", v.Number, v.Hash)
}

// String says who it was in words.
func (s Starter) String() string {
	switch {
	case s.Retry && s.Name != "":
		return "a person, by a retry; the change was begun by " + s.Name
	case s.Retry:
		return "a person, by a retry"
	case s.Name != "" && s.Manager != "":
		return fmt.Sprintf("%s, by way of %s", s.Name, s.Manager)
	case s.Manager != "":
		return s.Manager + ", which changed the pod template"
	case s.Name != "":
		return s.Name
	}
	return "not known"
}

// String says in words what happened.
func (e Event) String() string {
	with := func(s string) string {
		if e.Text == "" {
			return s
		}
		return s + ": " + e.Text
	}
	switch e.Kind {
	case v1alpha1.MarkStep:
		return with(fmt.Sprintf("step %d", e.Step))
	case v1alpha1.MarkWeight:
		return fmt.Sprintf("the canary gets %s %% of the traffic", number(e.Weight))
	case v1alpha1.MarkHold:
		return with("it holds")
	case "HoldOver":
		return "it holds no more"
	case v1alpha1.MarkPaused:
		return with("paused")
	case v1alpha1.MarkResumed:
		return "resumed"
	}
	return with(strings.ToLower(e.Kind))
}

func (run *Run) write(line func(string, ...any)) {
	line("ANALYSIS %s: %s", run.Name, run.Phase)
	for i := range run.Metrics {
		m := &run.Metrics[i]
		line("  %s: %s (%d successful, %d failed, %d inconclusive, %d errors)", m.Name, m.Phase, m.Successful, m.Failed, m.Inconclusive, m.Errors)
		if m.Query != "" {
			line("    query  %s", m.Query)
		}
		for _, c := range []struct{ what, expr string }{{"pass", m.Pass}, {"fail", m.Fail}, {"abort", m.Abort}} {
			if c.expr != "" {
				line("    %-6s %s", c.what, c.expr)
			}
		}
		for _, x := range m.Readings[max(0, len(m.Readings)-lastReadings):] {
			line("    %s  %-12s %s", x.At.UTC().Format(time.DateTime), x.Phase, cmp.Or(x.Value, x.Message, x.Reason))
		}
		if n := max(0, len(m.Readings)-lastReadings) + m.Dropped; n > 0 {
			line("    and %d before", n)
		}
	}
}

// lastReadings is how many readings of a metric the text lists.
const lastReadings = 10

// plain is s on one line, without what a terminal would obey.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
}

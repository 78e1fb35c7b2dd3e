// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
)

// sentences says what happened and why.
func sentences(r *Record, verdict *v1alpha1.AnalysisVerdict) []string {
	out := []string{headline(r)}
	if r.Outcome == v1alpha1.OutcomeAborted {
		out = append(out, blame(r, verdict)...)
		out = append(out, backToStable(r)...)
	}
	if s := gates(r); s != "" {
		out = append(out, s)
	}
	if q := r.Requests; q != nil {
		out = append(out, served(r))
	}
	if s := held(r); s != "" {
		out = append(out, s)
	}
	for _, k := range r.Skipped {
		s := fmt.Sprintf("A person passed over step %d (%s)", k.Step, cmp.Or(k.What, "not known what"))
		if k.By != "" {
			s = fmt.Sprintf("%s passed over step %d (%s)", k.By, k.Step, k.What)
		}
		out = append(out, s+" at "+r.clock(k.At)+".")
	}
	return out
}

// Name is what an attempt is called, such as revision 5, attempt 2.
func (r *Record) Name() string {
	name := fmt.Sprintf("revision %d", r.Revision)
	if r.Attempt > 1 {
		name += fmt.Sprintf(", attempt %d", r.Attempt)
	}
	return name
}

func headline(r *Record) string {
	who := fmt.Sprintf("Revision %d of %s/%s", r.Revision, r.Namespace, r.Rollout)
	if r.Attempt > 1 {
		who += fmt.Sprintf(" (attempt %d)", r.Attempt)
	}
	at, where := date(r.EndedAt), where(r)
	after := r.EndedAt.Sub(r.StartedAt)
	switch r.Outcome {
	case v1alpha1.OutcomePromoted:
		return fmt.Sprintf("%s was promoted at %s, %s after it began.", who, at, Duration(after))
	case v1alpha1.OutcomeAborted:
		return fmt.Sprintf("%s was aborted at %s, %s after it began, %s.", who, at, Duration(after), where)
	case v1alpha1.OutcomeSuperseded:
		return fmt.Sprintf("%s was given up at %s, %s after it began, %s: %s.", who, at, Duration(after), where, cmp.Or(r.Message, "another one replaced it"))
	}
	return fmt.Sprintf("%s has been in progress since %s and is %s.", who, date(r.StartedAt), where)
}

// where says at which step and weight the attempt was when it ended.
func where(r *Record) string {
	step, weight := "before its first step", 0.0
	for _, e := range r.Timeline {
		switch {
		case e.Kind == v1alpha1.MarkStep:
			step = fmt.Sprintf("in step %d (%s)", e.Step, e.Text)
		case e.Kind == v1alpha1.MarkWeight && (e.Weight > 0 || r.Outcome == InProgress):
			weight = e.Weight
		}
	}
	return fmt.Sprintf("%s with %s %% of the traffic", step, number(weight))
}

// blame says why an attempt was aborted.
func blame(r *Record, v *v1alpha1.AnalysisVerdict) []string {
	switch {
	case v == nil && r.Reason == "User":
		return []string{"A person aborted it."}
	case v == nil:
		return []string{sentence("The reason was " + cmp.Or(r.Message, r.Reason, "not recorded"))}
	case v.Run == "":
		return []string{sentence("The reason was this: " + cmp.Or(v.Message, r.Message))}
	}
	out := sentence(fmt.Sprintf("The data aborted it: AnalysisRun %s failed: %s", v.Run, strings.TrimSuffix(cmp.Or(v.Message, r.Message), ".")))
	if m := r.metric(v.Run, v.Metric); m != nil {
		return []string{out, judged(m, v)}
	}
	return []string{out}
}

// judged says by what rule a metric failed.
func judged(m *Metric, v *v1alpha1.AnalysisVerdict) string {
	var parts []string
	if m.Pass != "" {
		parts = append(parts, "passes when "+m.Pass)
	}
	if m.Fail != "" {
		parts = append(parts, "fails when "+m.Fail)
	}
	if m.Abort != "" {
		parts = append(parts, "aborts at once when "+m.Abort)
	}
	if len(parts) == 0 {
		parts = []string{"has no condition"}
	}
	s := fmt.Sprintf("Metric %s %s", m.Name, strings.Join(parts, ", "))
	if v.Value != "" {
		s += fmt.Sprintf("; %s failed, the last value was %s", plural(int(v.Failed), "reading"), v.Value)
	}
	return s + "."
}

// metric is the metric of a run, or nil.
func (r *Record) metric(run, name string) *Metric {
	for i := range r.Runs {
		for j := range r.Runs[i].Metrics {
			if m := &r.Runs[i].Metrics[j]; r.Runs[i].Name == run && m.Name == name {
				return m
			}
		}
	}
	return nil
}

// backToStable says when the traffic was ordered back.
func backToStable(r *Record) []string {
	had := false
	for _, e := range r.Timeline {
		if e.Kind != v1alpha1.MarkWeight {
			continue
		}
		if had && e.Weight == 0 && !e.At.Before(r.EndedAt) {
			return []string{fmt.Sprintf("All traffic was sent back to %s at %s.", r.stable(), r.clock(e.At))}
		}
		had = had || e.Weight > 0
	}
	if !had {
		return []string{"It never had any traffic."}
	}
	return nil
}

func (r *Record) stable() string {
	if n := r.Change.From.Number; n > 0 {
		return fmt.Sprintf("revision %d", n)
	}
	return "the stable revision"
}

// gates counts what was measured.
func gates(r *Record) string {
	var runs, good, bad, unclear, failed int
	for i := range r.Runs {
		runs++
		for j := range r.Runs[i].Metrics {
			m := &r.Runs[i].Metrics[j]
			good, bad = good+int(m.Successful), bad+int(m.Failed)
			unclear, failed = unclear+int(m.Inconclusive), failed+int(m.Errors)
		}
	}
	if runs == 0 {
		return "No analysis judged it."
	}
	analyses := "1 analysis"
	if runs > 1 {
		analyses = strconv.Itoa(runs) + " analyses"
	}
	s := fmt.Sprintf("%s took %s: %d successful, %d failed, %d inconclusive", analyses, plural(good+bad+unclear, "reading"), good, bad, unclear)
	if failed > 0 {
		s += fmt.Sprintf("; %s ended in an error", plural(failed, "measurement"))
	}
	return s + "."
}

func served(r *Record) string {
	q, share := r.Requests, ""
	if q.Served > 0 {
		share = fmt.Sprintf(" (%s %%)", number(q.Failed/q.Served*100))
	}
	if !q.AtLeast {
		return fmt.Sprintf("The canary served %s requests between %s and %s, of which %s failed%s, as the queries of metric %s count them.",
			Thousands(q.Served), r.clock(q.From), r.clock(q.To), Thousands(q.Failed), share, q.Metric)
	}
	s := fmt.Sprintf("The canary served at least %s requests, of which %s failed%s: the sum over %s between %s and %s that metric %s measured",
		Thousands(q.Served), Thousands(q.Failed), share, plural(q.Windows, "window"), r.clock(q.From), r.clock(q.To), q.Metric)
	if q.Gap > 0 {
		s += fmt.Sprintf(", %s of which none covers", Duration(time.Duration(q.Gap*float64(time.Second))))
	}
	return s + "."
}

// held says for how long gates held for want of a clear answer.
func held(r *Record) string {
	total, n, first := time.Duration(0), 0, ""
	var since time.Time
	for _, e := range r.Timeline {
		switch {
		case e.Kind == v1alpha1.MarkHold:
			since, n = e.At, n+1
			first = cmp.Or(first, why(e.Text))
		case !since.IsZero() && (e.Kind == "HoldOver" || e.Kind == r.Outcome):
			total += e.At.Sub(since)
			since = time.Time{}
		}
	}
	if n == 0 {
		return ""
	}
	if !since.IsZero() {
		total += r.RecordedAt.Sub(since)
	}
	return fmt.Sprintf("Its gates held it %s, for %s in all; first for this reason: %s.", times(n), Duration(total), strings.TrimSuffix(first, "."))
}

// why is a hold without the run that holds.
func why(hold string) string {
	if _, after, ok := strings.Cut(hold, " holds: "); ok {
		return after
	}
	return hold
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func sentence(s string) string { return strings.TrimSuffix(s, ".") + "." }

// clock is a time as sentences have it: with the day if it is another one than
// that on which the attempt began.
func (r *Record) clock(t time.Time) string {
	if t.IsZero() || t.UTC().Format(time.DateOnly) != r.StartedAt.UTC().Format(time.DateOnly) {
		return date(t)
	}
	return t.UTC().Format("15:04:05 UTC")
}

func date(t time.Time) string {
	if t.IsZero() {
		return "a time that is not known"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// Duration is a duration as people say it: whole seconds, no zero units.
func Duration(d time.Duration) string {
	if d < time.Second && d > 0 {
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
	s := d.Truncate(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// number writes f in at most four significant digits.
func number(f float64) string {
	s := strconv.FormatFloat(f, 'g', 4, 64)
	if strings.ContainsRune(s, 'e') {
		if g, err := strconv.ParseFloat(s, 64); err == nil && g < 1e15 && (g >= 1e-6 || g == 0) {
			s = strconv.FormatFloat(g, 'f', -1, 64)
		}
	}
	return s
}

// Thousands writes a count with separators: 12,345.
func Thousands(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		return whole + "." + rest
	}
	return whole
}

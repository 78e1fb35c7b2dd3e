// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The oracle says the phase of a metric from its whole history, by the words of
// the rules, and keeps nothing. It shares no code with the judge.
type oracle struct {
	count, failureLimit, successLimit, errorLimit int
	inconclusiveLimit                             int // -1: not given
	background, argo, abortOnError                bool
}

func last(s string, n int) string {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}

func without(s, letters string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(letters, r) {
			return -1
		}
		return r
	}, s)
}

// trailing is how often letter stands at the end of s.
func trailing(s, letter string) int { return len(s) - len(strings.TrimRight(s, letter)) }

// phase of the history h, of which passed says whether an earlier part of it was
// a pass.
func (o oracle) phase(h string, passed bool) Phase {
	readings := without(h, "ET") // rule 1: an error is no reading
	n := len(readings)
	failed, band := strings.Count(readings, "F"), strings.Count(readings, "B")
	if o.argo {
		return o.argoPhase(h, n, failed, band)
	}
	if o.background || passed { // rule 16: the window slides
		failed = strings.Count(last(without(readings, "B"), max(o.count, o.failureLimit+1)), "F")
	}
	if passed {
		band = strings.Count(last(readings, o.count), "B")
	}
	streak := trailing(without(h, "T"), "S")
	recent := last(readings, o.count)
	switch {
	case o.failureLimit >= 0 && failed > o.failureLimit: // rule 8
		return Failed
	case o.inconclusiveLimit >= 0 && band > o.inconclusiveLimit: // rule 9
		return Inconclusive
	case o.abortOnError && trailing(without(h, "T"), "E") > o.errorLimit: // rule 13
		return Error
	case o.background: // rule 16
		return Running
	case o.successLimit > 0 && streak >= o.successLimit: // rule 11
		return Successful
	case n < o.count:
		return Running
	case o.inconclusiveLimit < 0 && strings.Contains(recent, "B"): // rule 9
		return Running
	case o.successLimit > 0 && passed:
		return Running
	case o.successLimit > 0 && o.failureLimit >= 0: // 1.7.2 f
		return Inconclusive
	case o.successLimit > 0:
		return Failed
	case o.inconclusiveLimit < 0 && !strings.Contains(recent, "S"): // rule 9
		return Inconclusive
	case !strings.Contains(readings, "S"): // rule 10
		return Inconclusive
	}
	return Successful
}

func (o oracle) argoPhase(h string, n, failed, band int) Phase {
	phase := Running
	if o.failureLimit >= 0 && failed > o.failureLimit {
		phase = Failed
	}
	if band > max(o.inconclusiveLimit, 0) {
		phase = Inconclusive
	}
	h = strings.ReplaceAll(h, "T", "E")
	if trailing(h, "E") > o.errorLimit {
		phase = Error
	}
	switch {
	case phase != Running:
		return phase
	case o.successLimit > 0 && trailing(h, "S") >= o.successLimit:
		return Successful
	case n < o.count:
		return Running
	case o.successLimit > 0 && o.failureLimit >= 0:
		return Inconclusive
	case o.successLimit > 0:
		return Failed
	}
	return Successful
}

// TestEverySequence compares the judge with the oracle on every sequence of up
// to five measurements under every small rule, the state being stored and read
// back before each. A second metric, never measured, keeps the run open, so that
// what comes after a pass is seen too.
func TestEverySequence(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 2, 3} {
		for _, failureLimit := range []int{-1, 0, 1} {
			for _, successLimit := range []int{0, 2} {
				for _, inconclusiveLimit := range []int{-1, 0, 1} {
					o := oracle{count: count, failureLimit: failureLimit, successLimit: successLimit, errorLimit: 1, inconclusiveLimit: inconclusiveLimit}
					t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
						t.Parallel()
						o.everySequence(t)
						o.abortOnError = true
						o.everySequence(t)
						o.background = true
						o.everySequence(t)
						o.background, o.argo = false, true
						o.everySequence(t)
					})
				}
			}
		}
	}
}

func (o oracle) everySequence(t *testing.T) {
	t.Helper()
	m := Metric{
		Name: "m", Interval: minute, Count: o.count, FailureLimit: o.failureLimit, SuccessLimit: o.successLimit,
		ErrorLimit: o.errorLimit, AbortOnError: o.abortOnError, Success: must(t, "result < 1"), Failure: must(t, "result >= 5"),
	}
	if o.inconclusiveLimit >= 0 {
		m.InconclusiveLimit = &o.inconclusiveLimit
	}
	run := Run{UID: "u", Background: o.background, Metrics: []Metric{m, {Name: "other", Interval: minute, InitialDelay: 1000 * time.Hour}}}
	if o.argo {
		run.Semantics = Argo
	}
	measured := map[string]Measurement{}
	for _, letter := range "SFBET" {
		measured[string(letter)] = run.Assess(m, observe(t, byte(letter)), start)
	}
	s, _ := Advance(start, run, State{}, nil)
	o.extend(t, run, s, measured, "", false)
}

// extend checks every sequence that goes on from h, which led to s.
func (o oracle) extend(t *testing.T, run Run, s State, measured map[string]Measurement, h string, passed bool) {
	t.Helper()
	const longest = 5
	for letter, x := range measured {
		h := h + letter
		x.Started = start.Add(time.Duration(len(h)) * minute)
		x.Finished = x.Started
		got, _ := Advance(x.Started, run, restart(run, s), []Taken{{"m", x}})
		want := o.phase(h, passed)
		if got.Results[0].Phase != want {
			t.Fatalf("%+v, passed before %v: after %s it is %s, want %s", o, passed, h, got.Results[0].Phase, want)
		}
		end := want == Failed || want == Error || want == Inconclusive || want == Successful && o.argo
		if wantRun := want; end && want != Successful && got.Phase != wantRun || !end && got.Phase.Completed() {
			t.Fatalf("%+v: after %s the metric is %s and the run %s", o, h, want, got.Phase)
		}
		if !end && len(h) < longest {
			o.extend(t, run, got, measured, h, passed || want == Successful)
		}
	}
}

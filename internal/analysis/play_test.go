// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"testing"
	"time"

	"sluice.dev/sluice/internal/condition"
)

// start is no whole second, so that what is lost by storing seconds shows.
var start = time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC)

const minute = time.Minute

func must(t testing.TB, expression string) *condition.Condition {
	t.Helper()
	c, err := condition.Compile(expression)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// guide returns the error-rate gate of the guide: good below 1, bad from 5,
// five readings a minute apart, two may fail.
func guide(t testing.TB) Metric {
	t.Helper()
	return Metric{
		Name: "error-rate", Interval: minute, Count: 5, FailureLimit: 2, ErrorLimit: DefaultErrorLimit,
		Success: must(t, "result < 1"), Failure: must(t, "result >= 5"),
	}
}

// observe returns what a letter of a script stands for: S, B and F are values
// below, in and above the band, A is one that the abort condition holds on, N is
// no data, E an error, D a denied request, T a throttled one that says nothing
// and R one that says to come back in 40 s.
func observe(t testing.TB, letter byte) Observation {
	t.Helper()
	switch letter {
	case 'S':
		return Observation{Value: 0.0}
	case 'B':
		return Observation{Value: 3.0}
	case 'F':
		return Observation{Value: 9.0}
	case 'A':
		return Observation{Value: 100.0}
	case 'N':
		return Observation{NoData: "query hits returned nothing"}
	case 'E':
		return Observation{Failure: &Failure{Reason: "Unavailable", Status: 503, Message: "503 from api.datadoghq.eu"}}
	case 'D':
		return Observation{Failure: &Failure{Reason: "Unauthorized", Status: 403, Message: "403 from api.datadoghq.eu", Denied: true}}
	case 'T':
		return Observation{Failure: &Failure{Reason: "RateLimited", Status: 429, Message: "429", Throttled: true}}
	case 'R':
		return Observation{Failure: &Failure{Reason: "RateLimited", Status: 429, Message: "429", Throttled: true, RetryAfter: 40 * time.Second}}
	}
	t.Fatalf("no observation %q", letter)
	return Observation{}
}

// A world plays scripts: one letter for each measurement of each metric.
type world struct {
	t     testing.TB
	run   Run
	state State
	plan  Plan
	now   time.Time
	// at are the times of the measurements of each metric, since the start.
	at map[string][]time.Duration
	// messages are those of the run, each that differs from the one before.
	messages []string
	// forget makes the world store and read back the state before each step.
	forget bool
}

func newWorld(t testing.TB, run Run) *world {
	t.Helper()
	w := &world{t: t, run: run, now: start, at: map[string][]time.Duration{}}
	w.step(nil)
	return w
}

func (w *world) step(taken []Taken) {
	if w.forget {
		w.state = restart(w.run, w.state)
	}
	w.state, w.plan = Advance(w.now, w.run, w.state, taken)
	if n := len(w.messages); n == 0 || w.messages[n-1] != w.state.Message {
		w.messages = append(w.messages, w.state.Message)
	}
}

// play measures until every script is used up by its metric, or the run ends.
// Metrics without a script are not answered.
func (w *world) play(scripts map[string]string) *world {
	w.t.Helper()
	used := map[string]int{}
	for range 10_000 {
		if w.state.Phase.Completed() {
			return w
		}
		var taken []Taken
		for _, name := range w.plan.Due {
			script, i := scripts[name], used[name]
			if i == len(script) {
				continue
			}
			used[name]++
			w.at[name] = append(w.at[name], w.now.Sub(start))
			taken = append(taken, Taken{name, w.measure(name, script[i])})
		}
		if len(taken) > 0 {
			w.step(taken)
			continue
		}
		if done(scripts, used) || w.plan.WakeAt.IsZero() {
			return w
		}
		w.now = w.plan.WakeAt
		w.step(nil)
	}
	w.t.Fatal("the run does not come to rest")
	return w
}

func done(scripts map[string]string, used map[string]int) bool {
	for name, script := range scripts {
		if used[name] < len(script) {
			return false
		}
	}
	return true
}

func (w *world) measure(name string, letter byte) Measurement {
	w.t.Helper()
	for _, m := range w.run.Metrics {
		if m.Name == name {
			x := w.run.Assess(m, observe(w.t, letter), w.now)
			x.Started, x.Finished = w.now, w.now
			return x
		}
	}
	w.t.Fatalf("no metric %q", name)
	return Measurement{}
}

// restart is what a controller that starts again knows of s: the status fields,
// with times in whole seconds, and the metadata.
func restart(run Run, s State) State {
	if s.StartedAt.IsZero() {
		return s
	}
	s.StartedAt = s.StartedAt.Truncate(time.Second)
	results := make([]Result, len(s.Results))
	for i, r := range s.Results {
		metadata := map[string]string{KeyHoldCause: "stale", KeyThrottled: "stale"}
		r.Encode(run.Metrics[i], metadata)
		r.Memory = Decode(metadata)
		results[i] = r
	}
	s.Results = results
	return s
}

// one is a script for the run's first metric.
func (w *world) one(script string) *world {
	w.t.Helper()
	return w.play(map[string]string{w.run.Metrics[0].Name: script})
}

func (w *world) summary() string {
	r := w.state.Results[0]
	return fmt.Sprintf("run %s, metric %s, %d of %d good", w.state.Phase, r.Phase, r.Successful, r.Count)
}

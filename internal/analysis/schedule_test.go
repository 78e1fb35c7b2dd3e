// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const second = time.Second

func seconds(n ...int) []time.Duration {
	d := make([]time.Duration, len(n))
	for i := range n {
		d[i] = time.Duration(n[i]) * second
	}
	return d
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		why    string
		with   func(*Metric, *Run)
		script string
		want   []time.Duration
	}{
		"every minute":                {why: "rule 11", script: "SSSSS", want: seconds(0, 60, 120, 180, 240)},
		"after the initial delay":     {why: "rule 11", with: func(m *Metric, _ *Run) { m.InitialDelay = 30 * second }, script: "SSS", want: seconds(30, 90, 150)},
		"the band changes nothing":    {why: "rule 11", script: "BBNN", want: seconds(0, 60, 120, 180)},
		"a denied request":            {why: "rule 12: retried at the interval", script: "DDDS", want: seconds(0, 60, 120, 180)},
		"come back in forty seconds":  {why: "rule 12: Retry-After is obeyed", script: "RSS", want: seconds(0, 40, 120)},
		"no interval":                 {why: "rule 9: looked at again", with: once, script: "BBS", want: seconds(0, 10, 20)},
		"no interval and a delay":     {why: "rule 11", with: func(m *Metric, r *Run) { once(m, r); m.InitialDelay = 7 * second }, script: "S", want: seconds(7)},
		"Argo: errors every ten":      {why: "D7 is off", with: func(_ *Metric, r *Run) { r.Semantics = Argo }, script: "EEES", want: seconds(0, 10, 20, 30)},
		"Argo: then the interval":     {why: "D6 is off: a gap, not a tick", with: func(_ *Metric, r *Run) { r.Semantics = Argo }, script: "ESS", want: seconds(0, 10, 70)},
		"Guide: then the next tick":   {why: "D6: the schedule stays", with: func(m *Metric, _ *Run) { m.Interval = 10 * second }, script: "ESS", want: seconds(0, 10, 20)},
		"errors at short intervals":   {why: "rule 12: from the interval to ten seconds, with jitter", with: func(m *Metric, _ *Run) { m.Interval = 10 * second }, script: "EEEE", want: seconds(0, 10, 20, 30)},
		"the back-off can be shorter": {why: "the demonstration's pace", with: func(m *Metric, r *Run) { m.Interval, r.Retry = second, second }, script: "EEES", want: seconds(0, 1, 2, 3)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, run := guide(t), Run{UID: "u"}
			if tc.with != nil {
				tc.with(&m, &run)
			}
			run.Metrics = []Metric{m}
			w := newWorld(t, run)
			w.forget = true
			w.one(tc.script)
			if diff := cmp.Diff(tc.want, w.at[m.Name]); diff != "" {
				t.Errorf("%s: measured at (-want +got):\n%s", tc.why, diff)
			}
		})
	}
}

// Errors back off from ten seconds to the interval of a minute, each by up to a
// quarter more or less, and never outside of the two.
func TestBackOff(t *testing.T) {
	t.Parallel()
	want := []time.Duration{10 * second, 20 * second, 40 * second, minute, minute, minute}
	seen := map[time.Duration]bool{}
	for _, uid := range []string{"a", "b", "c", "d", "e", "f"} {
		w := newWorld(t, Run{UID: uid, Metrics: []Metric{guide(t)}}).one("EEEEEEE")
		at := w.at["error-rate"]
		again := newWorld(t, w.run).one("EEEEEEE")
		if diff := cmp.Diff(at, again.at["error-rate"]); diff != "" {
			t.Errorf("rule 12: the jitter of a run is not the same again:\n%s", diff)
		}
		for i, w := range want {
			got := at[i+1] - at[i]
			if got < max(w*3/4, 10*second) || got > min(w*5/4, minute) {
				t.Errorf("run %s: wait %d is %s, want about %s", uid, i+1, got, w)
			}
			if i == 1 {
				seen[got] = true
			}
		}
	}
	if len(seen) < 4 {
		t.Errorf("rule 12: six runs wait only %d different times: no jitter", len(seen))
	}
	tt := newWorld(t, Run{UID: "a", Metrics: []Metric{guide(t)}}).one("TTTT").at["error-rate"]
	if tt[3]-tt[2] < 30*second {
		t.Errorf("rule 12: throttled answers do not back off: %v", tt)
	}
}

func TestMissedTicksAreSkipped(t *testing.T) {
	t.Parallel()
	m := guide(t)
	tests := map[string]struct {
		why                     string
		started, finished, next time.Duration
	}{
		"in time":                    {"rule 11", 60 * second, 60 * second, 120 * second},
		"a little late":              {"D6: the schedule is not moved", 62 * second, 63 * second, 120 * second},
		"back after ten minutes":     {"D6: missed ticks are skipped", 601 * second, 601 * second, 660 * second},
		"back just before a tick":    {"D6: not twice within seconds", 655 * second, 655 * second, 720 * second},
		"a slow provider":            {"D6: the tick that it made us miss is skipped", 60 * second, 125 * second, 180 * second},
		"a slow one, just at a tick": {"D6", 60 * second, 120 * second, 120 * second},
		"a very slow provider":       {"D6", 60 * second, 260 * second, 300 * second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := Run{Metrics: []Metric{m}}
			s, _ := Advance(start, run, State{}, nil)
			first := Measurement{Phase: Successful, Started: start, Finished: start}
			s, _ = Advance(start, run, s, []Taken{{m.Name, first}})
			x := Measurement{Phase: Successful, Started: start.Add(tc.started), Finished: start.Add(tc.finished)}
			_, plan := Advance(x.Finished, run, s, []Taken{{m.Name, x}})
			if len(plan.Due) > 0 {
				plan.WakeAt = x.Finished
			}
			if got := plan.WakeAt.Sub(start); got != tc.next {
				t.Errorf("%s: next at %s, want %s", tc.why, got, tc.next)
			}
		})
	}
}

// Metrics that start together tick together, whatever one of them went through.
func TestTicksAreAlignedPerRun(t *testing.T) {
	t.Parallel()
	a, b := guide(t), guide(t)
	a.Name, b.Name = "a", "b"
	w := newWorld(t, Run{UID: "u", Metrics: []Metric{a, b}}).play(map[string]string{"a": "BBBB", "b": "EBBBB"})
	got := w.at["b"]
	if diff := cmp.Diff(w.at["a"][1:], got[2:]); diff != "" {
		t.Errorf("rule 11: (-a +b):\n%s", diff)
	}
}

// A late first measurement moves the schedule, once.
func TestTheAnchorIsTheFirstMeasurement(t *testing.T) {
	t.Parallel()
	m := guide(t)
	run := Run{Metrics: []Metric{m}}
	s, _ := Advance(start, run, State{}, nil)
	at := start.Add(7 * second)
	s, plan := Advance(at, run, restart(run, s), []Taken{{m.Name, Measurement{Phase: Successful, Started: at, Finished: at}}})
	if want := at.Add(minute); !plan.WakeAt.Equal(want) {
		t.Errorf("second measurement at %s, want %s", plan.WakeAt, want)
	}
	at = start.Add(70 * second)
	_, plan = Advance(at, run, restart(run, s), []Taken{{m.Name, Measurement{Phase: Successful, Started: at, Finished: at}}})
	if want := start.Add(127 * second); !plan.WakeAt.Equal(want) {
		t.Errorf("third measurement at %s, want %s", plan.WakeAt, want)
	}
}

// What another controller left without a schedule is measured now.
func TestAResultWithoutAScheduleIsMeasuredNow(t *testing.T) {
	t.Parallel()
	m := guide(t)
	s := State{Phase: Running, StartedAt: start, Results: []Result{{Name: m.Name, Phase: Running, Count: 3, Successful: 3}}}
	_, plan := Advance(start.Add(minute), Run{Metrics: []Metric{m}}, s, nil)
	if len(plan.Due) != 1 {
		t.Errorf("plan is %+v, want the metric to be due", plan)
	}
}

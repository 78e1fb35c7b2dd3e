// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawMetric draws a rule.
func drawMetric(t *rapid.T, tb testing.TB, name string) Metric {
	m := Metric{
		Name:         name,
		Interval:     time.Duration(rapid.SampledFrom([]int{0, 1, 10, 60}).Draw(t, "interval")) * second,
		InitialDelay: time.Duration(rapid.SampledFrom([]int{0, 30}).Draw(t, "delay")) * second,
		Count:        rapid.IntRange(0, 6).Draw(t, "count"),
		FailureLimit: rapid.IntRange(-1, 4).Draw(t, "failureLimit"),
		ErrorLimit:   rapid.IntRange(0, 4).Draw(t, "errorLimit"),
		SuccessLimit: rapid.SampledFrom([]int{0, 0, 2, 4}).Draw(t, "successLimit"),
		OnNoData:     rapid.SampledFrom([]string{"", "", NoDataInconclusive, NoDataSuccess, NoDataFailure, NoDataError}).Draw(t, "onNoData"),
		AbortOnError: rapid.Bool().Draw(t, "onError"),
		DryRun:       rapid.SampledFrom([]bool{false, false, true}).Draw(t, "dryRun"),
		Success:      must(tb, "result < 1"),
	}
	if m.Interval == 0 {
		m.Count = 0
	}
	if rapid.Bool().Draw(t, "both conditions") {
		m.Failure = must(tb, "result >= 5")
	}
	if rapid.SampledFrom([]bool{false, false, true}).Draw(t, "inconclusive") {
		m.InconclusiveLimit = new(rapid.IntRange(0, 3).Draw(t, "inconclusiveLimit"))
	}
	return m
}

func drawRun(t *rapid.T, tb testing.TB) Run {
	run := Run{
		UID: "u", Background: rapid.Bool().Draw(t, "background"),
		Semantics: rapid.SampledFrom([]Semantics{Guide, Guide, Argo}).Draw(t, "semantics"),
	}
	for _, name := range []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(t, "metrics")] {
		run.Metrics = append(run.Metrics, drawMetric(t, tb, name))
	}
	return run
}

func drawScripts(t *rapid.T, run Run) map[string]string {
	scripts := map[string]string{}
	for _, m := range run.Metrics {
		letters := rapid.SliceOfN(rapid.SampledFrom([]byte("SSSSFBNETDR")), 0, 30).Draw(t, "script")
		scripts[m.Name] = string(letters)
	}
	return scripts
}

// A run never comes out Successful unless each metric that decides has had a
// success that stands on data, and none ends while nothing was measured.
func TestNoSuccessWithoutASuccessfulReading(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		run := drawRun(rt, t)
		run.Semantics = Guide
		run.Terminate = rapid.SampledFrom([]Termination{NotTerminated, NotTerminated, ByController, ByPerson}).Draw(rt, "terminate")
		ending := run.Terminate
		run.Terminate = NotTerminated
		scripts := drawScripts(rt, run)
		w := newWorld(t, run).play(scripts)
		w.run.Terminate = ending
		w.step(nil)
		for i, m := range run.Metrics {
			r := w.state.Results[i]
			used := scripts[m.Name][:len(w.at[m.Name])]
			if r.Phase == Successful && !strings.Contains(used, "S") {
				rt.Fatalf("metric %s is Successful after %q", m.Name, used)
			}
			if w.state.Phase == Successful && !m.DryRun && r.Phase != Successful {
				rt.Fatalf("run is Successful, metric %s is %s", m.Name, r.Phase)
			}
			if ready, _ := Guard(run, w.state); ready && !m.DryRun && !strings.Contains(used, "S") {
				rt.Fatalf("the guard is ready, metric %s had %q", m.Name, used)
			}
		}
	})
}

// The band, no data and errors never make a metric Failed: what is left when
// they are taken out fails as well, or nothing does.
func TestTheBandNeverCountsTowardsFailing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := drawMetric(rt, t, "m")
		m.Failure, m.OnNoData, m.InconclusiveLimit, m.DryRun, m.AbortOnError, m.SuccessLimit = must(t, "result >= 5"), "", nil, false, false, 0
		m.FailureLimit = max(m.FailureLimit, 0)
		run := Run{UID: "u", Metrics: []Metric{m}, Background: rapid.Bool().Draw(rt, "background")}
		script := drawScripts(rt, run)["m"]
		w := newWorld(t, run).one(script)
		used := script[:len(w.at["m"])]
		if w.state.Phase != Failed {
			return
		}
		if n := strings.Count(used, "F"); n <= m.FailureLimit {
			rt.Fatalf("Failed with %d failures in %q, limit %d", n, used, m.FailureLimit)
		}
		if !strings.HasSuffix(used, "F") {
			rt.Fatalf("Failed by another measurement than a failure: %q", used)
		}
	})
}

// A controller that starts again before every measurement measures at the same
// times and comes to the same states as one that never does.
func TestARestartChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		run := drawRun(rt, t)
		scripts := drawScripts(rt, run)
		steady := newWorld(t, run).play(scripts)
		restarted := &world{t: t, run: run, now: start, at: map[string][]time.Duration{}, forget: true}
		restarted.step(nil)
		restarted.play(scripts)
		if diff := cmp.Diff(steady.at, restarted.at); diff != "" {
			rt.Fatalf("measured at (-steady +restarted):\n%s", diff)
		}
		if diff := cmp.Diff(restart(run, steady.state), restart(run, restarted.state)); diff != "" {
			rt.Fatalf("state (-steady +restarted):\n%s", diff)
		}
		if diff := cmp.Diff(steady.messages, restarted.messages); diff != "" {
			rt.Fatalf("messages (-steady +restarted):\n%s", diff)
		}
	})
}

// The order in which the answers of one tick arrive, and whether they are judged
// together, does not change the verdict while none of them ends the run.
func TestTheOrderOfMetricsDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		run := drawRun(rt, t)
		w := newWorld(t, run)
		var taken []Taken
		for _, m := range run.Metrics {
			letter := rapid.SampledFrom([]byte("SFBNE")).Draw(rt, "letter")
			x := run.Assess(m, observe(t, letter), start)
			x.Started, x.Finished = start, start
			taken = append(taken, Taken{m.Name, x})
		}
		together, _ := Advance(start, run, w.state, taken)
		for i, j := 0, len(taken)-1; i < j; i, j = i+1, j-1 {
			taken[i], taken[j] = taken[j], taken[i]
		}
		reversed, _ := Advance(start, run, w.state, taken)
		if diff := cmp.Diff(together, reversed); diff != "" {
			rt.Fatalf("(-forwards +backwards):\n%s", diff)
		}
	})
}

// Advance changes nothing that it was given, says the same twice, and leaves a
// run that has ended as it is.
func TestAdvanceIsPure(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		run := drawRun(rt, t)
		w := newWorld(t, run).play(drawScripts(rt, run))
		before := w.state.clone()
		x := run.Assess(run.Metrics[0], observe(t, 'F'), w.now)
		x.Started, x.Finished = w.now, w.now
		one, planOne := Advance(w.now, run, w.state, []Taken{{run.Metrics[0].Name, x}})
		two, planTwo := Advance(w.now, run, w.state, []Taken{{run.Metrics[0].Name, x}})
		if diff := cmp.Diff(before, w.state); diff != "" {
			rt.Fatalf("Advance changed its input:\n%s", diff)
		}
		if diff := cmp.Diff(one, two) + cmp.Diff(planOne, planTwo); diff != "" {
			rt.Fatalf("Advance says two things:\n%s", diff)
		}
		if w.state.Phase.Completed() {
			if diff := cmp.Diff(w.state, one); diff != "" {
				rt.Fatalf("an ended run changed:\n%s", diff)
			}
		}
	})
}

// A run that goes on has something due or a time to wake; one that has ended has
// neither. So none is forgotten.
func TestARunThatGoesOnIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		run := drawRun(rt, t)
		w := newWorld(t, run).play(drawScripts(rt, run))
		idle := len(w.plan.Due) == 0 && w.plan.WakeAt.IsZero()
		if w.state.Phase.Completed() != idle {
			rt.Fatalf("run is %s, plan %+v", w.state.Phase, w.plan)
		}
		if !idle && len(w.plan.Due) == 0 && !w.plan.WakeAt.After(w.now) {
			rt.Fatalf("wakes at %s, not after %s", w.plan.WakeAt, w.now)
		}
	})
}

// A metric that holds is held by something it can name, and until a time.
func TestAHoldHasAReasonAndAnEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		run := drawRun(rt, t)
		w := newWorld(t, run).play(drawScripts(rt, run))
		hold, ok := Holds(run, w.state)
		if ok && (hold.Message == "" || !hold.Until.After(hold.Since)) {
			rt.Fatalf("hold is %+v", hold)
		}
		for _, r := range w.state.Results {
			blind := r.measured() && !r.conclusive() && !w.state.Phase.Completed() && !r.DryRun && run.Semantics != Argo
			if blind && r.HoldSince.IsZero() {
				rt.Fatalf("metric %s is blind (%s) and does not hold", r.Name, r.Last)
			}
		}
		if (w.state.Message != "") != ok && !w.state.Phase.Completed() {
			rt.Fatalf("hold is %v, message %q", ok, w.state.Message)
		}
	})
}

func TestMemoryIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	window := rapid.StringOfN(rapid.SampledFrom([]rune("SSSsFfI")), 0, 40, -1)
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		return start.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "ns"))).UTC()
	})
	rapid.Check(t, func(rt *rapid.T) {
		want := Memory{
			Anchor: moment.Draw(rt, "anchor"), Next: moment.Draw(rt, "next"), Last: Failed,
			Recent: window.Draw(rt, "recent"), Conclusive: strings.ReplaceAll(window.Draw(rt, "conclusive"), "I", ""),
			Assumed: rapid.IntRange(0, 9).Draw(rt, "assumed"), Throttled: rapid.IntRange(0, 9).Draw(rt, "throttled"),
			PassedAt: moment.Draw(rt, "passed"), HoldSince: moment.Draw(rt, "hold"), HoldCause: "band",
		}
		metadata := map[string]string{"other": "kept"}
		want.Encode(Metric{}, metadata)
		if diff := cmp.Diff(want, Decode(metadata)); diff != "" {
			rt.Fatalf("(-written +read):\n%s\n%v", diff, metadata)
		}
		if metadata["other"] != "kept" {
			rt.Fatal("a foreign key is gone")
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add("S3FI2", "S999999999999F", "2026-03-01T12:00:00Z", "-1")
	f.Add("S1000", "x", "soon", "9")
	f.Fuzz(func(t *testing.T, window, conclusive, moment, count string) {
		y := Decode(map[string]string{
			KeyWindow: window, KeyConclusive: conclusive, KeyNext: moment, KeyHoldSince: moment, KeyAssumed: count, KeyThrottled: count,
		})
		if len(y.Recent) > MaxWindow || len(y.Conclusive) > MaxWindow || y.Assumed < 0 || y.Throttled < 0 {
			t.Errorf("Decode gives %d and %d readings", len(y.Recent), len(y.Conclusive))
		}
		if strings.Trim(y.Recent, "SsFfI") != "" {
			t.Errorf("window is %q", y.Recent)
		}
	})
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"

	"sluice.dev/sluice/playground/demo/stage"
)

// bad plays a version that the first gate turns back.
func bad(ctx context.Context, p *Play) error {
	if err := p.ship(ctx, plugin); err != nil {
		return err
	}
	if err := p.await(ctx, 15*time.Minute, "the release is aborted", p.aborted); err != nil {
		return err
	}
	countUsers(p)
	checkBreach(ctx, p)
	run := failed(p)
	if run == nil {
		return fmt.Errorf("no AnalysisRun of %s has Failed", p.release.hash)
	}
	if err := describe(ctx, p, run); err != nil {
		return err
	}
	if err := checkConditions(ctx, p); err != nil {
		return err
	}
	return p.back(ctx, plugin)
}

// failed is the run of the release that Failed, nil if there is none.
func failed(p *Play) *v1alpha1.AnalysisRun {
	for _, r := range p.Witness.Runs(p.release.hash) {
		if r.Status.Phase == v1alpha1.AnalysisPhaseFailed {
			return r
		}
	}
	return nil
}

// result is the result of a metric in a run; its zero value if there is none.
func result(run *v1alpha1.AnalysisRun, metric string) v1alpha1.MetricResult {
	if run != nil {
		for _, m := range run.Status.MetricResults {
			if m.Name == metric {
				return m
			}
		}
	}
	return v1alpha1.MetricResult{}
}

// checkBreach looks at what a breach leaves behind.
func checkBreach(ctx context.Context, p *Play) {
	// The run is completed after the traffic has moved.
	_ = p.Witness.Await(ctx, "the run has Failed", slack, func() bool { return failed(p) != nil })
	ro, run := p.Witness.Rollout(), failed(p)
	if run == nil {
		p.Ledger.Check(8, false, "release %d was aborted and no AnalysisRun has Failed", p.release.number)
		return
	}
	weights := p.weights()
	p.Ledger.Check(8, slices.Equal(weights, []string{"90/10", "100/0"}), "%s %s, Rollout %s, weights %s",
		run.Name, run.Status.Phase, ro.Status.Phase, strings.Join(weights, ", "))
	m := result(run, errorRate)
	value := ""
	if n := len(m.Measurements); n > 0 {
		value = m.Measurements[n-1].Value
	}
	msg := ro.Status.Message
	told := strings.Contains(msg, errorRate) && strings.Contains(msg, strconv.Itoa(int(m.Failed))) && value != "" && mentions(msg, value)
	p.Ledger.Check(8, told, "its message: %q", msg)
	p.Ledger.Check(8, silent(ctx, p), "no request reached %s after the weights were back", p.release.hash)
}

// mentions reports whether a message holds a value, which may be rounded there.
func mentions(msg, value string) bool {
	if len(value) > 5 {
		value = value[:5]
	}
	return strings.Contains(msg, value)
}

// silent reports whether the aborted revision gets no more requests, from half a
// second after the abort for a second.
func silent(ctx context.Context, p *Play) bool {
	pause(ctx, 500*time.Millisecond)
	before := p.Stage.Mesh.Tally(p.release.hash).Requests
	pause(ctx, time.Second)
	return p.Stage.Mesh.Tally(p.release.hash).Requests == before
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// countUsers notes what an abort cost.
func countUsers(p *Play) {
	shifts := p.shifts()
	end := shifts[len(shifts)-1].At
	users := p.Stage.Load.Between(p.release.since, end)
	canary := p.Stage.Mesh.Tally(p.release.hash)
	p.Ledger.Note("Release %d (%s): %d of %d users' requests failed before the abort, %d of them among the %d that reached it; %.1f s from release to abort.",
		p.release.number, p.release.tag, users.Failures, users.Requests, canary.Failures, canary.Requests,
		end.Sub(p.release.since).Seconds())
}

// describe looks at a run as the guide does. (Row 14.)
func describe(ctx context.Context, p *Play, run *v1alpha1.AnalysisRun) error {
	out, err := p.command(ctx, sluice, "-n", stage.Namespace, "describe", "analysisrun", run.Name)
	if err != nil {
		p.Ledger.Check(14, false, "%v", err)
		return err
	}
	ok := strings.Contains(out, errorRate) && strings.Contains(out, latency) && strings.Contains(out, string(v1alpha1.AnalysisPhaseFailed))
	m := result(run, errorRate)
	for _, reading := range m.Measurements {
		ok = ok && mentions(out, reading.Value)
	}
	p.Ledger.Check(14, ok, "sluice describe analysisrun %s: %d measurements with their verdicts", run.Name, len(m.Measurements))
	return nil
}

// checkConditions runs the two runs beside the guide. (Row 7.)
func checkConditions(ctx context.Context, p *Play) error {
	if _, err := p.Stage.Apply(ctx, "extra/conditions.yaml"); err != nil {
		return err
	}
	const both, floor = "both-conditions-hold", "abort-condition-holds"
	over := func(name string) bool {
		r := p.Witness.Run(name)
		return r != nil && r.Status.Phase.Completed()
	}
	err := p.Witness.Await(ctx, "the two runs beside the guide are over", p.limit(10*time.Minute), func() bool { return over(both) && over(floor) })
	if err != nil {
		return err
	}
	m := result(p.Witness.Run(both), "hits")
	p.Ledger.Check(7, m.Failed == 1 && m.Successful == 0, "both conditions held: the measurement (%s) is %s", lastValue(m), lastPhase(m))
	m = result(p.Witness.Run(floor), "hits")
	p.Ledger.Check(7, m.Phase == v1alpha1.AnalysisPhaseFailed && m.Count == 1,
		"abortCondition held: %s after %d reading, although failureLimit is 4", m.Phase, m.Count)
	return nil
}

func lastPhase(m v1alpha1.MetricResult) v1alpha1.AnalysisPhase {
	if n := len(m.Measurements); n > 0 {
		return m.Measurements[n-1].Phase
	}
	return "missing"
}

func lastValue(m v1alpha1.MetricResult) string {
	if n := len(m.Measurements); n > 0 {
		return m.Measurements[n-1].Value
	}
	return "none"
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"slices"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
)

// inBand is how many readings in the band are waited for: more than the count of
// five, after which a gate that merely counts would have ended.
const inBand = 6

// held plays a version that the band holds until it recovers.
func held(ctx context.Context, p *Play) error {
	if err := p.ship(ctx, sluice); err != nil {
		return err
	}
	if err := hold(ctx, p); err != nil {
		return err
	}
	p.Screen.Say("  what the version depends on is repaired")
	p.Stage.Farm.Turn(image(p.release.tag))
	if err := p.await(ctx, 45*time.Minute, "the recovered version has all traffic", p.promoted); err != nil {
		return err
	}
	checkClimb(p, 5)
	return nil
}

// hold waits until the gate has had its count of readings in the band, and looks
// at whether it was held meanwhile. (Row 5.)
func hold(ctx context.Context, p *Play) error {
	err := p.await(ctx, 30*time.Minute, "the gate has had six readings in the band", func(ro *v1alpha1.Rollout) bool {
		n := count(p.readings(), kind(v1alpha1.RolloutTypeStep), phase(v1alpha1.AnalysisPhaseInconclusive))
		return n >= inBand || ro.Status.Abort
	})
	if err != nil {
		return err
	}
	ro := p.Witness.Rollout()
	run := gate(p)
	m := result(run, errorRate)
	held := slices.Equal(p.weights(), []string{"90/10"}) && !ro.Status.Abort && run != nil && run.Status.Phase == v1alpha1.AnalysisPhaseRunning
	p.Ledger.Check(5, held, "release %d: after %d readings, %d of them Inconclusive and %d Failed, the gate is %s, weights %s, Rollout %s: %q",
		p.release.number, m.Count, m.Inconclusive, m.Failed, lastRunPhase(run), strings.Join(p.weights(), ", "), ro.Status.Phase, ro.Status.Message)
	return nil
}

// gate is the release's run of a step.
func gate(p *Play) *v1alpha1.AnalysisRun { return runOf(p, v1alpha1.RolloutTypeStep) }

// runOf is the release's latest run of a type, nil if there is none.
func runOf(p *Play, rolloutType string) *v1alpha1.AnalysisRun {
	var last *v1alpha1.AnalysisRun
	for _, r := range p.Witness.Runs(p.release.hash) {
		if r.Labels[v1alpha1.LabelRolloutType] == rolloutType &&
			(last == nil || !r.CreationTimestamp.Before(&last.CreationTimestamp)) {
			last = r
		}
	}
	return last
}

func lastRunPhase(run *v1alpha1.AnalysisRun) v1alpha1.AnalysisPhase {
	if run == nil {
		return "missing"
	}
	return run.Status.Phase
}

// worse plays a version that is held in the band, worsens, and fails. (Rows 5
// and 6.)
func worse(ctx context.Context, p *Play) error {
	if err := p.ship(ctx, plugin); err != nil {
		return err
	}
	if err := hold(ctx, p); err != nil {
		return err
	}
	p.Screen.Say("  it gets worse: 6 %%")
	p.Stage.Farm.Turn(image(p.release.tag))
	if err := p.await(ctx, 45*time.Minute, "the release is aborted", p.aborted); err != nil {
		return err
	}
	countUsers(p)
	_ = p.Witness.Await(ctx, "the run has Failed", slack, func() bool { return failed(p) != nil })
	run := failed(p)
	m := result(run, errorRate)
	p.Ledger.Check(5, run != nil && m.Inconclusive >= inBand,
		"release %d: it worsened, and the same run Failed after %d readings in the band", p.release.number, m.Inconclusive)
	failures := 0
	for _, r := range p.readings() {
		if run != nil && r.Run == run.Name && r.Phase == v1alpha1.AnalysisPhaseFailed {
			failures++
		}
	}
	p.Ledger.Check(6, m.Failed == 3 && failures == 3, "%s was Failed and the release aborted with %d failing measurements, the last %s",
		runName(run), m.Failed, lastValue(m))
	return p.back(ctx, sluice)
}

func runName(run *v1alpha1.AnalysisRun) string {
	if run == nil {
		return "no run"
	}
	return run.Name
}

// late plays a version that turns bad at half of the traffic. (Row 12.)
func late(ctx context.Context, p *Play) error {
	if err := p.ship(ctx, plugin); err != nil {
		return err
	}
	if err := p.await(ctx, 45*time.Minute, "the release is aborted", p.aborted); err != nil {
		return err
	}
	countUsers(p)
	_ = p.Witness.Await(ctx, "the run has Failed", slack, func() bool { return failed(p) != nil })
	weights := p.weights()
	p.Ledger.Check(12, slices.Equal(weights, []string{"90/10", "75/25", "50/50", "100/0"}),
		"release %d: weights %s", p.release.number, strings.Join(weights, ", "))
	checkGuard(p)
	return p.back(ctx, plugin)
}

// checkGuard looks at whether it was the background run that aborted at 50 %,
// and what it had measured before.
func checkGuard(p *Play) {
	run := failed(p)
	var half time.Time
	for _, s := range p.shifts() {
		if s.String() == "50/50" {
			half = s.At
		}
	}
	before, bad := 0, 0
	for _, r := range p.readings() {
		switch {
		case run == nil || r.Run != run.Name:
		case r.Seen.Before(half):
			before++
		case r.Phase == v1alpha1.AnalysisPhaseFailed:
			bad++
		}
	}
	ok := run != nil && run.Labels[v1alpha1.LabelRolloutType] == v1alpha1.RolloutTypeBackground && before > 5 && bad == 3
	p.Ledger.Check(12, ok, "%s, in the background, had taken %d readings (count is 5) before 50 %%, and failed on %d after", runName(run), before, bad)
}

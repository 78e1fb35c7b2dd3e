// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"time"

	"sluice.dev/sluice/api/v1alpha1"

	"sluice.dev/sluice/playground/demo/stage"
)

// metric names of the guide's template.
const (
	errorRate = "error-rate"
	latency   = "p99-latency"
)

// A scene is one release.
type scene struct {
	tag   string
	title string
	rows  []int
	play  func(context.Context, *Play) error
}

// scenes are the releases in their order. The first four are the issue's; the
// others show the rows that those do not.
var scenes = []scene{
	{"1.1.0", "a good version climbs by itself", []int{1, 2, 4, 10, 11}, good},
	{"1.2.0-errors8", "8 % errors die at the first gate", []int{7, 8, 14}, bad},
	{"1.3.0-errors2", "2 % errors are held in the band, then recover", []int{5}, held},
	{"1.4.0-errors25-at50", "a version that turns bad at 50 % is stopped by the guard", []int{12}, late},
	{"1.5.0-errors2-then6", "2 % are held, worsen to 6 %, and the third failure ends it", []int{5, 6}, worse},
	{"1.6.0", "a good version, while Datadog and people interfere", []int{3, 9, 10, 14}, disturbed},
}

// Perform plays the first version and all releases. A release that goes wrong is
// noted, cleaned up after, and does not keep the others from being played; only
// a stage that cannot be played on is an error.
func (p *Play) Perform(ctx context.Context) error {
	if err := first(ctx, p); err != nil {
		return err
	}
	for _, s := range scenes {
		p.begin(s.tag, s.title, s.rows...)
		began := time.Now()
		err := s.play(ctx, p)
		p.Screen.Clear()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			p.Screen.Say("           done after %.0f s", time.Since(began).Seconds())
			continue
		}
		p.Screen.Say("           went wrong: %v", err)
		for _, row := range s.rows {
			p.Ledger.Check(row, false, "release %d (%s): %v", p.release.number, s.tag, err)
		}
		if err := tidy(ctx, p); err != nil {
			return fmt.Errorf("after release %d: %w", p.release.number, err)
		}
	}
	where, err := leaks(ctx, p)
	if err != nil {
		return err
	}
	p.Ledger.Check(9, where == "", "after all releases no key in any object but the Secret, nor in the controller's log%s", where)
	return nil
}

// tidy brings the Rollout back to something healthy after a release that
// went wrong, so that the next can be played.
func tidy(ctx context.Context, p *Play) error {
	p.Stage.Datadog.Clear()
	for _, verb := range []string{"abort", "undo"} {
		if ro := p.Witness.Rollout(); ro != nil && ro.Status.CurrentPodHash == ro.Status.StableRS {
			break
		}
		if _, err := p.command(ctx, plugin, verb, Name, "-n", "payments"); err != nil {
			return err
		}
	}
	return p.await(ctx, 10*time.Minute, "the Rollout is Healthy again", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Phase == v1alpha1.RolloutPhaseHealthy && ro.Status.CurrentPodHash == ro.Status.StableRS
	})
}

// first applies the guide's manifests and waits for the first version. (Row 13.)
func first(ctx context.Context, p *Play) error {
	p.release = release{since: time.Now(), tag: "1.0.0"}
	p.Screen.Say("\nThe guide's manifests, with every waiting time divided by %g:", p.Factor)
	changes, err := p.Stage.Apply(ctx, "services.yaml", "virtualservice.yaml", "vaultstaticsecret.yaml",
		"analysistemplate.yaml", "rollout.yaml")
	if err != nil {
		return err
	}
	for _, c := range changes {
		p.Screen.Say("  %-48s %4s  →  %s", c.Field, c.From, c.To)
	}
	p.Screen.Say("\nThe first version")
	err = p.await(ctx, 5*time.Minute, "the first version is Healthy", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Phase == v1alpha1.RolloutPhaseHealthy && ro.Status.StableRS != "" && ro.Status.AvailableReplicas == 8
	})
	if err != nil {
		return err
	}
	took := time.Since(p.release.since)
	ro := p.Witness.Rollout()
	runs := len(p.Witness.Objects().AnalysisRuns)
	weights := p.weights()
	p.Ledger.Check(13, runs == 0 && len(weights) == 1 && weights[0] == "100/0",
		"revision 1 (%s) Healthy with %d pods after %.1f s; weights %v, %d AnalysisRuns",
		ro.Status.StableRS, ro.Status.AvailableReplicas, took.Seconds(), weights, runs)
	p.Screen.Say("  Healthy with %d pods after %.1f s, without analysis", ro.Status.AvailableReplicas, took.Seconds())
	return warmUp(ctx, p)
}

// warmUp lets the users in and waits for the first error by chance, so that
// Datadog has heard of errors at all: a count that nobody ever sent cannot be
// told from one that is zero.
func warmUp(ctx context.Context, p *Play) error {
	err := p.Witness.Await(ctx, "the mesh knows the first version's pods", time.Minute, func() bool {
		route := p.Stage.Mesh.Route(stage.Host)
		return len(route) > 0 && len(route[0].Hashes) == 1
	})
	if err != nil {
		return err
	}
	p.Stage.Open() //nolint:contextcheck // users stay until the stage is taken down
	began := time.Now()
	hash := p.Witness.Rollout().Status.StableRS
	err = p.Witness.Await(ctx, "a healthy version has an error by chance", 2*time.Minute, func() bool {
		t := p.Stage.Mesh.Tally(hash)
		return t.Requests >= 200 && t.Failures > 0
	})
	if err != nil {
		return err
	}
	t := p.Stage.Mesh.Tally(hash)
	p.Screen.Say("  users are let in: %d requests in %.1f s, %d failed by chance", t.Requests, time.Since(began).Seconds(), t.Failures)
	return nil
}

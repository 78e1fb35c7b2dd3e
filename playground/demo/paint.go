// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/view"
	"sluice.dev/sluice/internal/view/text"

	"sluice.dev/sluice/playground/demo/story"
)

const (
	// redraw is how often the tree is drawn at most, and refresh at least.
	redraw  = 200 * time.Millisecond
	refresh = time.Second
	// usersLines are the lines around the tree.
	usersLines = 4
)

// paint draws the Rollout until ctx ends.
func paint(ctx context.Context, p *story.Play) {
	for {
		changed := p.Witness.Changed()
		if o := p.Witness.Objects(); o.Rollout != nil {
			v := view.Of(o, time.Now())
			p.Screen.Change(headline(v))
			if p.Screen.Terminal() {
				p.Screen.Draw(drawing(o, p))
			}
		}
		pause := time.NewTimer(redraw)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		late := time.NewTimer(refresh)
		select {
		case <-ctx.Done():
			late.Stop()
			return
		case <-changed:
			late.Stop()
		case <-late.C:
		}
	}
}

// drawing is the tree as the product's own command draws it, smaller if it is
// tall, and a line about the users.
func drawing(o view.Objects, p *story.Play) string {
	now := time.Now()
	options := text.Options{Width: p.Screen.Columns() - 1, Color: p.Screen.Color()}
	v := view.Of(o, now)
	tree := text.Rollout(v, options)
	if strings.Count(tree, "\n")+usersLines > p.Screen.Lines() {
		o.Pods = nil
		v = view.Of(o, now)
		v.Tree = v.Tree[:min(len(v.Tree), 2)]
		tree = text.Rollout(v, options)
	}
	users := p.Stage.Load.Between(now.Add(-2*time.Second), now)
	return "\n" + strings.TrimRight(tree, "\n") + fmt.Sprintf("\n\nusers  %d requests a second, %d of the last %d failed\n",
		users.Requests/2, users.Failures, users.Requests)
}

// headline is a Rollout in one line: it changes when something happens, not with
// every reading.
func headline(v view.Rollout) string {
	step := fmt.Sprintf("step %d/%d", min(v.Step, len(v.Steps)), len(v.Steps))
	if v.Step < len(v.Steps) {
		step += " " + doing(v.Steps[v.Step].Text)
	}
	parts := []string{fmt.Sprintf("%3d %%  %-22s %-12s", v.ActualWeight, step, v.Phase)}
	for _, r := range v.Tree {
		if !r.Current {
			continue
		}
		for _, run := range r.Runs {
			if run.Phase == v1alpha1.AnalysisPhaseRunning || run.Phase == v1alpha1.AnalysisPhaseFailed {
				parts = append(parts, verdicts(run))
			}
		}
	}
	return strings.TrimRight(strings.Join(append(parts, v.Message), " "), " ")
}

// doing says what a step does in a word more than the tree has room for.
func doing(step string) string {
	switch {
	case strings.HasSuffix(step, "%"):
		return "weight " + step
	case step != "" && step[0] >= '0' && step[0] <= '9':
		return "pause " + step
	}
	return step
}

// verdicts are the last verdicts of a run's metrics in a few signs.
func verdicts(run view.AnalysisRun) string {
	name := "gate"
	if run.Kind == v1alpha1.RolloutTypeBackground {
		name = "guard"
	}
	var marks strings.Builder
	for _, m := range run.Metrics {
		switch m.Last {
		case v1alpha1.AnalysisPhaseSuccessful:
			marks.WriteString("✔")
		case v1alpha1.AnalysisPhaseFailed:
			marks.WriteString("✖")
		case v1alpha1.AnalysisPhaseInconclusive:
			marks.WriteString("?")
		case v1alpha1.AnalysisPhaseError:
			marks.WriteString("⚠")
		default:
			marks.WriteString("·")
		}
	}
	return name + " " + marks.String()
}

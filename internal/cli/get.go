// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cli/kube"
	"sluice.dev/sluice/internal/view"
	"sluice.dev/sluice/internal/view/text"
)

func getCommand(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "get",
		Short: "Show a rollout, an experiment or an analysis run",
		Args:  known,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(getRolloutCommand(p), getExperimentCommand(p), runCommand(p, "get"))
	return c
}

// A looking is the flags of a command that shows one object.
type looking struct {
	watch   bool
	timeout int
	allPods bool
	color   func() bool
}

func look(p *program, c *cobra.Command) *looking {
	l := &looking{color: p.noColor(c.Flags())}
	c.Flags().BoolVarP(&l.watch, "watch", "w", false, "Keep showing it as it changes")
	c.Flags().IntVar(&l.timeout, "timeout-seconds", 0, "Stop watching after this many seconds; 0: never")
	return l
}

func (p *program) drawing(l *looking, small bool) text.Options {
	columns, _, _ := p.Screen()
	return text.Options{Width: columns, Color: l.color(), Command: p.name, AllPods: l.allPods, Small: small}
}

func getRolloutCommand(p *program) *cobra.Command {
	var l *looking
	c := &cobra.Command{
		Use:     "rollout ROLLOUT_NAME",
		Aliases: []string{"ro", "rollouts"},
		Short:   "Show a rollout: its step, its weights, and its revisions with their pods and analysis",
		Example: p.examples(
			"# How is it doing?", "get rollout guestbook", "",
			"# Follow a release", "get rollout guestbook --watch"),
		Args:              named("rollout", true),
		ValidArgsFunction: p.complete(kube.Rollouts, true),
		RunE: func(c *cobra.Command, args []string) error {
			return p.getRollout(c.Context(), bare(args[0]), l)
		},
	}
	l = look(p, c)
	c.Flags().BoolVar(&l.allPods, "all-pods", false, "Show every pod; otherwise the healthy pods of a large ReplicaSet are counted")
	return c
}

func (p *program) getRollout(ctx context.Context, name string, l *looking) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	o, hidden, err := client.Objects(ctx, name)
	if err != nil {
		return err
	}
	if len(hidden) > 0 {
		writef(p.Err, "not shown, because you may not list them: %s\n", strings.Join(hidden, ", "))
	}
	if !l.watch {
		write(p.Out, text.Rollout(view.Of(o, p.Now()), p.drawing(l, false)))
		return nil
	}
	ctx, cancel := deadline(ctx, time.Duration(l.timeout)*time.Second)
	defer cancel()
	w, err := client.Watch(ctx, o.Rollout)
	if err != nil {
		return err
	}
	return p.follow(ctx, w, func(at time.Time, small bool) (string, bool) {
		now := w.Objects()
		if now.Rollout == nil {
			return fmt.Sprintf("rollout '%s' was deleted\n", name), false
		}
		return text.Rollout(view.Of(now, at), p.drawing(l, small)), true
	})
}

func getExperimentCommand(p *program) *cobra.Command {
	var l *looking
	c := &cobra.Command{
		Use:               "experiment EXPERIMENT_NAME",
		Aliases:           []string{"exp", "experiments"},
		Short:             "Show an experiment: its versions and its analysis",
		Example:           p.examples("get experiment my-experiment --watch"),
		Args:              named("experiment", true),
		ValidArgsFunction: p.complete(kube.Experiments, true),
		RunE: func(c *cobra.Command, args []string) error {
			return p.getExperiment(c.Context(), bare(args[0]), l)
		},
	}
	l = look(p, c)
	return c
}

func (p *program) getExperiment(ctx context.Context, name string, l *looking) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	var exp v1alpha1.Experiment
	if err := client.Get(ctx, kube.Experiments, name, &exp); err != nil {
		return err
	}
	if !l.watch {
		var runs v1alpha1.AnalysisRunList
		if err := client.List(ctx, client.Namespace, kube.AnalysisRuns, &runs); err != nil {
			return err
		}
		write(p.Out, text.Experiment(view.ExperimentOf(&exp, runs.Items, p.Now()), p.drawing(l, false)))
		return nil
	}
	ctx, cancel := deadline(ctx, time.Duration(l.timeout)*time.Second)
	defer cancel()
	w, err := client.WatchExperiment(ctx, name)
	if err != nil {
		return err
	}
	return p.follow(ctx, w, func(at time.Time, small bool) (string, bool) {
		o := w.Objects()
		if len(o.Experiments) == 0 {
			return fmt.Sprintf("experiment '%s' was deleted\n", name), false
		}
		return text.Experiment(view.ExperimentOf(&o.Experiments[0], o.AnalysisRuns, at), p.drawing(l, small)), true
	})
}

func describeCommand(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "describe",
		Short: "Show an analysis run with every measurement and the verdict on it",
		Args:  known,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(runCommand(p, "describe"))
	return c
}

// runCommand shows an AnalysisRun; it is the same under get and describe.
func runCommand(p *program, verb string) *cobra.Command {
	var color func() bool
	c := &cobra.Command{
		Use:               "analysisrun ANALYSISRUN_NAME",
		Aliases:           []string{"ar", "analysisruns"},
		Short:             "Show an analysis run with every measurement and the verdict on it",
		Example:           p.examples(verb + " analysisrun guestbook-6f8d9c7b5d-2-2"),
		Args:              named("analysis run", true),
		ValidArgsFunction: p.complete(kube.AnalysisRuns, true),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := p.client()
			if err != nil {
				return err
			}
			var run v1alpha1.AnalysisRun
			if err := client.Get(c.Context(), kube.AnalysisRuns, bare(args[0]), &run); err != nil {
				return err
			}
			columns, _, _ := p.Screen()
			write(p.Out, text.Run(view.DetailOf(&run, p.Now()), text.Options{Width: columns, Color: color()}))
			return nil
		},
	}
	color = p.noColor(c.Flags())
	return c
}

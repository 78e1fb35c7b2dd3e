// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/act"
	"sluice.dev/sluice/internal/cli/kube"
)

// A verb decides what to do to one object, once it has been read.
type verb[T runtime.Object] func(ctx context.Context, client *kube.Client, object T) (act.Plan, error)

// each reads the named objects one after the other and carries out a verb. One
// that fails does not keep the others from being tried.
func each[T runtime.Object](p *program, resource string, fresh func() T, do verb[T]) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		client, err := p.client()
		if err != nil {
			return err
		}
		var failed []error
		for _, name := range args {
			if err := once(c.Context(), p, client, subject[T]{resource, bare(name), fresh()}, do); err != nil {
				failed = append(failed, err)
			}
		}
		return errors.Join(failed...)
	}
}

type subject[T runtime.Object] struct {
	resource, name string
	object         T
}

func once[T runtime.Object](ctx context.Context, p *program, client *kube.Client, s subject[T], do verb[T]) error {
	if err := client.Get(ctx, s.resource, s.name, s.object); err != nil {
		return err
	}
	plan, err := do(ctx, client, s.object)
	if err != nil {
		return err
	}
	if err := client.Send(ctx, s.resource, s.name, plan); err != nil {
		return err
	}
	write(p.Out, plan.Message+"\n")
	if plan.Note != "" {
		write(p.Err, plan.Note+"\n")
	}
	return nil
}

func newRollout() *v1alpha1.Rollout         { return &v1alpha1.Rollout{} }
func newExperiment() *v1alpha1.Experiment   { return &v1alpha1.Experiment{} }
func newAnalysisRun() *v1alpha1.AnalysisRun { return &v1alpha1.AnalysisRun{} }

// always makes a verb of one that cannot refuse.
func always[T runtime.Object](plan func(T) act.Plan) verb[T] {
	return func(_ context.Context, _ *kube.Client, object T) (act.Plan, error) { return plan(object), nil }
}

func abortCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "abort ROLLOUT_NAME...",
		Short: "Stop a release and send all traffic back to the stable version",
		Long: "Stops a release and sends all traffic back to the stable version, at once.\n\n" +
			"The new version stays in the rollout's spec: the rollout is Degraded until it is retried,\n" +
			"undone, or given another version. With GitOps, revert the commit as well.",
		Example:           p.examples("abort guestbook"),
		Args:              named("rollout", false),
		ValidArgsFunction: p.complete(kube.Rollouts, false),
		RunE:              each(p, kube.Rollouts, newRollout, always(act.Abort)),
	}
}

func pauseCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "pause ROLLOUT_NAME...",
		Short: "Hold a release where it is",
		Long: "Holds a release where it is until it is promoted. The background analysis still measures\n" +
			"and still aborts.",
		Example:           p.examples("pause guestbook"),
		Args:              named("rollout", false),
		ValidArgsFunction: p.complete(kube.Rollouts, false),
		RunE:              each(p, kube.Rollouts, newRollout, always(act.Pause)),
	}
}

func promoteCommand(p *program) *cobra.Command {
	var full, step, all bool
	c := &cobra.Command{
		Use:   "promote ROLLOUT_NAME...",
		Short: "Let a release go on: end its pause, or skip its current step",
		Long: "Ends the current pause of a release. When it is not paused, the current step is skipped,\n" +
			"a running analysis included. With --full everything that is left is skipped: steps, pauses\n" +
			"and analysis.",
		Example: p.examples(
			"# End the current pause", "promote guestbook", "",
			"# Skip everything that is left", "promote guestbook --full"),
		Args:              named("rollout", false),
		ValidArgsFunction: p.complete(kube.Rollouts, false),
		RunE: each(p, kube.Rollouts, newRollout, func(_ context.Context, _ *kube.Client, ro *v1alpha1.Rollout) (act.Plan, error) {
			switch {
			case full:
				return act.Promote(ro, act.Full)
			case all:
				return act.Promote(ro, act.SkipAll)
			case step:
				return act.Promote(ro, act.SkipStep)
			}
			return act.Promote(ro, act.Next)
		}),
	}
	c.Flags().BoolVar(&full, "full", false, "Skip everything that is left: steps, pauses and analysis")
	c.Flags().BoolVarP(&step, "skip-current-step", "c", false, "Skip the current step")
	c.Flags().BoolVarP(&all, "skip-all-steps", "a", false, "Skip the steps that are left")
	c.MarkFlagsMutuallyExclusive("full", "skip-current-step", "skip-all-steps")
	return c
}

func retryCommand(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "retry",
		Short: "Try an aborted rollout or a finished experiment again",
		Args:  known,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:               "rollout ROLLOUT_NAME...",
		Aliases:           []string{"ro", "rollouts"},
		Short:             "Start an aborted release again from its first step",
		Example:           p.examples("retry rollout guestbook"),
		Args:              named("rollout", false),
		ValidArgsFunction: p.complete(kube.Rollouts, false),
		RunE:              each(p, kube.Rollouts, newRollout, always(act.Retry)),
	}, &cobra.Command{
		Use:               "experiment EXPERIMENT_NAME...",
		Aliases:           []string{"exp", "experiments"},
		Short:             "Start an experiment again",
		Example:           p.examples("retry experiment my-experiment"),
		Args:              named("experiment", false),
		ValidArgsFunction: p.complete(kube.Experiments, false),
		RunE:              each(p, kube.Experiments, newExperiment, always(act.RetryExperiment)),
	})
	return c
}

func terminateCommand(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "terminate",
		Short: "End an analysis run or an experiment early",
		Args:  known,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:               "analysisrun ANALYSISRUN_NAME...",
		Aliases:           []string{"ar", "analysisruns"},
		Short:             "End an analysis run early",
		Long:              "Ends an analysis run early. One that has not passed by then is Inconclusive, and its rollout\npauses: to skip a gate use promote.",
		Example:           p.examples("terminate analysisrun guestbook-6f8d9c7b5d-2-2"),
		Args:              named("analysis run", false),
		ValidArgsFunction: p.complete(kube.AnalysisRuns, false),
		RunE:              each(p, kube.AnalysisRuns, newAnalysisRun, always(act.TerminateRun)),
	}, &cobra.Command{
		Use:               "experiment EXPERIMENT_NAME...",
		Aliases:           []string{"exp", "experiments"},
		Short:             "End an experiment early",
		Example:           p.examples("terminate experiment my-experiment"),
		Args:              named("experiment", false),
		ValidArgsFunction: p.complete(kube.Experiments, false),
		RunE:              each(p, kube.Experiments, newExperiment, always(act.TerminateExperiment)),
	})
	return c
}

func restartCommand(p *program) *cobra.Command {
	var in time.Duration
	c := &cobra.Command{
		Use:   "restart ROLLOUT_NAME...",
		Short: "Replace a rollout's pods, a few at a time",
		Example: p.examples(
			"# Now", "restart guestbook", "",
			"# In ten seconds", "restart guestbook --in 10s"),
		Args:              named("rollout", false),
		ValidArgsFunction: p.complete(kube.Rollouts, false),
		RunE: each(p, kube.Rollouts, newRollout, always(func(ro *v1alpha1.Rollout) act.Plan {
			return act.Restart(ro, p.Now(), in)
		})),
	}
	c.Flags().DurationVarP(&in, "in", "i", 0, "How long to wait first, such as 30s, 5m or 1h")
	return c
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cli/kube"
	"sluice.dev/sluice/internal/view"
)

func (p *program) statusCommand() *cobra.Command {
	var watch bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "status ROLLOUT_NAME",
		Short: "Wait until a rollout is healthy; fail when it is degraded",
		Long: "Prints a rollout's phase and its reason each time they change, until it is Healthy (exit code 0)\n" +
			"or Degraded, or the time is up (exit code 1). With --watch=false it prints them once and exits\n" +
			"with 0.",
		Example: p.examples(
			"# Wait for a release", "status guestbook --timeout 10m", "",
			"# Just the phase", "status guestbook --watch=false"),
		Args:              p.names("rollout", true),
		ValidArgsFunction: p.complete(kube.Rollouts, true),
		RunE: func(c *cobra.Command, args []string) error {
			return p.status(c.Context(), bare(args[0]), watch, timeout)
		},
	}
	c.Flags().BoolVarP(&watch, "watch", "w", true, "Wait until it is Healthy or Degraded")
	c.Flags().DurationVarP(&timeout, "timeout", "t", 0, "Stop waiting after this time, such as 10m; 0: never")
	return c
}

func (p *program) status(ctx context.Context, name string, watch bool, timeout time.Duration) error {
	client, err := p.client()
	if err != nil {
		return err //nolint:wrapcheck // It says what and why.
	}
	ro := &v1alpha1.Rollout{}
	if err := client.Get(ctx, kube.Rollouts, name, ro); err != nil {
		return err //nolint:wrapcheck // As above.
	}
	last := view.Of(view.Objects{Rollout: ro}, time.Time{})
	if !watch {
		fmt.Fprintln(p.Out, statusLine(last))
		return nil
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w, err := client.WatchRollout(ctx, name)
	if err != nil {
		return err //nolint:wrapcheck // As above.
	}
	if !w.Synced(ctx, syncLimit) && ctx.Err() == nil {
		return unsynced(w)
	}
	printed, gone := "", false
	for {
		if now := w.Objects().Rollout; now != nil {
			last = view.Of(view.Objects{Rollout: now}, time.Time{})
		} else if ctx.Err() == nil {
			gone = true
		}
		if line := statusLine(last); line != printed && !gone {
			fmt.Fprintln(p.Out, line)
			printed = line
		}
		switch {
		case gone:
			return fmt.Errorf("rollout '%s' was deleted", name)
		case last.Phase == v1alpha1.RolloutPhaseHealthy:
			return nil
		case last.Phase == v1alpha1.RolloutPhaseDegraded:
			return fmt.Errorf("rollout '%s' is degraded: %s", name, last.Message)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("rollout '%s' is still %s, stopped waiting: %s", name, last.Phase, last.Message)
		case <-w.Changed:
		}
	}
}

// statusLine is the phase and the reason for it, where there is one to tell.
func statusLine(v view.Rollout) string {
	done := v.Phase == v1alpha1.RolloutPhaseHealthy || v.Phase == v1alpha1.RolloutPhaseDegraded
	if done || v.Message == "" {
		return string(v.Phase)
	}
	return fmt.Sprintf("%s - %s", v.Phase, v.Message)
}

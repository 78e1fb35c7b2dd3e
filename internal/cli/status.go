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

func statusCommand(p *program) *cobra.Command {
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
		Args:              named("rollout", true),
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
		return err
	}
	ro := &v1alpha1.Rollout{}
	if err := client.Get(ctx, kube.Rollouts, name, ro); err != nil {
		return err
	}
	s := &waiter{program: p, name: name, last: phase(ro)}
	if !watch {
		s.print()
		return nil
	}
	ctx, stop := deadline(ctx, timeout)
	defer stop()
	if s.watch, err = client.WatchRollout(ctx, name); err != nil {
		return err
	}
	if !s.watch.Synced(ctx, syncLimit) && ctx.Err() == nil {
		return unsynced(s.watch)
	}
	for {
		if done, err := s.look(ctx); done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("rollout '%s' is still %s, stopped waiting: %s", name, s.last.Phase, s.last.Message)
		case <-s.watch.Changed:
		}
	}
}

// deadline ends a context after a time; 0 is never.
func deadline(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	if after > 0 {
		return context.WithTimeout(ctx, after)
	}
	return context.WithCancel(ctx)
}

// phase is a Rollout's phase and the reason for it.
func phase(ro *v1alpha1.Rollout) view.Rollout {
	return view.Of(view.Objects{Rollout: ro}, time.Time{})
}

// A waiter follows a Rollout until it is Healthy or Degraded.
type waiter struct {
	*program
	watch         *kube.Watch
	name, printed string
	last          view.Rollout
}

func (s *waiter) print() {
	if line := statusLine(s.last); line != s.printed {
		write(s.Out, line+"\n")
		s.printed = line
	}
}

// look prints what is new; it returns true when the wait is over.
func (s *waiter) look(ctx context.Context) (bool, error) {
	now := s.watch.Objects().Rollout
	switch {
	case now != nil:
		s.last = phase(now)
	case ctx.Err() == nil:
		return true, fmt.Errorf("rollout '%s' was deleted", s.name)
	}
	s.print()
	switch s.last.Phase {
	case v1alpha1.RolloutPhaseHealthy:
		return true, nil
	case v1alpha1.RolloutPhaseDegraded:
		return true, fmt.Errorf("rollout '%s' is degraded: %s", s.name, s.last.Message)
	case v1alpha1.RolloutPhaseProgressing, v1alpha1.RolloutPhasePaused:
	}
	return false, nil
}

// statusLine is the phase and the reason for it, where there is one to tell.
func statusLine(v view.Rollout) string {
	done := v.Phase == v1alpha1.RolloutPhaseHealthy || v.Phase == v1alpha1.RolloutPhaseDegraded
	if done || v.Message == "" {
		return string(v.Phase)
	}
	return fmt.Sprintf("%s - %s", v.Phase, v.Message)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/act"
	"sluice.dev/sluice/internal/cli/kube"
)

func undoCommand(p *program) *cobra.Command {
	var to int64
	c := &cobra.Command{
		Use:   "undo ROLLOUT_NAME",
		Short: "Go back to an earlier version",
		Long: "Puts the pod template of an earlier revision back into the rollout. While the version before\n" +
			"is still the stable one, that takes effect at once; otherwise it is a release like any other,\n" +
			"with its steps and analysis. With GitOps, revert the commit as well.",
		Example: p.examples(
			"# The version before", "undo guestbook", "",
			"# A certain revision", "undo guestbook --to-revision=3"),
		Args:              named("rollout", true),
		ValidArgsFunction: p.complete(kube.Rollouts, true),
		RunE: each(p, kube.Rollouts, newRollout, func(ctx context.Context, client *kube.Client, ro *v1alpha1.Rollout) (act.Plan, error) {
			sets, err := client.ReplicaSets(ctx, ro)
			if err != nil {
				return act.Plan{}, err
			}
			current, err := client.Template(ctx, ro)
			if err != nil {
				return act.Plan{}, err
			}
			return act.Undo(ro, current, sets, to)
		}),
	}
	c.Flags().Int64Var(&to, "to-revision", 0, "The revision to go back to; 0: the one before the newest")
	return c
}

func setCommand(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "set",
		Short: "Change a rollout's image",
		Args:  known,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "image ROLLOUT_NAME CONTAINER=IMAGE...",
		Short: "Change the image of a container, or of all of them",
		Example: p.examples(
			"# One container", "set image guestbook server=registry.example.com/guestbook:v2", "",
			"# All containers", "set image guestbook '*=registry.example.com/guestbook:v2'"),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("a rollout and at least one CONTAINER=IMAGE are needed; usage: %s", c.UseLine())
			}
			for _, pair := range args[1:] {
				if container, image, ok := strings.Cut(pair, "="); !ok || container == "" || image == "" {
					return fmt.Errorf("%q is not CONTAINER=IMAGE", pair)
				}
			}
			return nil
		},
		ValidArgsFunction: p.complete(kube.Rollouts, true),
		RunE: func(c *cobra.Command, args []string) error {
			for _, pair := range args[1:] {
				if err := p.setImage(c, args[0], pair); err != nil {
					return err
				}
			}
			return nil
		},
	})
	return c
}

// attempts is how often a change is tried that somebody else's change got in
// the way of.
const attempts = 5

func (p *program) setImage(c *cobra.Command, name, pair string) error {
	container, image, _ := strings.Cut(pair, "=")
	do := each(p, kube.Rollouts, newRollout, func(ctx context.Context, client *kube.Client, ro *v1alpha1.Rollout) (act.Plan, error) {
		current, err := client.Template(ctx, ro)
		if err != nil {
			return act.Plan{}, err
		}
		return act.SetImage(ro, current, container, image)
	})
	var err error
	for range attempts {
		err = do(c, []string{name})
		if !apierrors.IsConflict(err) && !apierrors.IsInvalid(err) {
			break
		}
	}
	return err
}

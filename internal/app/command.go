// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// Command returns `sluice controller`.
func Command() *cobra.Command {
	var c Config
	kube := genericclioptions.NewConfigFlags(true)
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Run the controller",
		Long: `Run the controller: it shifts traffic step by step, judges every step on
measured data, and steps up, holds or rolls back by itself.

It needs the CRDs (config/crd). Replicas elect a leader; the others wait. The
flags of the Argo Rollouts controller are accepted by name.`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return run(ctx, kube, c)
		},
	}
	flags := c.Flags()
	cmd.Flags().AddFlagSet(flags)
	kube.AddFlags(cmd.Flags())
	return cmd
}

func run(ctx context.Context, kube *genericclioptions.ConfigFlags, c Config) error {
	config, err := kube.ToRESTConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	if c.Namespaced {
		if c.Namespace, _, err = kube.ToRawKubeConfigLoader().Namespace(); err != nil {
			return fmt.Errorf("find the namespace: %w", err)
		}
	}
	return Run(ctx, config, c)
}

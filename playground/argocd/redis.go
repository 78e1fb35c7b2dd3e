// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"
)

// redis keeps a cache in memory until it is told to stop. It prints the address it
// listens on, of a free port of loopback.
func redis() *cobra.Command {
	return &cobra.Command{
		Use:  "argocd-redis",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			m := miniredis.NewMiniRedis()
			if err := m.Start(); err != nil {
				return fmt.Errorf("start the cache: %w", err)
			}
			defer m.Close()
			fmt.Fprintln(cmd.OutOrStdout(), m.Addr())
			<-ctx.Done()
			return nil
		},
	}
}

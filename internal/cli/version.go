// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"

	"sluice.dev/sluice/internal/version"
)

func versionCommand(p *program) *cobra.Command {
	var short bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print which build this is",
		Example: p.examples("version --short"),
		Args:    cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			v := version.Get()
			name := c.Root().Name()
			if short {
				writef(p.Out, "%s: %s\n", name, v.Version)
				return
			}
			writef(p.Out, "%s: %s\n", name, v.Version)
			for _, l := range [][2]string{{"BuildDate", v.Date}, {"GitCommit", v.Commit}, {"GoVersion", v.GoVersion}, {"Platform", v.Platform}} {
				if l[1] != "" {
					writef(p.Out, "  %s: %s\n", l[0], l[1])
				}
			}
		},
	}
	c.Flags().BoolVar(&short, "short", false, "Print the version alone")
	return c
}

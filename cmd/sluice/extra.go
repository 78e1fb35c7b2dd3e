// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"sluice.dev/sluice/internal/app"
)

// extra are the commands that do not talk to an API server as a person does.
func extra() []*cobra.Command {
	return []*cobra.Command{app.Command()}
}

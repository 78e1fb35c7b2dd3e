// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command sluice is the controller and the command line in one binary. Under
// the name kubectl-argo-rollouts or kubectl-sluice it is a kubectl plugin.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"sluice.dev/sluice/internal/cli"
)

//go:generate go run ../../hack/licences -out ../../docs/licences.md -main .
//go:generate go run ../../hack/docgen -root ../..

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, cli.Options{Program: os.Args[0], Out: os.Stdout, Err: os.Stderr, Extra: extra()}, os.Args[1:])
	stop()
	os.Exit(code)
}

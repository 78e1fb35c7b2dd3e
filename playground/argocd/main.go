// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command argocd is what a test needs of Argo CD in one binary: its application
// controller, its repository server and the Redis they keep their cache in, told
// apart by the name the program is started under.
//
// The servers are Argo CD's own commands, unchanged, at the version that go.mod
// pins and go.sum checks. Redis is the one that Argo CD's own tests use.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
)

// components are the names the binary answers to, and what each of them does.
var components = map[string]func() *cobra.Command{
	"argocd-application-controller": controller.NewCommand,
	"argocd-repo-server":            reposerver.NewCommand,
	"argocd-redis":                  redis,
}

func main() {
	name := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	command, known := components[name]
	if !known {
		fmt.Fprintf(os.Stderr, "unknown component %q: start this binary under the name of one of Argo CD's servers, or as argocd-redis\n", name)
		os.Exit(2)
	}
	if err := command().Execute(); err != nil {
		os.Exit(1)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command argocd builds what the GitOps test needs of Argo CD, and prints the folder
// that holds it: its application controller and repository server, the Redis of its
// own tests, and its health checks and actions as programs.
//
// They are that project's own packages, unchanged, at the version that
// playground/argocd/go.mod pins.
//
// SLUICE_CACHE names another cache folder than the user's own.
package main

import (
	"strings"

	"sluice.dev/sluice/hack/internal/modbuild"
)

const module = "github.com/argoproj/argo-cd/v3"

func main() {
	modbuild.Main(modbuild.Target{
		Name:     "argocd",
		Folder:   "playground/argocd",
		Module:   module,
		What:     "Argo CD %s (its application controller and its repository server)",
		Patience: "the first time this compiles about 1,700 packages: some ten minutes on two cores; afterwards it is cached",
		Packages: []string{"."},
		Programs: []string{"argocd"},
		Links:    []string{"argocd-application-controller", "argocd-repo-server", "argocd-redis"},
		Values: func(version string) [][2]string {
			return [][2]string{{module + "/common.version", strings.TrimPrefix(version, "v")}}
		},
	})
}

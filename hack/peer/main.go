// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command peer builds the controller and the kubectl plugin of Argo Rollouts, which
// the compatibility tests and the benchmarks compare with, and prints the folder
// that holds them: rollouts-controller and kubectl-argo-rollouts.
//
// They are that project's own main packages, unchanged, at the version that
// playground/peer/go.mod pins. Only the plugin's dashboard is missing, because the
// module has no built web pages in it.
//
//	make bench PEER=$(make -s peer)
//
// SLUICE_CACHE names another cache folder than the user's own.
package main

import (
	"strings"

	"sluice.dev/sluice/hack/internal/modbuild"
)

const module = "github.com/argoproj/argo-rollouts"

func main() {
	modbuild.Main(modbuild.Target{
		Name:     "peer",
		Folder:   "playground/peer",
		Module:   module,
		What:     "Argo Rollouts %s (its controller and its kubectl plugin)",
		Patience: "the first time this compiles about 2,000 packages: some ten minutes on two cores; afterwards it is cached",
		Packages: []string{module + "/cmd/kubectl-argo-rollouts", module + "/cmd/rollouts-controller"},
		Programs: []string{"kubectl-argo-rollouts", "rollouts-controller"},
		Values: func(version string) [][2]string {
			return [][2]string{{module + "/utils/version.version", strings.TrimPrefix(version, "v")}}
		},
	})
}

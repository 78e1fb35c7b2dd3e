// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controlplane builds the Kubernetes control plane that the demo and the
// integration tests run on, and prints the folder that holds it.
//
// The folder is in the user's cache, outside the tree, and has the program files
// etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl, all
// of them links to one binary built from playground/controlplane. It is the value that
// KUBEBUILDER_ASSETS wants. The first run compiles Kubernetes, which takes about
// ten minutes on two cores; every later run finds the folder and does nothing.
//
// It starts nothing: that is what internal/cluster does with the folder.
//
//	export KUBEBUILDER_ASSETS=$(go run ./hack/controlplane | tail -n 1)
//
// SLUICE_CACHE names another cache folder than the user's own.
package main

import (
	"strings"

	"sluice.dev/sluice/hack/internal/modbuild"
)

func main() {
	modbuild.Main(modbuild.Target{
		Name:     "controlplane",
		Folder:   "playground/controlplane",
		Module:   "k8s.io/kubernetes",
		What:     "Kubernetes %s (etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl in one binary)",
		Patience: "the first time this compiles about 2,000 packages: some ten minutes on two cores; afterwards it is cached",
		Packages: []string{"."},
		Programs: []string{"controlplane"},
		Links:    []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"},
		Values:   values,
	})
}

// values are what a release of Kubernetes links in.
func values(version string) [][2]string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	var out [][2]string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		out = append(out,
			[2]string{pkg + ".gitVersion", version},
			[2]string{pkg + ".gitMajor", parts[0]},
			[2]string{pkg + ".gitMinor", parts[1]},
			[2]string{pkg + ".gitTreeState", "clean"})
	}
	return out
}

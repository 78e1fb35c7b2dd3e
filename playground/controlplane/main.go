// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controlplane is a whole Kubernetes control plane in one binary: etcd,
// kube-apiserver, kube-controller-manager and kube-scheduler, and kubectl to ask
// it, told apart by the name the program is started under.
//
// It is linked from the upstream packages that the five commands themselves are
// made of, at the versions go.mod pins and go.sum checks, and adds nothing to
// them. One binary rather than five because they share almost all of their code:
// linking takes a quarter of the time and the file a third of the space.
//
// It holds no kubelet, no network and no admission of its own; whoever starts it
// (internal/cluster) brings the flags, the certificates and the nodes.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics, as upstream
	_ "k8s.io/component-base/metrics/prometheus/version"  // version metric, as upstream
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	os.Exit(run(os.Args))
}

// run picks the component by the program's base name or, under any other name,
// by the first argument, and does not return before that component ends.
func run(args []string) int {
	name := component(args[0])
	if !known(name) && len(args) > 1 {
		args = args[1:]
		name = component(args[0])
	}
	// The components read os.Args on their own (etcd all of it, cobra the rest).
	os.Args = args
	switch name {
	case "etcd":
		etcdmain.Main(args)
		return 0
	case "kube-apiserver":
		return command(apiserver.NewAPIServerCommand())
	case "kube-controller-manager":
		return command(controllermanager.NewControllerManagerCommand())
	case "kube-scheduler":
		return command(scheduler.NewSchedulerCommand())
	case "kubectl":
		return command(kubectl.NewDefaultKubectlCommand())
	default:
		fmt.Fprintf(os.Stderr, "unknown component %q: start this binary under the name of one, "+
			"or name one as the first argument: %s\n", name, strings.Join(components, ", "))
		return 2
	}
}

// components are the names the binary answers to.
var components = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"}

func known(name string) bool {
	for _, c := range components {
		if c == name {
			return true
		}
	}
	return false
}

func component(arg string) string {
	return strings.TrimSuffix(filepath.Base(arg), ".exe")
}

func command(cmd *cobra.Command) int {
	return cli.Run(cmd)
}

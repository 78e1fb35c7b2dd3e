// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command tofu builds OpenTofu and the providers that deploy/terraform asks for,
// which the test of it applies it with, and prints the folders that hold them, a
// line each: tofu, and terraform-provider-kubernetes, -helm and -vault.
//
// They are those projects' own main packages, unchanged, at the versions that the
// modules in playground/tofu pin. Each has a module of its own, because no set of
// dependencies suits them all. The providers are old: under their module paths
// there are no releases after kubernetes 1.13.4 and helm 1.3.2, since later ones
// changed their major version and not their path. vault is 3.3.1, by its commit.
//
// SLUICE_CACHE names another cache folder than the user's own.
package main

import "sluice.dev/sluice/hack/internal/modbuild"

func main() {
	targets := []modbuild.Target{{
		Name:     "tofu",
		Folder:   "playground/tofu/cli",
		Module:   "github.com/opentofu/opentofu",
		What:     "OpenTofu %s",
		Patience: "the first time this compiles about 1,800 packages: some ten minutes on two cores; afterwards it is cached",
		Packages: []string{"github.com/opentofu/opentofu/cmd/tofu"},
		Programs: []string{"tofu"},
		Values: func(string) [][2]string {
			return [][2]string{{"github.com/opentofu/opentofu/version.dev", "no"}}
		},
	}}
	for _, name := range []string{"kubernetes", "helm", "vault"} {
		module := "github.com/hashicorp/terraform-provider-" + name
		targets = append(targets, modbuild.Target{
			Name:     "tofu-" + name,
			Folder:   "playground/tofu/" + name,
			Module:   module,
			What:     "the provider " + name + " %s",
			Patience: "the first time this takes some minutes; afterwards it is cached",
			Packages: []string{module},
			Programs: []string{"terraform-provider-" + name},
			Values:   func(string) [][2]string { return nil },
		})
	}
	modbuild.Main(targets...)
}

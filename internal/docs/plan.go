// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import "strings"

// A Fixture is what the commands of a document are run on.
type Fixture string

// The fixtures.
const (
	// Release is a release at its second step that nobody works on, so that
	// every command about one finds it as it is.
	Release Fixture = "a release at a step"
	// Cluster is a cluster with nothing in it: commands and manifests of the
	// document are all there is, and the controller starts with the CRDs.
	Cluster Fixture = "an empty cluster"
)

// Sessions are the documents whose shell blocks are run, in order.
var Sessions = map[string]Fixture{
	"README.md":               Release,
	"charts/sluice/README.md": Cluster,
	"docs/compatibility.md":   Release,
	"docs/troubleshooting.md": Release,
	"docs/guide.md":           Cluster,
	"docs/operations.md":      Release,
}

// A Reason is why a block is not run, or not applied.
type Reason string

// The reasons. A block that has none of them is run.
const (
	Elsewhere Reason = "another test runs it"
	Make      Reason = "it builds or tests the source, which CI does"
	Outside   Reason = "it needs a service that is not here"
	Another   Reason = "it is a kind of another product"
	Part      Reason = "it is a part of a manifest"
	Generated Reason = "it is made from the code"
)

// An Exception is a block that is not run, or not applied.
type Exception struct {
	File, Start string
	Why         Reason
	// Test runs it, if Why is Elsewhere.
	Test string
}

// Exceptions are all of them.
var Exceptions = []Exception{
	{"CONTRIBUTING.md", "make build", Make, ""},
	{"README.md", "make demo", Make, ""},
	{"README.md", "helm upgrade", Elsewhere, "TestTheLifeOfARelease"},
	{"README.md", "make build", Make, ""},
	{"deploy/README.md", "cd deploy/terraform", Elsewhere, "TestTheConfigurationIsApplied"},
	{"deploy/README.md", "export TF_ENCRYPTION", Elsewhere, "TestTheConfigurationIsApplied"},
	{"deploy/README.md", "cd deploy/ansible", Elsewhere, "TestThePlaybook"},
	{"docs/drill.md", "kubectl argo rollouts drill", Elsewhere, "TestDrills"},
	{"docs/evidence.md", "sluice evidence rollout", Elsewhere, "TestTheRecordIsWhatHappened"},
	{"docs/evidence.md", "sluice controller", Elsewhere, "TestTheRecordIsWhatHappened"},
	{"docs/evidence.md", "metadata:", Part, ""},
	{"docs/faults.md", "make test", Make, ""},
	{"docs/gitops.md", "apiVersion: argoproj.io/v1alpha1", Another, ""},
	{"docs/guide.md", "make image", Make, ""},
	{"docs/guide.md", "apiVersion: secrets.hashicorp.com", Another, ""},
	{"docs/keys.md", "vault auth enable", Elsewhere, "TestKeysInVault"},
	{"docs/keys.md", "sluice controller", Elsewhere, "TestKeysInVault"},
	{"docs/keys.md", "vault server -dev", Outside, ""},
	{"docs/notifications.md", "service.servicenow", Part, ""},
	{"docs/operations.md", "helm upgrade", Elsewhere, "TestTheLifeOfARelease"},
	{"docs/teardown.md", "kubectl", Elsewhere, "TestTheTeardownLeavesNothing"},
	{"examples/guide/README.md", "vault kv put", Outside, ""},
}

// Excepted returns the exception of a block.
func Excepted(b Block) (Exception, bool) {
	if strings.HasPrefix(b.File, "docs/reference/") {
		return Exception{b.File, "", Generated, ""}, true
	}
	for _, e := range Exceptions {
		if e.File == b.File && b.Is(e.Start) {
			return e, true
		}
	}
	return Exception{}, false
}

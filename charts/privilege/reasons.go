// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package privilege

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Reasons are why a right is granted that no test makes use of.
var Reasons = map[string]string{
	"update rollouts/finalizers.argoproj.io": "ReplicaSets and AnalysisRuns belong to their Rollout and go with it. Where the admission plugin " +
		"OwnerReferencesPermissionEnforcement is on, as in OpenShift, the API server asks for this right before it lets anybody say so.",
	"patch events.events.k8s.io": "An Event that repeats is counted on the one that is there.",
	"list pods":                  "Asked for while a restart is due (`spec.restartAt`), which these releases are not given.",
	"create pods/eviction":       "A restart evicts old pods, so that disruption budgets are kept; these releases are given none.",
	"get secrets":                "Read when a message is sent to a service that needs a token; these releases tell nobody.",
}

// purposes are what each resource is needed for.
var purposes = map[string]string{ //nolint:gosec // words about secrets, not secrets
	"rollouts.argoproj.io":                 "what is to be released; read once more after a lost race; `patch` writes the annotation with the revision's number",
	"rollouts/status.argoproj.io":          "where a release stands; written before anything else",
	"rollouts/finalizers.argoproj.io":      "owner references",
	"analysisruns.argoproj.io":             "started for a gate, filled with measurements, deleted when they are too old",
	"analysistemplates.argoproj.io":        "what a gate measures",
	"clusteranalysistemplates.argoproj.io": "what a gate measures, for all namespaces",
	"replicasets.apps":                     "the revisions: made, scaled, deleted when they are too old",
	"configmaps":                           "the records of releases (`controller.evidence`): kept, exported, deleted when they are too old; `patch` only with an export; and who is to be told what",
	"pods":                                 "which are older than `spec.restartAt`, while a restart is due",
	"pods/eviction":                        "a restart goes through the disruption budgets",
	"services":                             "the selectors of the stable and the canary Service",
	"endpointslices.discovery.k8s.io":      "whether the stable Service has only new pods, before the weights return",
	"virtualservices.networking.istio.io":  "the weights",
	"events.events.k8s.io":                 "what happened to a Rollout or a run",
	"events":                               "who leads, from when on",
	"leases.coordination.k8s.io":           "which replica works",
	"secrets":                              "keys, by name, at the moment of a measurement; those of notifications",
}

func (r Right) key() string {
	key := r.Resource
	if r.Group != "" {
		key += "." + r.Group
	}
	return key
}

// Unexplained returns the rights that have no reason.
func Unexplained(unused []Right) []Right {
	return slices.DeleteFunc(slices.Clone(unused), func(r Right) bool { return Reasons[r.Verb+" "+r.key()] != "" })
}

// Table is the rights as a table in Markdown: each with what it is for, and
// those that were not seen in use with their reason. Rights that hold in a
// namespace are said to hold in what home calls it.
func Table(granted, unused []Right, home map[string]string) (string, error) {
	type row struct{ where, resource, names string }
	verbs, order := map[row][]string{}, []row{}
	for _, r := range granted {
		at := row{cmp.Or(home[r.Namespace], r.Namespace), r.key(), r.Name}
		if _, ok := verbs[at]; !ok {
			order = append(order, at)
		}
		verb := r.Verb
		if slices.Contains(unused, r) {
			verb += "¹"
		}
		verbs[at] = append(verbs[at], verb)
	}
	var b strings.Builder
	b.WriteString("| where | resource | only | verbs | for |\n|---|---|---|---|---|\n")
	for _, at := range order {
		purpose := purposes[at.resource]
		if purpose == "" {
			return "", fmt.Errorf("%s: say in purposes what it is for", at.resource)
		}
		only := ""
		if at.names != "" {
			only = "`" + at.names + "`"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", at.where, at.resource, only, strings.Join(verbs[at], ", "), purpose)
	}
	b.WriteString("\n¹ Not seen in use, and granted for a reason:\n\n")
	for _, r := range unused {
		key := r.Verb + " " + r.key()
		fmt.Fprintf(&b, "- `%s`: %s\n", key, Reasons[key])
	}
	return b.String(), nil
}

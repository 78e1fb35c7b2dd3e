// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/charts/examples"
	"sluice.dev/sluice/charts/helmtest"
)

// A verdict is what kube-score prints of an object.
type verdict struct {
	Kind struct {
		Kind string `json:"kind"`
	} `json:"type_meta"`
	Object struct {
		Name string `json:"name"`
	} `json:"object_meta"`
	Checks []struct {
		Check struct {
			ID string `json:"id"`
		} `json:"check"`
		Grade    int  `json:"grade"`
		Skipped  bool `json:"skipped"`
		Comments []struct {
			Path    string `json:"path"`
			Summary string `json:"summary"`
		} `json:"comments"`
	} `json:"checks"`
}

// findings are what kube-score says of objects, critical or a warning: kind,
// name and the check. It knows no Rollout; its pods are scored as a
// Deployment's. It is a program of a module of its own, because it needs an API
// that newer clients do not have.
func findings(t *testing.T, objects []*unstructured.Unstructured) []string {
	t.Helper()
	var text, wrong bytes.Buffer
	for _, o := range objects {
		o = o.DeepCopy()
		if o.GetKind() == "Rollout" {
			o.SetAPIVersion("apps/v1")
			o.SetKind("Deployment")
			unstructured.RemoveNestedField(o.Object, "spec", "strategy")
		}
		data, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "---\n%s", data)
	}
	cmd := exec.Command("go", "tool", "kube-score", "score", "--kubernetes-version=v1.30", "--output-format=json", "-")
	cmd.Dir, cmd.Stdin, cmd.Stderr = "../../hack/kubescore", &text, &wrong
	out, err := cmd.Output()
	var verdicts []verdict
	if json.Unmarshal(out, &verdicts) != nil || len(verdicts) == 0 {
		t.Fatalf("kube-score: %v\n%s%s", err, out, wrong.String())
	}
	const warning = 5 // and 1 is critical
	var found []string
	for _, v := range verdicts {
		for _, c := range v.Checks {
			if c.Skipped || c.Grade > warning {
				continue
			}
			found = append(found, strings.Join([]string{v.Kind.Kind, v.Object.Name, c.Check.ID}, " "))
			for _, comment := range c.Comments {
				t.Logf("%s %s: %s: %s: %s", v.Kind.Kind, v.Object.Name, c.Check.ID, comment.Path, comment.Summary)
			}
		}
	}
	slices.Sort(found)
	return found
}

// accepted are findings that stay, each with the reason. One that does not
// occur any more fails the test.
var accepted = map[string]map[string]string{
	"the guide": {
		"Deployment checkout container-ephemeral-storage-request-and-limit":     "the Rollout is the guide's, byte for byte; its limits are cpu and memory",
		"Deployment checkout container-image-pull-policy":                       "a tag is a commit and never moves, so a node that has it need not ask again",
		"Deployment checkout container-security-context-readonlyrootfilesystem": "the Rollout is the guide's; whether the service writes files is for its owners to say",
		"Deployment checkout container-security-context-user-group-id":          "the Rollout is the guide's; the user is that of the image",
		"Deployment checkout deployment-has-host-podantiaffinity":               "the Rollout is the guide's; the scheduler spreads the pods of a ReplicaSet over nodes by itself",
		"Deployment checkout deployment-has-poddisruptionbudget":                "the guide has none; one for app=checkout would count both versions and belongs to the service",
		"Deployment checkout pod-networkpolicy":                                 "the guide has none; who may call the service is the mesh's to say",
		"Deployment checkout pod-probes":                                        "the Rollout is the guide's; what to probe is for the service to say, and README.md says to add it",
	},
	"the chart":                           chart,
	"the chart, as the guide installs it": chart,
}

var chart = map[string]string{
	"Deployment argo-rollouts container-ephemeral-storage-request-and-limit": "its root file system is read-only, and it mounts no emptyDir that it fills",
	"Deployment argo-rollouts container-image-pull-policy":                   "a version never moves; with Always a registry that is down would keep the controller from starting",
	"Deployment argo-rollouts container-resources":                           "no limit of cpu, on purpose: throttling would delay an abort; memory is limited",
	"Deployment argo-rollouts pod-networkpolicy":                             "egress is open by default, because providers and Vault are anywhere; networkPolicy.egress closes it",
}

func TestKubeScoreFindsNothingUnexplained(t *testing.T) {
	t.Parallel()
	built, err := examples.Build("guide")
	if err != nil {
		t.Fatal(err)
	}
	scored := map[string][]*unstructured.Unstructured{"the guide": built}
	for name, rel := range map[string]helmtest.Release{
		"the chart":                           {},
		"the chart, as the guide installs it": {Set: []string{"dashboard.enabled=true", "controller.metrics.enabled=true"}},
	} {
		r, err := helmtest.Render(rel)
		if err != nil {
			t.Fatal(err)
		}
		scored[name] = r.Objects
	}
	for name, objects := range scored {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same(t, slices.Sorted(maps.Keys(accepted[name])), findings(t, objects))
		})
	}
}

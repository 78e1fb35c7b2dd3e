// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package podtemplate_test

import (
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/podtemplate"
)

func steps(t *testing.T, name string) []v1alpha1.CanaryStep {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rollout := &v1alpha1.Rollout{}
	if err := yaml.Unmarshal(doc, rollout); err != nil {
		t.Fatal(err)
	}
	return rollout.Spec.Strategy.Canary.Steps
}

// The hashes were computed by Argo Rollouts 1.9.1 from the same files.
func TestStepsHashIsTheOneThatArgoRolloutsGives(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"guide":   "6f84c79599",
		"minimal": "5ffbfbbd64",
		"full":    "5699d8b9b7",
	} {
		if got := podtemplate.StepsHash(steps(t, name)); got != want {
			t.Errorf("steps hash of %s: got %s, want %s", name, got, want)
		}
	}
}

func TestStepsHashOfNoStepsIsOne(t *testing.T) {
	t.Parallel()
	if a, b := podtemplate.StepsHash(nil), podtemplate.StepsHash([]v1alpha1.CanaryStep{}); a != b {
		t.Errorf("no steps: %s for nil, %s for an empty list", a, b)
	}
}

func TestStepsHashChangesWithTheSteps(t *testing.T) {
	t.Parallel()
	all := steps(t, "full")
	seen := map[string]int{}
	for i := range all {
		hash := podtemplate.StepsHash(all[:i])
		if j, ok := seen[hash]; ok {
			t.Errorf("the first %d and the first %d steps have the same hash", j, i)
		}
		seen[hash] = i
	}
}

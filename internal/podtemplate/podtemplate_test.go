// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package podtemplate_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/internal/podtemplate"
)

// load reads the pod template of the Rollout in testdata/name.yaml.
func load(t testing.TB, name string) *corev1.PodTemplateSpec {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var rollout struct {
		Spec struct {
			Template corev1.PodTemplateSpec
		}
	}
	if err := yaml.Unmarshal(doc, &rollout); err != nil {
		t.Fatal(err)
	}
	return &rollout.Spec.Template
}

// The hashes were computed by Argo Rollouts 1.9.1 from the same files.
func TestHashIsTheOneThatArgoRolloutsGives(t *testing.T) {
	t.Parallel()
	first, fourth := int32(0), int32(3)
	for name, want := range map[string][3]string{
		"guide":   {"5bb7bc5849", "7fcd87c69", "5fb894b59d"},
		"minimal": {"9c5679b6b", "66ffd6d774", "c775b9dfc"},
		"full":    {"f8bf7f77c", "69cfcdf6df", "858b895c66"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := load(t, name)
			got := [3]string{
				podtemplate.Hash(template, nil),
				podtemplate.Hash(template, &first),
				podtemplate.Hash(template, &fourth),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("hashes of %s (-want +got):\n%s", name, diff)
			}
		})
	}
}

func BenchmarkHash(b *testing.B) {
	template := load(b, "full")
	for b.Loop() {
		podtemplate.Hash(template, nil)
	}
}

func BenchmarkEqual(b *testing.B) {
	template := load(b, "full")
	stored := template.DeepCopy()
	podtemplate.Default(stored)
	for b.Loop() {
		podtemplate.Equal(template, stored)
	}
}

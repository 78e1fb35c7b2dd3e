// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Every manifest that the documentation shows is one that the API server takes.
func TestManifestsInTheDocumentationAreAccepted(t *testing.T) {
	t.Parallel()
	files := []string{"../../README.md"}
	more, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(filepath.FromSlash(file))
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(block[1]), &obj.Object); err != nil {
				t.Errorf("%s: %v in:\n%s", file, err, block[1])
				continue
			}
			if obj.GroupVersionKind().Group != "argoproj.io" {
				continue
			}
			if err := fillIn(obj); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			found++
			if err := admissionOf(t, obj.GetKind()).create(obj); err != nil {
				t.Errorf("%s: %s %q: %v", file, obj.GetKind(), obj.GetName(), err)
			}
		}
	}
	if found < 2 {
		t.Errorf("found %d manifests in the documentation", found)
	}
}

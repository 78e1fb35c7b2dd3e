// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Every manifest in the documentation is one, and ours are accepted.
func TestManifestsInTheDocumentationAreAccepted(t *testing.T) {
	t.Parallel()
	files := append(glob(t, "../../docs/*.md", 3), "../../README.md")
	ours := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
			for doc := range strings.SplitSeq(string(block[1]), "\n---\n") {
				obj := &unstructured.Unstructured{}
				data, err := yaml.YAMLToJSONStrict([]byte(doc))
				if err != nil {
					t.Errorf("%s: %v in:\n%s", filepath.Base(file), err, doc)
				}
				// A part of a manifest has no kind, and Argo CD has its own in our group.
				if obj.UnmarshalJSON(data) != nil || obj.GroupVersionKind().GroupVersion() != v1alpha1.SchemeGroupVersion || obj.GetKind() == "Application" {
					continue
				}
				ours++
				if err := admissionOf(t, obj.GetKind()).create(obj); err != nil {
					t.Errorf("%s: %v in:\n%s", filepath.Base(file), err, doc)
				}
			}
		}
	}
	if ours < 3 {
		t.Errorf("found %d manifests of ours; the pattern does not match any more", ours)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package itest_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// The Application that releases are tested with is the one that people read.
func TestTheDocumentedApplicationIsTheExample(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../../examples/argocd/application.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/gitops.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlock.FindAllSubmatch(page, -1)
	if len(blocks) != 1 {
		t.Fatalf("docs/gitops.md has %d manifests, want one", len(blocks))
	}
	var want, got map[string]any
	if err := yaml.UnmarshalStrict(example, &want); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(blocks[0][1], &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the Application in docs/gitops.md (-example +page):\n%s", diff)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"io/fs"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/config/crd"
)

// loadCRDs reads the generated CRDs.
func loadCRDs(t testing.TB) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []*apiextensionsv1.CustomResourceDefinition
	for _, name := range names {
		data, err := crd.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, c)
	}
	if len(all) != 5 {
		t.Fatalf("found %d CRDs, want 5", len(all))
	}
	return all
}

// crdOf reads the generated CRD of a kind.
func crdOf(t testing.TB, kind string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	for _, c := range loadCRDs(t) {
		if c.Spec.Names.Kind == kind {
			return c
		}
	}
	t.Fatalf("no CRD of kind %s", kind)
	return nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package examples reads the folder examples as those tools do that people use
// it with. Its tests are here because this module has Helm, and so that the
// product does not depend on any of the tools.
package examples

import (
	"fmt"
	"path/filepath"
	"runtime"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Path is where a file or folder of the examples is.
func Path(name string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "examples", filepath.FromSlash(name))
}

// Build does what `kustomize build` does with a folder of the examples.
func Build(folder string) ([]*unstructured.Unstructured, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), Path(folder))
	if err != nil {
		return nil, fmt.Errorf("kustomize build examples/%s: %w", folder, err)
	}
	all := make([]*unstructured.Unstructured, 0, built.Size())
	for _, r := range built.Resources() {
		data, err := r.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", r.CurId(), err)
		}
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(data); err != nil {
			return nil, fmt.Errorf("read %s: %w", r.CurId(), err)
		}
		all = append(all, o)
	}
	return all, nil
}

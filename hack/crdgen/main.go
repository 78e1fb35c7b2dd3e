// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command crdgen writes the CustomResourceDefinitions of api/v1alpha1. It lets
// controller-tools derive the schemas from the Go types and adds what markers
// cannot say: lean pod templates, validation rules and the limits that keep
// those rules cheap. It does not write the deepcopy functions: controller-gen
// does.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-tools/pkg/crd"
	"sigs.k8s.io/controller-tools/pkg/loader"
	"sigs.k8s.io/controller-tools/pkg/markers"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
)

const header = "# Copyright The Sluice Authors.\n# SPDX-License-Identifier: Apache-2.0\n# Generated from api/v1alpha1 by hack/crdgen: run `go generate ./api/...`.\n"

func main() {
	in := flag.String("in", "./api/v1alpha1", "the package with the types")
	out := flag.String("out", "config/crd", "the folders to write to, with commas between them")
	flag.Parse()
	if err := write(*in, strings.Split(*out, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "crdgen:", err)
		os.Exit(1)
	}
}

func write(in string, folders []string) error {
	crds, err := generate(in)
	if err != nil {
		return fmt.Errorf("generate from %s: %w", in, err)
	}
	for _, c := range crds {
		if err := refine(c); err != nil {
			return fmt.Errorf("refine %s: %w", c.Spec.Names.Kind, err)
		}
		data, err := marshal(c)
		if err != nil {
			return fmt.Errorf("write %s: %w", c.Spec.Names.Kind, err)
		}
		for _, folder := range folders {
			name := filepath.Join(folder, c.Spec.Group+"_"+c.Spec.Names.Plural+".yaml")
			if err := os.WriteFile(name, data, 0o600); err != nil {
				return fmt.Errorf("write %s: %w", c.Spec.Names.Kind, err)
			}
		}
	}
	return nil
}

// generate derives a CustomResourceDefinition from each kind in the package.
func generate(pkg string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	roots, err := loader.LoadRoots(pkg)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	reg := &markers.Registry{}
	if err := (crd.Generator{}).RegisterMarkers(reg); err != nil {
		return nil, fmt.Errorf("register markers: %w", err)
	}
	parser := &crd.Parser{
		Collector: &markers.Collector{Registry: reg},
		Checker:   &loader.TypeChecker{NodeFilters: []loader.NodeFilter{crd.Generator{}.CheckFilter()}},
		// Without it the metadata of pod templates and Jobs has no fields.
		GenerateEmbeddedObjectMeta: true,
	}
	crd.AddKnownTypes(parser)
	for _, root := range roots {
		parser.NeedPackage(root)
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, kind := range kinds() {
		gk := schema.GroupKind{Group: v1alpha1.Group, Kind: kind}
		parser.NeedCRDFor(gk, nil)
		c, ok := parser.CustomResourceDefinitions[gk]
		if !ok {
			return nil, fmt.Errorf("kind %s: not found", kind)
		}
		crd.FixTopLevelMetadata(c)
		crds = append(crds, c.DeepCopy())
	}
	if loader.PrintErrors(roots, packages.TypeError) {
		return nil, errors.New("the package has errors")
	}
	return crds, nil
}

func kinds() []string {
	return []string{
		v1alpha1.KindRollout,
		v1alpha1.KindAnalysisTemplate,
		v1alpha1.KindClusterAnalysisTemplate,
		v1alpha1.KindAnalysisRun,
		v1alpha1.KindExperiment,
	}
}

// marshal prints a CustomResourceDefinition without the parts that only a
// cluster fills in.
func marshal(c *apiextensionsv1.CustomResourceDefinition) ([]byte, error) {
	c.APIVersion, c.Kind = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
	data, err := yaml.Marshal(c)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return nil, err
	}
	delete(tree, "status")
	data, err = yaml.Marshal(tree)
	if err != nil {
		return nil, err
	}
	return append([]byte(header), bytes.TrimLeft(data, "\n")...), nil
}

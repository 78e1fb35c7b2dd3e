// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command install prints the chart as one file, for people without Helm:
//
//	kubectl apply --server-side -f install.yaml
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/charts/helmtest"
)

type sets []string

func (s *sets) String() string         { return strings.Join(*s, ",") }
func (s *sets) Set(value string) error { *s = append(*s, value); return nil }

func main() {
	var set sets
	namespace := flag.String("namespace", "argo-rollouts", "the namespace to install into")
	flag.Var(&set, "set", "a value of the chart, as for helm --set; may be repeated")
	flag.Parse()
	if err := write(os.Stdout, *namespace, set); err != nil {
		fmt.Fprintln(os.Stderr, "install:", err)
		os.Exit(1)
	}
}

// first are the kinds that others need.
var first = []string{"Namespace", "CustomResourceDefinition", "ServiceAccount"}

func write(out io.Writer, namespace string, set []string) error {
	r, err := helmtest.Render(helmtest.Release{Namespace: namespace, Set: set})
	if err != nil {
		return err
	}
	home := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace},
	}}
	objects := append([]*unstructured.Unstructured{home}, r.Objects...)
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	if _, err := fmt.Fprint(out, "# kubectl apply --server-side -f install.yaml\n"); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	for _, obj := range objects {
		labels := obj.GetLabels()
		delete(labels, "app.kubernetes.io/managed-by")
		delete(labels, "helm.sh/chart")
		obj.SetLabels(labels)
		annotations := obj.GetAnnotations()
		delete(annotations, "helm.sh/resource-policy")
		obj.SetAnnotations(annotations)
		text, err := yaml.Marshal(obj.Object)
		if err != nil {
			return fmt.Errorf("print %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
		if _, err := fmt.Fprintf(out, "---\n%s", text); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}

func rank(obj *unstructured.Unstructured) int {
	if i := slices.Index(first, obj.GetKind()); i >= 0 {
		return i
	}
	return len(first)
}

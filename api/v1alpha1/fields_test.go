// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// A fieldRow is a row of testdata/fields.tsv.
type fieldRow struct {
	Type        string
	Required    bool
	Constraints map[string]string
}

// fieldsOf lists the fields of a CRD as testdata/fields.tsv does. What is inside
// pod templates and Jobs is left out: it is Kubernetes' own.
func fieldsOf(crd *apiextensionsv1.CustomResourceDefinition) map[string]fieldRow {
	got := map[string]fieldRow{}
	walk(crd, func(path string, s *apiextensionsv1.JSONSchemaProps, required bool) {
		if !strings.HasPrefix(path, ".spec") && !strings.HasPrefix(path, ".status") {
			return
		}
		got[path] = fieldRow{Type: typeOf(s), Required: required, Constraints: constraintsOf(s)}
	})
	return got
}

// walk calls f for every schema of a CRD but those inside pod templates.
func walk(crd *apiextensionsv1.CustomResourceDefinition, f func(path string, s *apiextensionsv1.JSONSchemaProps, required bool)) {
	var visit func(path string, s *apiextensionsv1.JSONSchemaProps, required bool)
	visit = func(path string, s *apiextensionsv1.JSONSchemaProps, required bool) {
		f(path, s, required)
		if opaque(path) {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			p := s.Properties[name]
			visit(path+"."+name, &p, slices.Contains(s.Required, name))
		}
		if s.Items != nil {
			visit(path+"[]", s.Items.Schema, false)
		}
		if s.AdditionalProperties != nil {
			visit(path+"{}", s.AdditionalProperties.Schema, false)
		}
	}
	visit("", crd.Spec.Versions[0].Schema.OpenAPIV3Schema, false)
}

// opaque reports whether testdata/fields.tsv stops at path.
func opaque(path string) bool {
	for _, end := range []string{".template.metadata", ".template.spec", ".templates[].template.metadata", ".job.metadata", ".job.spec"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}

func typeOf(s *apiextensionsv1.JSONSchemaProps) string {
	if s.XIntOrString {
		return "int-or-string"
	}
	return s.Type
}

// constraintsOf holds everything that narrows a value beyond its type.
func constraintsOf(s *apiextensionsv1.JSONSchemaProps) map[string]string {
	got := map[string]string{}
	set := func(key string, ok bool, value any) {
		if ok {
			got[key] = fmt.Sprint(value)
		}
	}
	set("format", s.Format != "", s.Format)
	set("pattern", s.Pattern != "", s.Pattern)
	set("nullable", s.Nullable, true)
	if s.XListType != nil {
		got["list"] = *s.XListType
	}
	if s.Default != nil {
		got["default"] = string(s.Default.Raw)
	}
	if s.XPreserveUnknownFields != nil {
		got["preserve-unknown"] = ""
	}
	if len(s.Enum) > 0 {
		var values []string
		for _, e := range s.Enum {
			var v string
			if json.Unmarshal(e.Raw, &v) == nil {
				values = append(values, v)
			}
		}
		got["enum"] = strings.Join(values, "|")
	}
	limit(got, "minLength", s.MinLength)
	limit(got, "maxLength", s.MaxLength)
	limit(got, "minItems", s.MinItems)
	limit(got, "maxItems", s.MaxItems)
	limit(got, "minProperties", s.MinProperties)
	limit(got, "maxProperties", s.MaxProperties)
	limit(got, "minimum", s.Minimum)
	limit(got, "maximum", s.Maximum)
	return got
}

func limit[T int64 | float64](got map[string]string, key string, value *T) {
	if value != nil {
		got[key] = fmt.Sprint(*value)
	}
}

// wantFields reads testdata/fields.tsv, by kind and path.
func wantFields(t *testing.T) map[string]map[string]fieldRow {
	t.Helper()
	want := map[string]map[string]fieldRow{}
	for i, row := range rows(t, "testdata/fields.tsv", 5) {
		if i == 0 {
			continue
		}
		kind, path := row[0], row[1]
		if want[kind] == nil {
			want[kind] = map[string]fieldRow{}
		}
		f := fieldRow{Type: row[2], Required: row[3] == "required", Constraints: map[string]string{}}
		for c := range strings.FieldsSeq(row[4]) {
			key, value, _ := strings.Cut(c, "=")
			f.Constraints[key] = value
		}
		want[kind][path] = f
	}
	return want
}

// An addition is a row of testdata/additions.tsv: something that our CRDs have
// and Argo Rollouts' CRDs do not, or, after "no ", the other way about; and why.
type addition struct {
	kinds, path, what, reason string
}

func wantAdditions(t *testing.T) []addition {
	t.Helper()
	var all []addition
	for i, row := range rows(t, "testdata/additions.tsv", 4) {
		if i > 0 {
			all = append(all, addition{kinds: row[0], path: row[1], what: row[2], reason: row[3]})
		}
	}
	return all
}

// rows reads a file of tab-separated values.
func rows(t *testing.T, name string, columns int) [][]string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(data)) {
		row := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(row) != columns {
			t.Fatalf("%s: %q has %d columns, want %d", name, line, len(row), columns)
		}
		all = append(all, row)
	}
	return all
}

// kindSets are the groups of kinds that additions are given for.
var kindSets = map[string][]string{
	"rollout":    {v1alpha1.KindRollout},
	"run":        {v1alpha1.KindAnalysisRun},
	"experiment": {v1alpha1.KindExperiment},
	"template":   {v1alpha1.KindAnalysisTemplate, v1alpha1.KindClusterAnalysisTemplate},
	"analysis":   {v1alpha1.KindAnalysisTemplate, v1alpha1.KindClusterAnalysisTemplate, v1alpha1.KindAnalysisRun},
}

// TestFields compares the CRDs with every field that Argo Rollouts has.
func TestFields(t *testing.T) {
	t.Parallel()
	want := wantFields(t)
	additions := map[string]bool{}
	for _, a := range wantAdditions(t) {
		if a.reason == "" {
			t.Errorf("testdata/additions.tsv: %s %s %s: no reason", a.kinds, a.path, a.what)
		}
		if kindSets[a.kinds] == nil {
			t.Errorf("testdata/additions.tsv: %s: unknown set of kinds", a.kinds)
		}
		for _, kind := range kindSets[a.kinds] {
			additions[kind+" "+a.path+" "+a.what] = false
		}
	}
	rows := 0
	for _, crd := range loadCRDs(t) {
		kind := crd.Spec.Names.Kind
		got := fieldsOf(crd)
		rows += len(want[kind])
		for path, w := range want[kind] {
			g, ok := got[path]
			if !ok {
				t.Errorf("%s %s: missing", kind, path)
				continue
			}
			for key, value := range g.Constraints {
				if _, theirs := w.Constraints[key]; theirs {
					continue
				}
				id := kind + " " + path + " " + key + "=" + value
				if _, listed := additions[id]; listed {
					additions[id] = true
					delete(g.Constraints, key)
				}
			}
			for key, value := range w.Constraints {
				id := kind + " " + path + " no " + key + "=" + value
				if _, listed := additions[id]; listed && g.Constraints[key] == "" {
					additions[id] = true
					delete(w.Constraints, key)
				}
			}
			if diff := cmp.Diff(w, g); diff != "" {
				t.Errorf("%s %s: differs from Argo Rollouts (-theirs +ours):\n%s", kind, path, diff)
			}
		}
		for path := range got {
			if _, theirs := want[kind][path]; theirs {
				continue
			}
			id := kind + " " + path + " field"
			if _, listed := additions[id]; !listed {
				t.Errorf("%s %s: not a field of Argo Rollouts and not in testdata/additions.tsv", kind, path)
			}
			additions[id] = true
		}
	}
	if rows != 1075 {
		t.Errorf("compared %d fields, want 1075", rows)
	}
	for id, seen := range additions {
		if !seen {
			t.Errorf("testdata/additions.tsv: %s: the CRD does not have it", id)
		}
	}
}

// TestEveryFieldIsDescribed looks for fields that kubectl explain is silent on.
func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	for _, crd := range loadCRDs(t) {
		walk(crd, func(path string, s *apiextensionsv1.JSONSchemaProps, _ bool) {
			if path == "" || path == ".metadata" || opaque(path) || strings.HasSuffix(path, "[]") || strings.HasSuffix(path, "{}") {
				return
			}
			if strings.Contains(path, "elector.match") {
				return // described by Kubernetes
			}
			if s.Description == "" {
				t.Errorf("%s %s: no description", crd.Spec.Names.Kind, path)
			}
		})
	}
}

// TestPrinterColumns compares names, scopes, subresources and columns.
func TestPrinterColumns(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/printer.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, kind := range []string{
		v1alpha1.KindRollout, v1alpha1.KindAnalysisTemplate, v1alpha1.KindClusterAnalysisTemplate,
		v1alpha1.KindAnalysisRun, v1alpha1.KindExperiment,
	} {
		spec := crdOf(t, kind).Spec
		version := spec.Versions[0]
		fmt.Fprintf(&got, "%s ['%s'] %s %s\n", kind, strings.Join(spec.Names.ShortNames, "', '"), spec.Scope, subresources(t, version.Subresources))
		for _, c := range version.AdditionalPrinterColumns {
			fmt.Fprintf(&got, "   col %s %s %s %d\n", c.Name, c.Type, c.JSONPath, c.Priority)
		}
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("names and columns differ from Argo Rollouts (-theirs +ours):\n%s", diff)
	}
}

func subresources(t *testing.T, s *apiextensionsv1.CustomResourceSubresources) string {
	t.Helper()
	if s == nil {
		return "{}"
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	if data, err = json.Marshal(tree); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(string(data))
}

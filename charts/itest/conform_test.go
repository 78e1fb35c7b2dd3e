// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package itest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yannh/kubeconform/pkg/validator"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"

	"sluice.dev/sluice/charts/helmtest"
)

// schemas writes the schema of each kind that the API server has into a folder,
// as kubeconform reads them, and returns where.
func (r *repository) schemas() string {
	r.Helper()
	dir := r.TempDir()
	client, err := discovery.NewDiscoveryClientForConfig(r.Cluster.Config())
	if err != nil {
		r.Fatal(err)
	}
	paths, err := client.OpenAPIV3().Paths()
	if err != nil {
		r.Fatal(err)
	}
	for path, group := range paths {
		text, err := group.Schema("application/json")
		if err != nil {
			r.Fatalf("%s: %v", path, err)
		}
		var doc struct {
			Components struct {
				Schemas map[string]map[string]any `json:"schemas"`
			} `json:"components"`
		}
		if err := json.Unmarshal(text, &doc); err != nil {
			r.Fatalf("%s: %v", path, err)
		}
		for _, s := range doc.Components.Schemas {
			closed(s)
		}
		for name, s := range doc.Components.Schemas {
			for _, kind := range kinds(s) {
				file := map[string]any{"$ref": "#/components/schemas/" + name, "components": doc.Components}
				data, err := json.Marshal(file)
				if err != nil {
					r.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, kind), data, 0o600); err != nil {
					r.Fatal(err)
				}
			}
		}
	}
	return filepath.Join(dir, "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json")
}

// kinds are the names of the files of a schema.
func kinds(s map[string]any) []string {
	all, _ := s["x-kubernetes-group-version-kind"].([]any)
	var out []string
	for _, k := range all {
		k := k.(map[string]any)
		group, _ := k["group"].(string)
		version := k["version"].(string)
		if group == "" {
			group = version
		}
		out = append(out, strings.ToLower(fmt.Sprintf("%s_%s_%s.json", group, version, k["kind"])))
	}
	return out
}

// closed makes a schema refuse fields that it does not name, and takes out what
// OpenAPI writes otherwise than JSON Schema.
func closed(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			closed(e)
		}
	case map[string]any:
		if props, ok := v["properties"].(map[string]any); ok && v["additionalProperties"] == nil && v["x-kubernetes-preserve-unknown-fields"] == nil && len(props) > 0 {
			v["additionalProperties"] = false
		}
		for _, k := range []string{"exclusiveMinimum", "exclusiveMaximum"} {
			if _, ok := v[k].(bool); ok {
				delete(v, k)
			}
		}
		for _, e := range v {
			closed(e)
		}
	}
}

// elsewhere are kinds that this API server does not have, and what checks them.
var elsewhere = map[string]struct{}{
	"ServiceMonitor": {}, // charts: TestGolden
	"PrometheusRule": {}, // charts/expressions
}

func TestManifestsPassKubeconform(t *testing.T) {
	r := newRepository(t)
	v, err := validator.New([]string{r.schemas()}, validator.Opts{Strict: true, SkipKinds: elsewhere})
	if err != nil {
		t.Fatal(err)
	}
	check := func(objects []*unstructured.Unstructured) (errs []string) {
		for _, o := range objects {
			data, err := json.Marshal(o.Object)
			if err != nil {
				t.Fatal(err)
			}
			results := v.Validate(o.GetName(), io.NopCloser(bytes.NewReader(data)))
			if len(results) != 1 {
				t.Errorf("%s %s has %d results", o.GetKind(), o.GetName(), len(results))
			}
			for _, res := range results {
				if res.Status != validator.Valid && res.Status != validator.Skipped {
					errs = append(errs, fmt.Sprintf("%s %s: %v", o.GetKind(), o.GetName(), res.Err))
				}
			}
		}
		return errs
	}
	all := map[string][]*unstructured.Unstructured{"examples/guide": r.objects}
	for name, rel := range map[string]helmtest.Release{
		"the chart with its CRDs": {}, "the chart in one namespace": {Set: []string{"namespaced=true"}},
		"the chart, as the guide installs it": {Set: []string{"dashboard.enabled=true", "controller.metrics.enabled=true"}},
		"the chart with everything":           {Files: []string{"../testdata/everything.yaml"}},
	} {
		out, err := helmtest.Render(rel)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = out.Objects
	}
	for name, objects := range all {
		if len(objects) < 6 {
			t.Errorf("%s has %d objects", name, len(objects))
		}
		for _, err := range check(objects) {
			t.Errorf("%s: %s", name, err)
		}
		for _, o := range objects { // what is wrong is found, in each kind
			if _, skipped := elsewhere[o.GetKind()]; skipped {
				continue
			}
			bad := o.DeepCopy()
			bad.Object["spce"] = "x"
			if len(check([]*unstructured.Unstructured{bad})) == 0 {
				t.Errorf("%s: an unknown field of %s %s is not found", name, o.GetKind(), o.GetName())
			}
		}
	}
}

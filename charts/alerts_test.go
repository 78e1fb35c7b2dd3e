// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/charts/expressions"
	"sluice.dev/sluice/charts/helmtest"
)

// Expressions parse, and name only metrics and labels that a running controller
// was seen to export: package itest compares testdata/metrics.json with one.
func TestAlertsAndTheDashboardNameOnlyMetricsThatWeExport(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/metrics.json")
	if err != nil {
		t.Fatal(err)
	}
	var exported expressions.Exported
	if err := json.Unmarshal(text, &exported); err != nil {
		t.Fatal(err)
	}
	all := append(alerts(t), panels(t)...)
	if len(all) < 20 {
		t.Fatalf("there are %d expressions", len(all))
	}
	for _, e := range all {
		if err := exported.Check(e); err != nil {
			t.Error(err)
		}
	}
}

func alerts(t *testing.T) []string {
	t.Helper()
	r := render(t, helmtest.Release{Set: []string{noCRDs, "controller.metrics.rules.enabled=true"}})
	rule := r.Find("PrometheusRule", "argo-rollouts")
	if rule == nil {
		t.Fatal("there is no PrometheusRule")
	}
	groups, _, _ := unstructured.NestedSlice(rule.Object, "spec", "groups")
	var out []string
	for _, g := range groups {
		rules, _, _ := unstructured.NestedSlice(g.(map[string]any), "rules")
		for _, r := range rules {
			rule := r.(map[string]any)
			out = append(out, rule["expr"].(string))
			words, _, _ := unstructured.NestedStringMap(rule, "annotations")
			if words["summary"] == "" || words["description"] == "" || strings.Contains(words["summary"]+words["description"], "<no value>") {
				t.Errorf("%s says %v", rule["alert"], words)
			}
		}
	}
	return out
}

func panels(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(helmtest.Dir(), "files/grafana.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title, Description string
			Targets            []struct{ Expr string }
		}
		Templating struct {
			List []struct {
				Type  string
				Query any
			}
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range dashboard.Panels {
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %+v says nothing", p)
		}
		for _, target := range p.Targets {
			out = append(out, target.Expr)
		}
	}
	for _, v := range dashboard.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			query := strings.TrimSuffix(strings.TrimPrefix(q["query"].(string), "label_values("), ")")
			out = append(out, query[:strings.LastIndex(query, ",")])
		}
	}
	return out
}

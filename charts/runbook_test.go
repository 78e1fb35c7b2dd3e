// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/charts/helmtest"
)

var runbook = regexp.MustCompile(`(?ms)^### (Sluice\w+)\n\n(\w+), (after|at once)(?: (\d+) minutes?)?\.(.*?)\n\n#`)

// Somebody who is woken by an alert finds its name in docs/operations.md, with
// what it means there, and no alert that is gone.
func TestEveryAlertIsInTheRunbook(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string][]string{}
	for rest := string(text); ; {
		at := runbook.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		m := runbook.FindStringSubmatch(rest)
		written[m[1]] = []string{strings.ToLower(m[2]), m[4], m[5]}
		rest = rest[at[1]-1:]
	}
	r := render(t, helmtest.Release{Set: []string{noCRDs, "controller.metrics.rules.enabled=true"}})
	groups, _, _ := unstructured.NestedSlice(r.Find("PrometheusRule", "argo-rollouts").Object, "spec", "groups")
	for _, g := range groups {
		rules, _, _ := unstructured.NestedSlice(g.(map[string]any), "rules")
		for _, rule := range rules {
			rule := rule.(map[string]any)
			name := rule["alert"].(string)
			severity, _, _ := unstructured.NestedString(rule, "labels", "severity")
			wait, _ := rule["for"].(string)
			w, ok := written[name]
			if !ok {
				t.Errorf("docs/operations.md has no section %s that begins with its severity", name)
				continue
			}
			if w[0] != severity || w[1] != strings.TrimSuffix(wait, "m") || len(w[2]) < 40 {
				t.Errorf("%s: docs/operations.md says %q; the chart says %s, for %q", name, w, severity, wait)
			}
			delete(written, name)
		}
	}
	for name := range written {
		t.Errorf("docs/operations.md has a section %s; the chart has no such alert", name)
	}
}

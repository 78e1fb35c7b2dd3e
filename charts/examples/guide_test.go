// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/charts/examples"
)

// guide are the guide's manifests, which a test of theirs keeps as they are.
const guide = "../../playground/demo/manifests"

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheManifestsAreTheGuides(t *testing.T) {
	t.Parallel()
	readme := string(read(t, examples.Path("guide/README.md")))
	for ours, theirs := range map[string]string{
		"payments/checkout-rollout.yaml": "rollout.yaml",
		"payments/analysistemplate.yaml": "analysistemplate.yaml",
		"payments/services.yaml":         "services.yaml",
		"payments/virtualservice.yaml":   "virtualservice.yaml",
	} {
		if !bytes.Equal(read(t, examples.Path("guide/"+ours)), read(t, filepath.Join(guide, theirs))) {
			t.Errorf("examples/guide/%s is not the guide's %s, byte for byte", ours, theirs)
		}
		if !strings.Contains(readme, "`"+ours+"`") {
			t.Errorf("examples/guide/README.md does not name %s as the guide's", ours)
		}
	}
}

// The one manifest that differs does so in the lines that README.md shows.
func TestTheListedDifferencesAreAll(t *testing.T) {
	t.Parallel()
	theirs := strings.Split(string(read(t, filepath.Join(guide, "vaultstaticsecret.yaml"))), "\n")
	ours := strings.Split(string(read(t, examples.Path("guide/argo-rollouts/vaultstaticsecret.yaml"))), "\n")
	if len(ours) != len(theirs) {
		t.Fatalf("vaultstaticsecret.yaml has %d lines, the guide's %d", len(ours), len(theirs))
	}
	var from, to []string
	for i := range ours {
		if ours[i] != theirs[i] {
			from, to = append(from, "-"+theirs[i]), append(to, "+"+ours[i])
		}
	}
	listed := regexp.MustCompile("(?s)```diff\n(.*?)\n```").FindSubmatch(read(t, examples.Path("guide/README.md")))
	if listed == nil {
		t.Fatal("examples/guide/README.md shows no difference")
	}
	same(t, strings.Join(append(from, to...), "\n"), string(listed[1]))
}

// parts takes a workflow apart: its keys, those of its job, and its steps.
func parts(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var w map[string]any
	if err := yaml.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	jobs := w["jobs"].(map[string]any)
	if len(jobs) != 1 {
		t.Fatalf("there are the jobs %v", slices.Collect(maps.Keys(jobs)))
	}
	job := jobs["build-and-promote"].(map[string]any)
	delete(w, "jobs")
	out := map[string]any{}
	for _, m := range []map[string]any{w, job} {
		for k, v := range m {
			switch k {
			case "steps":
			case "true": // which on is, in YAML 1.1
				out["on"] = v
			default:
				out[k] = v
			}
		}
	}
	for _, s := range job["steps"].([]any) {
		s := s.(map[string]any)
		name, ok := s["name"].(string)
		if !ok {
			name, _, _ = strings.Cut(s["uses"].(string), "@")
		}
		if out[name] != nil {
			t.Fatalf("two steps are called %s", name)
		}
		out[name] = s
	}
	return out
}

// The workflow differs from the guide's in the parts that README.md lists.
func TestTheWorkflowDiffersAsListed(t *testing.T) {
	t.Parallel()
	theirs, ours := parts(t, read(t, "testdata/guide-release.yml")), parts(t, []byte(workflow(t)))
	want := map[string]bool{}
	for _, m := range []map[string]any{theirs, ours} {
		for k := range m {
			if !reflect.DeepEqual(theirs[k], ours[k]) {
				want[k] = true
			}
		}
	}
	for k := range theirs {
		if ours[k] == nil {
			t.Errorf("the guide's %s is missing", k)
		}
	}
	_, table, found := strings.Cut(string(read(t, examples.Path("guide/README.md"))), "| what | difference | why |\n")
	if !found {
		t.Fatal("examples/guide/README.md has no table of what differs")
	}
	got := map[string]bool{}
	for line := range strings.SplitSeq(table, "\n") {
		if line == "" {
			break
		}
		cells := strings.Split(line, " | ")
		if name, ok := strings.CutPrefix(cells[0], "| `"); ok {
			got[strings.TrimSuffix(name, "`")] = true
			if added := cells[1] == "added"; added != (theirs[strings.TrimSuffix(name, "`")] == nil) {
				t.Errorf("%s is said to be %s", name, cells[1])
			}
		}
	}
	same(t, want, got)
}

// testdata/guide-release.yml is the guide's, and what is said of it is so.
func TestTheGuidesWorkflowCannotWork(t *testing.T) {
	t.Parallel()
	text := string(read(t, "testdata/guide-release.yml"))
	if !strings.Contains(text, `'.spec.template.spec.containers[0].image = "registry.internal/payments/checkout:${GITHUB_SHA::8}"'`) {
		t.Error("the tag is not in single quotes")
	}
	for _, missing := range []string{"\non:", "repository:", "contents: write"} {
		if strings.Contains(text, missing) {
			t.Errorf("it has %s", missing)
		}
	}
}

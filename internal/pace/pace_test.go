// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package pace_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/internal/pace"
)

// guide reads one of the guide's manifests.
func guide(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../api/v1alpha1/testdata/guide", name))
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(data, &obj.Object); err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestApplyShortensTimesAndNothingElse(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		file string
		want []pace.Change
	}{
		"the Rollout's pauses": {
			file: "rollout.yaml",
			want: []pace.Change{
				{Field: "spec.strategy.canary.steps[1].pause.duration", From: "2m", To: "3s"},
				{Field: "spec.strategy.canary.steps[4].pause.duration", From: "5m", To: "7.5s"},
				{Field: "spec.strategy.canary.steps[6].pause.duration", From: "5m", To: "7.5s"},
			},
		},
		"the metrics' delays, intervals and look-backs": {
			file: "analysistemplate.yaml",
			want: []pace.Change{
				{Field: "spec.metrics[0].initialDelay", From: "60s", To: "1.5s"},
				{Field: "spec.metrics[0].interval", From: "60s", To: "1.5s"},
				{Field: "spec.metrics[0].provider.datadog.interval", From: "5m", To: "7.5s"},
				{Field: "spec.metrics[1].initialDelay", From: "60s", To: "1.5s"},
				{Field: "spec.metrics[1].interval", From: "60s", To: "1.5s"},
				{Field: "spec.metrics[1].provider.datadog.interval", From: "5m", To: "7.5s"},
			},
		},
		"a VirtualService has none":    {file: "virtualservice.yaml"},
		"a VaultStaticSecret has none": {file: "vaultstaticsecret.yaml"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obj := guide(t, tc.file)
			got, err := pace.Apply(obj, 40)
			if err != nil {
				t.Fatalf("Apply: %v", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			back := map[string]string{}
			for _, c := range got {
				back[c.To] = c.From
			}
			if diff := cmp.Diff(guide(t, tc.file).Object, restore(obj.Object, back)); diff != "" {
				t.Errorf("apart from the times something changed (-guide +applied):\n%s", diff)
			}
		})
	}
}

// restore puts the times of a manifest back.
func restore(v any, back map[string]string) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = restore(v[k], back)
		}
	case []any:
		for i := range v {
			v[i] = restore(v[i], back)
		}
	case string:
		if was, ok := back[v]; ok {
			return was
		}
	}
	return v
}

func TestApplyAtTheRealPaceChangesNothing(t *testing.T) {
	t.Parallel()
	obj := guide(t, "rollout.yaml")
	got, err := pace.Apply(obj, 1)
	if err != nil || got != nil {
		t.Errorf("Apply(1) = %v, %v, want nothing", got, err)
	}
	if diff := cmp.Diff(guide(t, "rollout.yaml").Object, obj.Object); diff != "" {
		t.Errorf("(-guide +applied):\n%s", diff)
	}
}

func TestApplyNamesAFieldItCannotRead(t *testing.T) {
	t.Parallel()
	obj := guide(t, "rollout.yaml")
	steps, _, _ := unstructured.NestedSlice(obj.Object, "spec", "strategy", "canary", "steps")
	steps[1] = map[string]any{"pause": map[string]any{"duration": "soon"}}
	if err := unstructured.SetNestedSlice(obj.Object, steps, "spec", "strategy", "canary", "steps"); err != nil {
		t.Fatal(err)
	}
	_, err := pace.Apply(obj, 40)
	if err == nil {
		t.Fatal("Apply gave no error")
	}
	const want = `shorten the times of Rollout checkout: spec.strategy.canary.steps[1].pause.duration: time: invalid duration "soon"`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	if got, want := pace.Duration(10*time.Second, 40), 250*time.Millisecond; got != want {
		t.Errorf("Duration(10s, 40) = %v, want %v", got, want)
	}
}

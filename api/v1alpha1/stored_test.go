// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/api/v1alpha1"
)

// badObjects reads the objects of testdata/bad that a schema without our rules
// could have let in.
func badObjects(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	all := map[string]*unstructured.Unstructured{}
	for _, file := range glob(t, "testdata/bad/*.yaml", 60) {
		why := firstComment(t, file)
		if strings.Contains(why, "unknown field") || strings.Contains(why, `Invalid value: "string"`) {
			continue // of no version of the schema
		}
		obj := readObjects(t, file)[0]
		obj.SetResourceVersion("1")
		// What is stored is given its defaults when it is read.
		if err := admissionOf(t, obj.GetKind()).decode(obj); err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = obj
	}
	return all
}

func set(t *testing.T, obj *unstructured.Unstructured, value any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(obj.Object, value, path...); err != nil {
		t.Fatal(err)
	}
}

// TestStatusWritesGoThrough writes a status over every object that the rules
// would refuse today: it must have been stored before there were rules.
func TestStatusWritesGoThrough(t *testing.T) {
	t.Parallel()
	for name, old := range badObjects(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			admission := admissionOf(t, old.GetKind())
			obj := old.DeepCopy()
			write := admission.update
			switch obj.GetKind() {
			case v1alpha1.KindRollout:
				set(t, obj, "Degraded", "status", "phase")
				write = admission.updateStatus
			case v1alpha1.KindAnalysisRun, v1alpha1.KindExperiment:
				set(t, obj, "Error", "status", "phase")
			default:
				obj.SetLabels(map[string]string{"team": "payments"})
			}
			if err := write(obj, old); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

// TestScalingGoesThrough changes the size of every Rollout that the rules would
// refuse today. It is what an autoscaler does at night.
func TestScalingGoesThrough(t *testing.T) {
	t.Parallel()
	for name, old := range badObjects(t) {
		if old.GetKind() != v1alpha1.KindRollout {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obj := old.DeepCopy()
			set(t, obj, int64(7), "spec", "replicas")
			if err := admissionOf(t, obj.GetKind()).update(obj, old); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

// TestGoodObjectsCannotTurnBad changes a good object into each bad one.
func TestGoodObjectsCannotTurnBad(t *testing.T) {
	t.Parallel()
	good := map[string]*unstructured.Unstructured{
		v1alpha1.KindRollout:                 readObjects(t, "testdata/good/canary-basic.yaml")[0],
		v1alpha1.KindAnalysisTemplate:        readObjects(t, "testdata/good/providers.yaml")[0],
		v1alpha1.KindClusterAnalysisTemplate: readObjects(t, "testdata/good/providers.yaml")[0],
		v1alpha1.KindAnalysisRun:             readObjects(t, "testdata/good/run.yaml")[0],
		v1alpha1.KindExperiment:              readObjects(t, "testdata/good/experiment.yaml")[0],
	}
	for name, obj := range badObjects(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := good[obj.GetKind()].DeepCopy()
			old.SetKind(obj.GetKind())
			old.SetName(obj.GetName())
			old.SetNamespace(obj.GetNamespace())
			old.SetResourceVersion("1")
			obj := obj.DeepCopy()
			if err := admissionOf(t, obj.GetKind()).update(obj, old); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	base := readObjects(t, "testdata/good/canary-basic.yaml")[0]
	base.SetResourceVersion("1")
	for name, tc := range map[string]struct {
		why    string
		before func(t *testing.T, obj *unstructured.Unstructured)
		change func(t *testing.T, obj *unstructured.Unstructured)
		want   string
	}{
		"a selector cannot be changed": {
			why: "Pods that the old selector found would be left behind.",
			change: func(t *testing.T, obj *unstructured.Unstructured) {
				set(t, obj, map[string]any{"app": "store"}, "spec", "selector", "matchLabels")
				set(t, obj, map[string]any{"app": "store"}, "spec", "template", "metadata", "labels")
			},
			want: "spec.selector: Invalid value: selector cannot be changed",
		},
		"a template that matched cannot stop matching": {
			why: "Tolerance is for what was wrong before.",
			change: func(t *testing.T, obj *unstructured.Unstructured) {
				set(t, obj, map[string]any{"app": "store"}, "spec", "template", "metadata", "labels")
			},
			want: "selector.matchLabels must be among template.metadata.labels",
		},
		"a stored canary without a weight limit can be edited elsewhere": {
			why: "The rule about weights sits on a node that holds more than weights.",
			before: func(t *testing.T, obj *unstructured.Unstructured) {
				set(t, obj, []any{map[string]any{"setWeight": int64(150)}}, "spec", "strategy", "canary", "steps")
			},
			change: func(t *testing.T, obj *unstructured.Unstructured) {
				set(t, obj, int64(5), "spec", "strategy", "canary", "abortScaleDownDelaySeconds")
			},
		},
		"a stored step that is wrong must be mended when the steps are edited": {
			why: "The list of steps is replaced as a whole, and a step of it is wrong.",
			before: func(t *testing.T, obj *unstructured.Unstructured) {
				set(t, obj, []any{map[string]any{}}, "spec", "strategy", "canary", "steps")
			},
			change: func(t *testing.T, obj *unstructured.Unstructured) {
				set(t, obj, []any{map[string]any{}, map[string]any{"setWeight": int64(5)}}, "spec", "strategy", "canary", "steps")
			},
			want: "spec.strategy.canary.steps[0]: Invalid value: a step must set one of",
		},
		"a paused flag can be set": {
			why:    "It is what kubectl argo rollouts pause does.",
			change: func(t *testing.T, obj *unstructured.Unstructured) { set(t, obj, true, "spec", "paused") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := base.DeepCopy()
			if tc.before != nil {
				tc.before(t, old)
			}
			obj := old.DeepCopy()
			tc.change(t, obj)
			err := admissionOf(t, obj.GetKind()).update(obj, old)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v\n%s", err, tc.why)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v\ndoes not contain %q\n%s", err, tc.want, tc.why)
			}
		})
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package crd

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
)

func TestBadManifestsAreRefused(t *testing.T) {
	t.Parallel()
	files := glob(t, tables+"bad/*.yaml", 60)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			want, err := firstComment(file)
			if err != nil {
				t.Fatal(err)
			}
			strict := &client.CreateOptions{FieldValidation: metav1.FieldValidationStrict}
			err = api.Create(t.Context(), read(t, file)[0], strict)
			if err == nil {
				t.Fatalf("created; want an error that contains %q", want)
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q\ndoes not contain %q", err, want)
			}
			// Server-side apply has words of its own for unknown fields and
			// wrong types.
			if apply(t.Context(), read(t, file)[0]) == nil {
				t.Error("applied on the server side")
			}
		})
	}
}

func TestGoodManifestsAreAccepted(t *testing.T) {
	t.Parallel()
	files := append(glob(t, tables+"good/*.yaml", 10), glob(t, tables+"guide/*.yaml", 5)...)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			for _, obj := range read(t, file) {
				if err := apply(t.Context(), obj); err != nil {
					t.Error(err)
				}
				// Applying the same again changes nothing.
				if err := apply(t.Context(), obj); err != nil {
					t.Errorf("again: %v", err)
				}
			}
		})
	}
}

func TestStoredObjectsStillTakeStatusWrites(t *testing.T) {
	t.Parallel()
	if len(stored) < 60 {
		t.Fatalf("%d objects were stored, want at least 60", len(stored))
	}
	for name, obj := range stored {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err error
			switch obj.GetKind() {
			case v1alpha1.KindRollout:
				patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"abort":true,"phase":"Degraded","sluice":{"attempt":1}}}`))
				err = api.Status().Patch(t.Context(), obj.DeepCopy(), patch)
			case v1alpha1.KindAnalysisRun:
				err = api.Patch(t.Context(), obj.DeepCopy(), fenced(t, obj, map[string]any{"phase": "Error", "message": "m"}))
			case v1alpha1.KindExperiment:
				err = api.Patch(t.Context(), obj.DeepCopy(), fenced(t, obj, map[string]any{"phase": "Error"}))
			default:
				patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"team":"payments"}}}`))
				err = api.Patch(t.Context(), obj.DeepCopy(), patch)
			}
			if err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

// fenced is a status patch that names the resourceVersion it was made from.
func fenced(t *testing.T, obj *unstructured.Unstructured, status map[string]any) client.Patch {
	t.Helper()
	live := obj.DeepCopy()
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(obj), live); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": live.GetResourceVersion()},
		"status":   status,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client.RawPatch(types.MergePatchType, data)
}

// TestScale changes a Rollout's size as an autoscaler does, a stored one that the
// rules would refuse today among them.
func TestScale(t *testing.T) {
	t.Parallel()
	good := read(t, tables+"good/spec-odds.yaml")[0]
	good.SetName("scaled")
	if err := apply(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for name, obj := range map[string]*unstructured.Unstructured{
		"good":                  good,
		"stored, no match":      stored["selector-value-differs.yaml"],
		"stored, two in a step": stored["step-weight-and-pause.yaml"],
		"stored, no strategy":   stored["strategy-missing.yaml"],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 9}}
			if err := api.SubResource("scale").Update(t.Context(), obj.DeepCopy(), client.WithSubResourceBody(scale)); err != nil {
				t.Fatal(err)
			}
			live := obj.DeepCopy()
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(obj), live); err != nil {
				t.Fatal(err)
			}
			if got, _, _ := unstructured.NestedInt64(live.Object, "spec", "replicas"); got != 9 {
				t.Errorf("spec.replicas = %d, want 9", got)
			}
		})
	}
}

// TestTypesSurviveTheServer sends a Rollout made in Go there and back.
func TestTypesSurviveTheServer(t *testing.T) {
	t.Parallel()
	for _, file := range glob(t, tables+"good/*.yaml", 10) {
		for _, obj := range read(t, file) {
			if obj.GetKind() != v1alpha1.KindRollout {
				continue
			}
			typed := &v1alpha1.Rollout{}
			data, err := obj.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, typed); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			typed.Name, typed.Namespace = "typed-"+typed.Name, "default"
			if err := api.Create(t.Context(), typed); err != nil {
				t.Errorf("%s: %v", filepath.Base(file), err)
			}
		}
	}
}

func glob(t *testing.T, pattern string, atLeast int) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < atLeast {
		t.Fatalf("%s: found %d files, want at least %d", pattern, len(files), atLeast)
	}
	return files
}

func read(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	objs, err := readFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

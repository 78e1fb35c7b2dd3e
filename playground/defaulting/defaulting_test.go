// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package defaulting_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install" // the conversions of ReplicaSets
	appsdefaults "k8s.io/kubernetes/pkg/apis/apps/v1"
	_ "k8s.io/kubernetes/pkg/apis/core/install" // and of the pods in them
	"pgregory.net/rapid"
	"sluice.dev/sluice/internal/podtemplate"
)

// sameQuantity compares quantities by value and by how they are written, and not
// by what they have cached.
var sameQuantity = cmp.Comparer(func(a, b resource.Quantity) bool {
	return a.Cmp(b) == 0 && a.String() == b.String()
})

// setTemplate is the template as the API server's own defaults leave it.
func setTemplate(template *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	rs := &appsv1.ReplicaSet{Spec: appsv1.ReplicaSetSpec{Template: *template.DeepCopy()}}
	appsdefaults.SetObjectDefaults_ReplicaSet(rs)
	return &rs.Spec.Template
}

func TestDefaultDoesWhatTheAPIServerDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		template := drawTemplate(t)
		want := setTemplate(template)
		got := template.DeepCopy()
		podtemplate.Default(got)
		if diff := cmp.Diff(want, got, sameQuantity); diff != "" {
			t.Fatalf("defaults (-API server +ours):\n%s", diff)
		}
		podtemplate.Default(got)
		if diff := cmp.Diff(want, got, sameQuantity); diff != "" {
			t.Fatalf("a second time (-API server +ours):\n%s", diff)
		}
	})
}

// TestEqualKnowsWhatTheAPIServerStored sends templates the whole way: as JSON, by
// way of the internal type, back to what a client reads. Adoption depends on it:
// a template that is not recognised after this is a fleet restarted.
func TestEqualKnowsWhatTheAPIServerStored(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		template := drawTemplate(t)
		stored := store(t, template)
		if !podtemplate.Equal(template, stored) {
			a, b := template.DeepCopy(), stored.DeepCopy()
			podtemplate.Default(a)
			podtemplate.Default(b)
			t.Fatalf("not recognised (-written +stored):\n%s", cmp.Diff(a, b, sameQuantity))
		}
	})
}

// store writes the template as a ReplicaSet's and reads it back.
func store(t *rapid.T, template *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	written := &appsv1.ReplicaSet{Spec: appsv1.ReplicaSetSpec{Template: *template}}
	written.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
	data, err := json.Marshal(written)
	if err != nil {
		t.Fatal(err)
	}
	internal := &apps.ReplicaSet{}
	if err := runtime.DecodeInto(legacyscheme.Codecs.UniversalDecoder(), data, internal); err != nil {
		t.Fatal(err)
	}
	data, err = runtime.Encode(legacyscheme.Codecs.LegacyCodec(appsv1.SchemeGroupVersion), internal)
	if err != nil {
		t.Fatal(err)
	}
	read := &appsv1.ReplicaSet{}
	if err := json.Unmarshal(data, read); err != nil {
		t.Fatal(err)
	}
	return &read.Spec.Template
}

// TestEverythingIsDefaultedAtOnce is the property's blind spot: a template in
// which every field that has a default is there and empty.
func TestEverythingIsDefaultedAtOnce(t *testing.T) {
	t.Parallel()
	template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		Containers:     []corev1.Container{{Image: "shop", Ports: []corev1.ContainerPort{{}}, LivenessProbe: &corev1.Probe{}}},
		InitContainers: []corev1.Container{{Image: "shop:1", StartupProbe: &corev1.Probe{}}},
		Volumes:        []corev1.Volume{{}, {VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}},
	}}
	got := template.DeepCopy()
	podtemplate.Default(got)
	if diff := cmp.Diff(setTemplate(template), got, sameQuantity); diff != "" {
		t.Errorf("defaults (-API server +ours):\n%s", diff)
	}
}

// TestPullPolicyOfAnyImage draws names from the pieces that decide how a name is
// taken apart.
func TestPullPolicyOfAnyImage(t *testing.T) {
	t.Parallel()
	piece := rapid.SampledFrom([]string{
		"a", "B", "0", "/", ":", "@", ".", "-", "_", "latest", ":latest", "localhost", "docker.io/", "library/",
		"x.example/", ":5000/", "[::1]/", "sha256:", "é", " ",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	})
	rapid.Check(t, func(t *rapid.T) {
		image := strings.Join(rapid.SliceOfN(piece, 1, 8).Draw(t, "image"), "")
		template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}}
		want := setTemplate(template).Spec.Containers[0].ImagePullPolicy
		podtemplate.Default(template)
		if got := template.Spec.Containers[0].ImagePullPolicy; got != want {
			t.Fatalf("image %q: %s, want %s", image, got, want)
		}
	})
}

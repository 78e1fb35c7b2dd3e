// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"slices"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/api/v1alpha1"
)

// BenchmarkStatusWrite is what the API server spends on validating a write of a
// status, as a multiple of what it spends without the rules: of the guide's
// Rollout, which every step and every abort waits for, and of a run of its
// template, which has no status of its own to write.
func BenchmarkStatusWrite(b *testing.B) {
	ro := object(b, "rollout.yaml", v1alpha1.KindRollout)
	run := object(b, "analysistemplate.yaml", v1alpha1.KindAnalysisTemplate)
	run.SetKind(v1alpha1.KindAnalysisRun)
	for _, obj := range []*unstructured.Unstructured{ro, run} {
		crd := crdOf(b, obj.GetKind())
		b.Run(obj.GetKind(), func(b *testing.B) {
			with, without := write(b, newAdmission(b, crd), obj), write(b, newAdmission(b, withoutRules(crd)), obj)
			b.ReportAllocs()
			for b.Loop() {
				with()
			}
			each := b.Elapsed() / time.Duration(b.N)
			began := time.Now()
			for range b.N {
				without()
			}
			b.ReportMetric(float64(each)/float64(time.Since(began)/time.Duration(b.N)), "times-no-rules")
		})
	}
}

func object(b *testing.B, file, kind string) *unstructured.Unstructured {
	b.Helper()
	objs := readObjects(b, "testdata/guide/"+file)
	i := slices.IndexFunc(objs, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind })
	obj := objs[i]
	obj.SetResourceVersion("1")
	return obj
}

// write returns a change of the status, to be done again and again.
func write(b *testing.B, a *admission, obj *unstructured.Unstructured) func() {
	b.Helper()
	old, obj := obj.DeepCopy(), obj.DeepCopy()
	if err := unstructured.SetNestedField(obj.Object, "Running", "status", "phase"); err != nil {
		b.Fatal(err)
	}
	for _, o := range []*unstructured.Unstructured{old, obj} {
		if err := a.decode(o); err != nil {
			b.Fatal(err)
		}
	}
	strategy := a.status
	if obj.GetKind() != v1alpha1.KindRollout {
		strategy = a.spec
	}
	ctx := requestContext(obj)
	return func() {
		if errs := strategy.ValidateUpdate(ctx, obj, old); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}

// withoutRules returns a CRD that has only its schema.
func withoutRules(crd *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinition {
	crd = crd.DeepCopy()
	strip(crd.Spec.Versions[0].Schema.OpenAPIV3Schema)
	return crd
}

func strip(s *apiextensionsv1.JSONSchemaProps) {
	s.XValidations = nil
	if s.Items != nil && s.Items.Schema != nil {
		strip(s.Items.Schema)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		strip(s.AdditionalProperties.Schema)
	}
	for name, p := range s.Properties {
		strip(&p)
		s.Properties[name] = p
	}
}

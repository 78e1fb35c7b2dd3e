// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package istio_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/traffic/traffictest"
)

// Whatever somebody wrote into a VirtualService, the router either says what
// is wrong with it or makes patches that apply.
func FuzzVirtualService(f *testing.F) {
	for _, spec := range []string{
		"{}", `{"http":[]}`, `{"http":{}}`, `{"http":[1]}`, `{"http":[{"route":[1]}]}`, `{"http":[{"route":[{"destination":1}]}]}`,
		`{"http":[{"name":1,"route":[{"destination":{"host":"checkout-stable"},"weight":"1"},{"destination":{"host":"checkout-canary"},"weight":1.5}]}]}`,
		`{"http":[{"route":[{"destination":{"host":"checkout-stable"},"weight":-1},{"destination":{"host":"checkout-canary"},"weight":9223372036854775807}]}]}`,
		`{"tcp":[{"match":[{"port":"x"}],"route":[{"destination":{"host":".a"}},{"destination":{"host":"checkout-canary.b"}}]}],"tls":null}`,
	} {
		f.Add(spec)
	}
	r := router(f, config(v1alpha1.IstioVirtualService{Name: "vs"}))
	f.Fuzz(func(t *testing.T, spec string) {
		obj := &unstructured.Unstructured{}
		doc := `{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"vs","namespace":"payments","resourceVersion":"7"},"spec":` + spec + "}"
		if err := obj.UnmarshalJSON([]byte(doc)); err != nil || obj.GetResourceVersion() != "7" {
			t.Skip()
		}
		objs := []*unstructured.Unstructured{obj}
		_, _ = r.Observe(objs)
		for _, canary := range []int32{0, 40} {
			patches, err := r.Patch(objs, to(canary))
			for _, p := range patches {
				after, applied := traffictest.Apply(obj, p.JSON)
				if applied != nil {
					t.Fatalf("%s: %v", p.JSON, applied)
				}
				if got, _ := r.Observe([]*unstructured.Unstructured{after}); err == nil && got.Weights != to(canary).Weights {
					t.Fatalf("weights: got %+v, want %d for the canary", got.Weights, canary)
				}
			}
		}
	})
}

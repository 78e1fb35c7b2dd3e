// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package itest_test

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
)

// A service is the guide's checkout in a namespace of its own.
type service struct {
	*stand
	ns    string
	files map[string]string
}

// service makes the namespace of files. Nothing of them is there yet.
func (s *stand) service(t *testing.T, ns string, files map[string]string) *service {
	t.Helper()
	b := *s.Bed
	b.TB = t
	own := &service{stand: &stand{Bed: &b, datadog: s.datadog}, ns: ns, files: files}
	own.Namespace(ns)
	own.traffic(ns)
	return own
}

// weights are those of the VirtualService now.
func (s *service) weights() string {
	s.Helper()
	return split(s.virtualService())
}

func (s *service) virtualService() *unstructured.Unstructured {
	s.Helper()
	vs := &unstructured.Unstructured{}
	vs.SetGroupVersionKind(virtualServices)
	if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: "checkout-vsvc"}, vs); err != nil {
		s.Fatal(err)
	}
	return vs
}

// stands waits until the Rollout is paused at a step with its message, and the
// weights are those.
func (s *service) stands(weights string, phase string) {
	s.Helper()
	s.Eventually(fmt.Sprintf("%s stands at %s, %s", s.ns, weights, phase), func() error {
		ro := s.Rollout(s.ns, "checkout")
		if now := s.weights(); now != weights || string(ro.Status.Phase) != phase || ro.Status.ObservedGeneration != fmt.Sprint(ro.Generation) {
			return fmt.Errorf("it stands at %s, %s: %s", now, ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
}

// apply applies the files, and of those that are there already only the Rollout:
// server-side apply takes a Service's selector as a whole, without the hash. The
// pairs of old and new strings of replace are replaced.
func (s *service) apply(replace ...string) {
	s.Helper()
	names := []string{"analysistemplate.yaml", "services.yaml", "virtualservice.yaml", "rollout.yaml"}
	if s.Client.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: "checkout"}, &v1alpha1.Rollout{}) == nil {
		names = []string{"rollout.yaml"}
	}
	for _, name := range names {
		s.Apply(s.files[name], replace...)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/charts/helmtest"
)

func TestTheFileIsTheChartWithoutHelm(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := write(&out, "argo-rollouts", nil); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "helm.sh/") || strings.Contains(out.String(), "managed-by: Helm") {
		t.Error("it speaks of Helm")
	}
	objects, err := helmtest.Objects(out.String())
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, obj := range objects {
		kinds = append(kinds, obj.GetKind())
	}
	want := []string{"Namespace"}
	for range 5 {
		want = append(want, "CustomResourceDefinition")
	}
	want = append(want, "ServiceAccount")
	if diff := cmp.Diff(want, kinds[:len(want)]); diff != "" {
		t.Errorf("the order is %s", diff)
	}
	r, err := helmtest.Render(helmtest.Release{})
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != len(r.Objects)+1 {
		t.Errorf("there are %d objects, and %d in the chart", len(objects), len(r.Objects))
	}
}

func TestValuesAreChecked(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := write(&out, "payments", []string{"controller.replicas=two"})
	if err == nil || !strings.Contains(err.Error(), "/controller/replicas") {
		t.Errorf("got %v", err)
	}
}

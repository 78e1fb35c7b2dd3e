// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/api/v1alpha1"
)

func TestWhatWasChangedByHandIsSaid(t *testing.T) {
	t.Parallel()
	ro := rollout(func(ro *v1alpha1.Rollout) {
		ro.Status.Sluice = &v1alpha1.SluiceStatus{HandChanges: []v1alpha1.HandChange{
			{Manager: "kubectl-edit", At: ago(5 * time.Minute), Fields: []string{"spec.template.spec.containers"}, Tool: "argocd-controller"},
			{Manager: "robot", At: ago(time.Hour), Fields: []string{"spec.replicas"}, More: true, Tool: "deployer"},
		}}
	})
	want := []string{
		"kubectl edit (kubectl-edit) changed spec.template.spec.containers 5m ago; the next sync of Argo CD undoes what Git says otherwise",
		"robot changed spec.replicas and others 60m ago; the next sync of deployer undoes what Git says otherwise",
	}
	if diff := cmp.Diff(want, Of(Objects{Rollout: ro}, now).HandChanges); diff != "" {
		t.Error(diff)
	}
}

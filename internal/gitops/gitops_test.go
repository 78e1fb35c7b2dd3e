// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/internal/gitops"
	"sluice.dev/sluice/internal/rollout"
)

func at(second int) time.Time { return time.Unix(int64(1_800_000_000+second), 0) }

// entry is somebody who wrote fields at a second.
func entry(manager string, second int, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "argoproj.io/v1alpha1",
		Time: new(metav1.NewTime(at(second))), FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
	}
}

func of(subresource string, e metav1.ManagedFieldsEntry) metav1.ManagedFieldsEntry {
	e.Subresource = subresource
	return e
}

const (
	whole    = `{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:replicas":{},"f:strategy":{"f:canary":{"f:steps":{}}},"f:template":{"f:spec":{"f:containers":{}}}}}`
	rest     = `{"f:spec":{"f:replicas":{},"f:strategy":{"f:canary":{"f:steps":{}}}}}`
	pods     = `{"f:spec":{"f:template":{"f:spec":{"f:containers":{}}}}}`
	image    = `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"checkout\"}":{"f:image":{}}}}}}}`
	replicas = `{"f:spec":{"f:replicas":{}}}`
	label    = `{"f:metadata":{"f:labels":{"f:team":{}}}}`
	status   = `{"f:status":{"f:phase":{}}}`
)

var cases = map[string]struct {
	tools gitops.Tools
	in    []metav1.ManagedFieldsEntry
	want  []rollout.HandChange
}{
	"nobody has written anything":       {},
	"the tool alone":                    {in: []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, whole)}},
	"no tool has ever written it":       {in: []metav1.ManagedFieldsEntry{entry("kubectl-client-side-apply", 1, whole), entry("kubectl-edit", 5, pods)}},
	"by hand before the tool took over": {in: []metav1.ManagedFieldsEntry{entry("kubectl-create", 1, whole), entry("argocd-controller", 5, whole)}},
	"an edit": {
		in:   []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, rest), entry("kubectl-edit", 5, pods)},
		want: []rollout.HandChange{{Manager: "kubectl-edit", Tool: "argocd-controller", At: at(5), Fields: []string{"spec.template.spec.containers"}}},
	},
	"an edit in the second of the sync": {
		in:   []metav1.ManagedFieldsEntry{entry("argocd-controller", 5, rest), entry("kubectl-edit", 5, pods)},
		want: []rollout.HandChange{{Manager: "kubectl-edit", Tool: "argocd-controller", At: at(5), Fields: []string{"spec.template.spec.containers"}}},
	},
	"a field of a list with keys": {
		in:   []metav1.ManagedFieldsEntry{entry("kustomize-controller", 1, rest), entry("kubectl-argo-rollouts", 5, image)},
		want: []rollout.HandChange{{Manager: "kubectl-argo-rollouts", Tool: "kustomize-controller", At: at(5), Fields: []string{`spec.template.spec.containers[name="checkout"].image`}}},
	},
	"the tool has said the same since":       {in: []metav1.ManagedFieldsEntry{entry("kubectl-edit", 3, pods), entry("argocd-controller", 5, whole)}},
	"the tool owns what was written with it": {in: []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, whole), entry("kubectl", 5, replicas)}},
	"a sync of something else came since":    {in: []metav1.ManagedFieldsEntry{entry("kubectl-edit", 3, pods), entry("argocd-controller", 5, rest)}},
	"a label":                                {in: []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, whole), entry("kubectl-label", 5, label)}},
	"the status":                             {in: []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, whole), of("status", entry("rollouts-controller", 5, status))}},
	"the status, with a spec in it":          {in: []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, rest), of("status", entry("x", 5, pods))}},
	"an autoscaler by the subresource":       {in: []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, whole), of("scale", entry("kube-controller-manager", 5, replicas))}},
	"a pause and a restart are commands":     {in: []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, whole), entry("kubectl-argo-rollouts", 5, `{"f:spec":{"f:paused":{},"f:restartAt":{}}}`)}},
	"an entry that cannot be read":           {in: []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, whole), entry("x", 5, `{"f:spec":`)}},
	"an entry without fields":                {in: []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, whole), {Manager: "x", Time: new(metav1.NewTime(at(5)))}}},
	"a tool that a flag names":               {tools: gitops.Tools{"deployer"}, in: []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, rest), entry("deployer", 5, pods)}},
	"a tool that no flag names":              {in: []metav1.ManagedFieldsEntry{entry("deployer", 1, rest), entry("kubectl-edit", 5, pods)}},
	"the UI of Argo CD is somebody's hand": {
		in:   []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, rest), entry("argocd-server", 5, pods)},
		want: []rollout.HandChange{{Manager: "argocd-server", Tool: "argocd-controller", At: at(5), Fields: []string{"spec.template.spec.containers"}}},
	},
	"two people": {
		in: []metav1.ManagedFieldsEntry{entry("helm-controller", 1, `{"f:spec":{"f:strategy":{"f:canary":{"f:steps":{}}}}}`), entry("kubectl-edit", 5, pods), entry("kubectl-patch", 9, replicas), of("status", entry("rollouts-controller", 10, status))},
		want: []rollout.HandChange{
			{Manager: "kubectl-patch", Tool: "helm-controller", At: at(9), Fields: []string{"spec.replicas"}},
			{Manager: "kubectl-edit", Tool: "helm-controller", At: at(5), Fields: []string{"spec.template.spec.containers"}},
		},
	},
	"more fields than are named": {
		in:   []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, replicas), entry("kubectl-edit", 5, many(30))},
		want: []rollout.HandChange{{Manager: "kubectl-edit", Tool: "argocd-controller", At: at(5), More: true, Fields: names(10)}},
	},
}

func many(n int) string {
	fields := make([]string, n)
	for i := range fields {
		fields[i] = fmt.Sprintf(`"f:x%02d":{}`, i)
	}
	return `{"f:spec":{` + strings.Join(fields, ",") + `}}`
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("spec.x%02d", i)
	}
	return out
}

func TestWhatWasChangedByHand(t *testing.T) {
	t.Parallel()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tc.tools.HandChanges(tc.in)
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(rollout.HandChange{}, "Sentence")); diff != "" {
				t.Error(diff)
			}
			compact := tc.tools.Compact(tc.in)
			if diff := cmp.Diff(got, tc.tools.HandChanges(compact)); diff != "" {
				t.Errorf("the compact form says something else:\n%s", diff)
			}
			if diff := cmp.Diff(compact, tc.tools.Compact(compact), cmp.Comparer(func(a, b *metav1.FieldsV1) bool { return a.String() == b.String() })); diff != "" {
				t.Errorf("compacting twice differs:\n%s", diff)
			}
			if len(got) == 0 && compact != nil {
				t.Errorf("%d entries are kept for nothing", len(compact))
			}
			for _, e := range compact {
				if len(e.FieldsV1.GetRawBytes()) > 600 {
					t.Errorf("%s keeps %d bytes", e.Manager, len(e.FieldsV1.GetRawBytes()))
				}
			}
		})
	}
}

func TestWhatPeopleAreTold(t *testing.T) {
	t.Parallel()
	got := gitops.Tools(nil).HandChanges([]metav1.ManagedFieldsEntry{entry("argocd-controller", 1, rest), entry("kubectl-edit", 5, pods)})
	const want = "The spec was changed by hand, with kubectl edit (kubectl-edit), at 2027-01-15T08:00:05Z: spec.template.spec.containers. " +
		"Argo CD had written it before, and the next sync undoes what Git says otherwise. To keep the change, commit it to Git; to undo it now, sync"
	if len(got) != 1 || got[0].Sentence != want {
		t.Errorf("got %+v", got)
	}
}

func TestAHugeRecordIsBounded(t *testing.T) {
	t.Parallel()
	in := []metav1.ManagedFieldsEntry{entry("argocd-controller", 1, replicas)}
	for i := range 50 {
		in = append(in, entry(strings.Repeat("é", 500)+strconv.Itoa(i), 5+i, `{"f:spec":{"f:`+strings.Repeat("x", 5000)+strconv.Itoa(i)+`":{}}}`))
	}
	got := gitops.Tools(nil).HandChanges(in)
	if len(got) != 5 || len(got[0].Manager) > 128 || len(got[0].Fields[0]) > 256 || !got[0].At.Equal(at(54)) {
		t.Errorf("%d changes, the first %.200v", len(got), got[0])
	}
}

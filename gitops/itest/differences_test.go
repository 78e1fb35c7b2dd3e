// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package itest_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// hold deploys the first revision and begins a release that waits at 10 %.
func (s *stand) hold(t *testing.T, ns string, changes ...change) (a *application, second string) {
	t.Helper()
	a = s.deploy(t, ns, held(t, ns), append(changes, byHand)...)
	a.compare()
	a.sync()
	a.reaches(a.repo.git("rev-parse", "HEAD"), "Synced", "Healthy")
	second = a.repo.commit("checkout 1.1.0", bump(a.files, "1.1.0"))
	a.compare()
	a.sync()
	a.stands("90/10", "Paused")
	return a, second
}

// differences shows what is to be ignored, and that it is all.
func (s *stand) differences(t *testing.T, ns string, way change) {
	a, second := s.hold(t, ns, way)
	a.reaches(second, "Synced", "Suspended")
	w := a.witness()
	for range 3 {
		a.sync()
	}
	if got := w.splits(); !slices.Equal(got, []string{"90/10"}) {
		t.Errorf("syncs moved the weights: %v", got)
	}

	entries := specOf(a.object())["ignoreDifferences"].([]any)
	differ := []string{"VirtualService checkout-vsvc"}
	if len(entries) == 2 {
		differ = append([]string{"Service checkout-canary", "Service checkout-stable"}, differ...)
	}
	if len(entries) > 2 || len(entries[0].(map[string]any)["jqPathExpressions"].([]any)) != 1 {
		t.Fatalf("the example ignores %v; this test takes all of it away", entries)
	}
	a.spec("ignoreDifferences", nil)
	if s := a.compare(); s.sync != "OutOfSync" || !slices.Equal(s.differ, differ) {
		t.Errorf("with nothing ignored Argo CD says %v; want %v and nothing else", s, differ)
	}
	a.spec("ignoreDifferences", entries)
	if s := a.compare(); s.sync != "Synced" || len(s.differ) != 0 {
		t.Errorf("with the example's differences ignored Argo CD says %v", s)
	}

	// Without the options a sync writes what Git says, and the controller corrects it.
	options := slices.DeleteFunc(a.options(), func(o string) bool {
		return o == "RespectIgnoreDifferences=true" || o == "ApplyOutOfSyncOnly=true"
	})
	a.syncWith(options...)
	a.stands("90/10", "Paused")
	if got := w.splits(); len(got) < 3 || !slices.Equal(got[:3], []string{"90/10", "100/0", "90/10"}) {
		t.Errorf("a sync without the options: the weights went %v", got)
	}
	if names, _ := w.born("ReplicaSet"); len(names) != 2 {
		t.Errorf("the ReplicaSets are %v, want two", names)
	}
	a.take("promote-full")
	a.reaches(second, "Synced", "Healthy")
	a.sync()
	a.reaches(second, "Synced", "Healthy")
	if got := a.weights(); got != "100/0" {
		t.Errorf("after the release the weights are %s", got)
	}
}

// spec replaces one field of the Application's spec.
func (a *application) spec(field string, value any) {
	a.Helper()
	a.patch(map[string]any{"spec": map[string]any{field: value}})
}

// timeout is what somebody adds to the route in Git.
const timeout = "    - name: primary\n      timeout: 7s\n"

// routes is a change of the VirtualService in Git while a release is under way.
func (s *stand) routes(t *testing.T, ns string) {
	a, _ := s.hold(t, ns)
	vs := a.files["virtualservice.yaml"]
	changed := strings.Replace(vs, "    - name: primary\n", timeout, 1)
	if changed == vs {
		t.Fatal("the guide's VirtualService has no route primary any more")
	}
	third := a.repo.commit("a timeout", map[string]string{"virtualservice.yaml": changed})
	w := a.witness()
	if s := a.compare(); s.revision != third || s.sync != "OutOfSync" || !slices.Equal(s.differ, []string{"VirtualService checkout-vsvc"}) {
		t.Errorf("with another timeout in Git Argo CD says %v", s)
	}
	// Argo CD keeps the whole list of routes when it keeps one weight in it.
	a.sync()
	if s := a.compare(); s.sync != "OutOfSync" || a.timeout() != "" {
		t.Errorf("the sync brought the timeout %q, and Argo CD says %v: docs/gitops.md says that it does not", a.timeout(), s)
	}
	// That is what the documentation tells people to do.
	a.syncWith()
	a.stands("90/10", "Paused")
	if s := a.compare(); s.sync != "Synced" || a.timeout() != "7s" {
		t.Errorf("a sync without RespectIgnoreDifferences brought the timeout %q, and Argo CD says %v", a.timeout(), s)
	}
	seen := map[string]bool{}
	for _, weights := range w.splits() {
		seen[weights] = true
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, []string{"100/0", "90/10"}) {
		t.Errorf("the weights went through %v, want nothing but stable's and the release's", got)
	}
}

// timeout is that of the VirtualService's first route.
func (a *application) timeout() string {
	a.Helper()
	list, _, _ := unstructured.NestedSlice(a.virtualService().Object, "spec", "http")
	v, _, _ := unstructured.NestedString(list[0].(map[string]any), "timeout")
	return v
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package pass

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/apply"
	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/traffic"
)

// plan changes nothing.
func plan(w *observe.World) *rollout.Plan {
	return &rollout.Plan{
		Status: w.Snapshot.Status, Replicas: map[rollout.Revision]int32{}, Deadlines: map[rollout.Revision]time.Time{},
	}
}

// stripped is an object without what every write changes.
func stripped(obj *unstructured.Unstructured) map[string]any {
	obj = obj.DeepCopy()
	obj.SetManagedFields(nil)
	obj.SetResourceVersion("")
	obj.SetGeneration(0)
	return obj.Object
}

func setWeights(t *testing.T, obj *unstructured.Unstructured, stable, canary int64) {
	t.Helper()
	http, _, _ := unstructured.NestedSlice(obj.Object, "spec", "http")
	route := http[1].(map[string]any)["route"].([]any)
	route[0].(map[string]any)["weight"], route[1].(map[string]any)["weight"] = stable, canary
	if err := unstructured.SetNestedSlice(obj.Object, http, "spec", "http"); err != nil {
		t.Fatal(err)
	}
}

func TestApply(t *testing.T) {
	all := newStand(t)

	t.Run("of a VirtualService nothing but the weights is changed", func(t *testing.T) {
		s := all.in(t)
		want := s.vs()
		w := s.observe(whole)
		p := plan(w)
		p.Weights = &rollout.Weights{Stable: 80, Canary: 20}
		if err := s.applier.Apply(t.Context(), w, p); err != nil {
			t.Fatal(err)
		}
		setWeights(t, want, 80, 20)
		got := s.vs()
		if d := cmp.Diff(stripped(want), stripped(got)); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		for _, m := range got.GetManagedFields() {
			if m.Manager != "git" && strings.Contains(string(m.FieldsV1.Raw), "f:hosts") {
				t.Errorf("%s owns spec.hosts too", m.Manager)
			}
		}
		s.put(strings.Split(objects, "\n---\n")[2]) // Git applies it again, and nobody's field is lost
	})

	t.Run("a latch is left by the same write, and taken off again", func(t *testing.T) {
		s := all.in(t)
		want := s.vs()
		w := s.observe(whole)
		p := plan(w)
		p.Weights = &rollout.Weights{Stable: 100}
		before := s.vs().GetResourceVersion()
		if err := s.applier.Traffic(t.Context(), w, p, &traffic.Latch{Revision: "abc", Attempt: 2}, func() {}); err != nil {
			t.Fatal(err)
		}
		got := s.vs()
		if got.GetResourceVersion() == before || got.GetAnnotations()["sluice.dev/aborted"] != "abc/2" || got.GetAnnotations()["theirs"] != "stays" {
			t.Errorf("annotations are %v", got.GetAnnotations())
		}
		w = s.observe(func(w *observe.World) error { return whole(w) })
		p = plan(w)
		p.Unlatch = true
		if err := s.applier.Apply(t.Context(), w, p); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(stripped(want), stripped(s.vs())); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	})

	t.Run("a VirtualService that changed since is left alone", func(t *testing.T) {
		s := all.in(t)
		w := s.observe(whole)
		s.patch(s.vs(), `{"metadata":{"labels":{"touched":"yes"}}}`)
		want := s.vs()
		p := plan(w)
		p.Weights = &rollout.Weights{Stable: 80, Canary: 20}
		if err := s.applier.Traffic(t.Context(), w, p, nil, func() {}); err == nil {
			t.Error("no error")
		}
		if d := cmp.Diff(want.Object, s.vs().Object); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		if err := s.applier.Apply(t.Context(), w, p); err != nil {
			t.Errorf("a look that was stale is no error of a pass: %v", err)
		}
	})

	t.Run("a status is committed on what was observed only", func(t *testing.T) {
		s := all.in(t)
		w := s.observe(whole)
		s.patch(s.Rollout(s.ns, "web"), `{"metadata":{"annotations":{"touched":"yes"}}}`)
		p := plan(w)
		p.Status.Current, p.Status.Phase = "abc", rollout.Progressing
		if err := s.applier.Commit(t.Context(), w, p); !apierrors.IsConflict(err) {
			t.Errorf("err is %v, want a conflict", err)
		}
		if got := s.Rollout(s.ns, "web").Status.CurrentPodHash; got != "" {
			t.Errorf("it was stored: %q", got)
		}
	})

	t.Run("a pass that says nothing new proves itself before it raises a weight", func(t *testing.T) {
		s := all.in(t)
		w := s.observe(whole)
		p := plan(w)
		p.Status.Current, p.Status.Phase = "abc", rollout.Progressing
		if err := s.applier.Commit(t.Context(), w, p); err != nil {
			t.Fatal(err)
		}
		w = s.observe(whole)
		s.patch(s.Rollout(s.ns, "web"), `{"metadata":{"annotations":{"touched":"yes"}}}`)
		p = plan(w)
		if err := s.applier.Commit(t.Context(), w, p); err != nil {
			t.Errorf("nothing to say and nothing raised: %v", err)
		}
		p.Weights = &rollout.Weights{Stable: 80, Canary: 20}
		if err := s.applier.Commit(t.Context(), w, p); !apierrors.IsConflict(err) {
			t.Errorf("err is %v, want a conflict", err)
		}
	})

	t.Run("an abort is committed again unless the world has moved on", func(t *testing.T) {
		s := all.in(t)
		s.status(`{"status":{"currentPodHash":"abc","sluice":{"attempt":1}}}`)
		w := s.observe(func(w *observe.World) error { return whole(w) })
		p := plan(w)
		p.Status.Current, p.Status.Attempt, p.Status.Abort, p.Status.Phase = "abc", 1, true, rollout.Degraded
		s.patch(s.Rollout(s.ns, "web"), `{"metadata":{"annotations":{"touched":"yes"}}}`)
		if err := s.applier.Commit(t.Context(), w, p); !apierrors.IsConflict(err) {
			t.Fatalf("err is %v, want a conflict", err)
		}
		if same, err := s.applier.Recommit(t.Context(), w, p); err != nil || !same {
			t.Fatalf("%t, %v", same, err)
		}
		if ro := s.Rollout(s.ns, "web"); !ro.Status.Abort || ro.Annotations["touched"] != "yes" {
			t.Errorf("abort is %t, annotations %v", ro.Status.Abort, ro.Annotations)
		}
		for name, body := range map[string]string{
			"another revision": `{"status":{"abort":false,"currentPodHash":"def"}}`,
			"another attempt":  `{"status":{"abort":false,"currentPodHash":"abc","sluice":{"attempt":2}}}`,
		} {
			s.status(body)
			if same, err := s.applier.Recommit(t.Context(), w, p); same || err != nil {
				t.Errorf("%s: %t, %v", name, same, err)
			}
			if s.Rollout(s.ns, "web").Status.Abort {
				t.Errorf("%s was aborted", name)
			}
		}
	})

	t.Run("a ReplicaSet is made once, and a foreign one of its name is not touched", func(t *testing.T) {
		s := all.in(t)
		w := s.observe(whole)
		p := plan(w)
		hash := rollout.Revision(w.Hash)
		p.Status.Current, p.Replicas[hash] = hash, 2
		for range 2 { // the second look has not seen the first write
			if err := s.applier.Apply(t.Context(), w, p); err != nil {
				t.Fatal(err)
			}
		}
		rs := s.object("apps/v1", "ReplicaSet", "web-"+w.Hash)
		for key, want := range map[string]string{"rollout.argoproj.io/revision": "1", "rollout.argoproj.io/desired-replicas": "3", "note": "kept"} {
			if got := rs.GetAnnotations()[key]; got != want {
				t.Errorf("annotation %s is %q, want %q", key, got, want)
			}
		}
		if n, _, _ := unstructured.NestedInt64(rs.Object, "spec", "replicas"); n != 2 {
			t.Errorf("it has %d replicas", n)
		}
		// The overlay shows it before the cache does.
		if w := s.observe(whole); w.ReplicaSets[hash] == nil {
			t.Error("the next look does not see what was made")
		}
	})

	t.Run("a ReplicaSet of somebody else's that has our name makes another hash", func(t *testing.T) {
		s := all.in(t)
		w := s.observe(whole)
		s.put(`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-` + w.Hash + `}, spec: {replicas: 0, selector: {matchLabels: {app: x}},
			template: {metadata: {labels: {app: x}}, spec: {containers: [{name: x, image: x}]}}}}`)
		want := s.object("apps/v1", "ReplicaSet", "web-"+w.Hash)
		p := plan(w)
		p.Status.Current = rollout.Revision(w.Hash)
		p.Replicas[p.Status.Current] = 1
		if err := s.applier.Apply(t.Context(), w, p); err != nil {
			t.Fatal(err)
		}
		if got := s.object("apps/v1", "ReplicaSet", "web-"+w.Hash); len(got.GetOwnerReferences()) != len(want.GetOwnerReferences()) {
			t.Errorf("it was taken: %v", got.GetOwnerReferences())
		}
		if n := s.Rollout(s.ns, "web").Status.CollisionCount; n == nil || *n != 1 {
			t.Errorf("collisionCount is %v", n)
		}
		if again := s.observe(whole); again.Hash == w.Hash {
			t.Error("the next look wants the same name")
		}
	})

	t.Run("a Service is pointed at a revision, and given back", func(t *testing.T) {
		s := all.in(t)
		w := s.observe(whole)
		p := plan(w)
		p.Services = rollout.Services{Canary: "abc"}
		if err := s.applier.Apply(t.Context(), w, p); err != nil {
			t.Fatal(err)
		}
		svc := s.object("v1", "Service", "canary")
		selector, _, _ := unstructured.NestedStringMap(svc.Object, "spec", "selector")
		if selector[v1alpha1.LabelPodTemplateHash] != "abc" || selector["app"] != "web" || svc.GetAnnotations()[v1alpha1.AnnotationManagedByRollouts] != "web" {
			t.Errorf("selector is %v, annotations %v", selector, svc.GetAnnotations())
		}
		w = s.observe(func(w *observe.World) error { return whole(w) })
		if err := apply.Release(t.Context(), s.applier, &observe.Legacy{Free: []corev1.Service{*w.Canary}}); err != nil {
			t.Fatal(err)
		}
		svc = s.object("v1", "Service", "canary")
		selector, _, _ = unstructured.NestedStringMap(svc.Object, "spec", "selector")
		if len(selector) != 1 || selector["app"] != "web" || len(svc.GetAnnotations()) != 0 {
			t.Errorf("selector is %v, annotations %v", selector, svc.GetAnnotations())
		}
	})

	t.Run("what a context cut off is done by the next pass", func(t *testing.T) {
		s := all.in(t)
		w := s.observe(whole)
		hash := rollout.Revision(w.Hash)
		p := plan(w)
		p.Status.Current, p.Replicas[hash], p.Services.Canary = hash, 1, hash
		p.Weights = &rollout.Weights{Stable: 90, Canary: 10}
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.applier.Traffic(ctx, w, p, nil, cancel); err != nil {
			t.Fatal(err)
		}
		if err := s.applier.Apply(ctx, w, p); err == nil {
			t.Error("writes that could not be made are no error")
		}
		setWeights(t, s.vs(), 90, 10)
		w = s.observe(whole)
		if w.Snapshot.Router.Weights != (rollout.Weights{Stable: 90, Canary: 10}) {
			t.Errorf("the weights are %v", w.Snapshot.Router.Weights)
		}
		p.Weights = nil
		if err := s.applier.Apply(t.Context(), w, p); err != nil {
			t.Fatal(err)
		}
		s.object("apps/v1", "ReplicaSet", "web-"+w.Hash)
		var runs v1alpha1.AnalysisRunList
		if err := s.Client.List(t.Context(), &runs, client.InNamespace(s.ns)); err != nil || len(runs.Items) != 0 {
			t.Errorf("%d runs, %v", len(runs.Items), err)
		}
	})

	t.Run("a run is started once and stopped with its reason", func(t *testing.T) {
		s := all.in(t)
		w := s.observe(whole)
		p := plan(w)
		p.Status.Current, p.Status.Attempt = rollout.Revision(w.Hash), 3
		p.Replicas[p.Status.Current] = 1
		if err := s.applier.Apply(t.Context(), w, p); err != nil {
			t.Fatal(err)
		}
		w = s.observe(func(w *observe.World) error { return whole(w) })
		w.Snapshot.Status = p.Status
		p = plan(w)
		p.Start = []rollout.StartRun{{Name: "web-run", Kind: rollout.RunKindStep, Step: 1}}
		for range 2 {
			if err := s.applier.Apply(t.Context(), w, p); err != nil {
				t.Fatal(err)
			}
		}
		run := s.object("argoproj.io/v1alpha1", "AnalysisRun", "web-run")
		if l := run.GetLabels(); l["rollout-type"] != "Step" || l["step-index"] != "1" || l[v1alpha1.LabelPodTemplateHash] != w.Hash || l["app"] != "web" {
			t.Errorf("labels are %v", l)
		}
		if run.GetAnnotations()[observe.AnnotationAttempt] != "3" || run.GetOwnerReferences()[0].UID != w.Rollout.UID {
			t.Errorf("annotations are %v", run.GetAnnotations())
		}
		w = s.observe(func(w *observe.World) error { return whole(w) })
		p = plan(w)
		p.Stop = []rollout.StopRun{{Name: "web-run", Why: "its step was skipped"}}
		if err := s.applier.Apply(t.Context(), w, p); err != nil {
			t.Fatal(err)
		}
		run = s.object("argoproj.io/v1alpha1", "AnalysisRun", "web-run")
		if end, _, _ := unstructured.NestedBool(run.Object, "spec", "terminate"); !end || !strings.Contains(strings.Join(values(run.GetAnnotations()), " "), "its step was skipped") {
			t.Errorf("terminate is %t, annotations %v", end, run.GetAnnotations())
		}
	})
}

func values(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

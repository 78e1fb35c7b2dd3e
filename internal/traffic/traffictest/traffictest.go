// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package traffictest is the conformance suite of traffic routers: the laws
// that each must obey, whatever its objects look like. It applies patches as
// the API server would; it does not know any kind of object.
package traffictest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"sluice.dev/sluice/internal/traffic"
)

// A World is a router, and objects that it has nothing to object to.
type World struct {
	Router  traffic.Router
	Objects []*unstructured.Unstructured
	// Owned reports whether the router may write the field of object i at a
	// JSON pointer. Nothing else may ever change.
	Owned func(i int, pointer string) bool
	// Disturb are changes that others may make to object i between a look and
	// a write, by name, after which a patch made before must fail even if the
	// version of the object is disregarded.
	Disturb map[string]func(i int, object map[string]any)
}

// Run checks every law against worlds that draw makes.
func Run(t *testing.T, draw func(*rapid.T) World) {
	t.Helper()
	for name, law := range map[string]func(*rapid.T, World){
		"what is wanted is what is observed":          observed,
		"a second patch is empty":                     idempotent,
		"only owned fields are written":               ownedOnly,
		"objects are not changed in place":            pure,
		"a patch made before somebody's write fails":  stale,
		"an abort's mark stays until it is taken off": latched,
		"missing objects are named":                   missing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { law(t, draw(t)) })
		})
	}
}

// change draws what the objects are to carry.
func change(t *rapid.T) traffic.Change {
	canary := rapid.Int32Range(0, traffic.Whole).Draw(t, "canary")
	want := traffic.Change{Weights: traffic.Weights{Stable: traffic.Whole - canary, Canary: canary}}
	switch rapid.IntRange(0, 2).Draw(t, "latch") {
	case 1:
		want.Latch = &traffic.Latch{}
	case 2:
		want.Latch = &traffic.Latch{Revision: "abc", Attempt: rapid.Int32Range(0, 3).Draw(t, "attempt")}
	}
	return want
}

// carry applies what the router says it takes to carry want.
func (w World) carry(t *rapid.T, objs []*unstructured.Unstructured, want traffic.Change) []*unstructured.Unstructured {
	t.Helper()
	patches, err := w.Router.Patch(objs, want)
	if err != nil {
		t.Fatalf("Patch: %v", err)
	}
	out := append([]*unstructured.Unstructured(nil), objs...)
	for _, p := range patches {
		i := w.index(t, p.Ref)
		next, err := Apply(out[i], p.JSON)
		if err != nil {
			t.Fatalf("the patch of %s does not apply: %v\n%s", p.Ref, err, p.JSON)
		}
		out[i] = next
	}
	return out
}

// index is the place of ref among the router's objects.
func (w World) index(t *rapid.T, ref traffic.Ref) int {
	t.Helper()
	for i, r := range w.Router.Refs() {
		if r == ref {
			return i
		}
	}
	t.Fatalf("a patch for %s, which is not among the router's objects", ref)
	return -1
}

func (w World) look(t *rapid.T, objs []*unstructured.Unstructured) traffic.Observation {
	t.Helper()
	got, err := w.Router.Observe(objs)
	if err != nil {
		t.Fatalf("Observe: %v", err)
	}
	return got
}

func observed(t *rapid.T, w World) {
	objs := w.Objects
	for range rapid.IntRange(1, 4).Draw(t, "changes") {
		want := change(t)
		objs = w.carry(t, objs, want)
		if got := w.look(t, objs).Weights; got != want.Weights {
			t.Fatalf("weights: got %+v, want %+v", got, want.Weights)
		}
	}
}

func idempotent(t *rapid.T, w World) {
	want := change(t)
	objs := w.carry(t, w.Objects, want)
	patches, err := w.Router.Patch(objs, want)
	if err != nil || len(patches) > 0 {
		t.Fatalf("a second patch for the same change: %v, error %v", patches, err)
	}
}

func ownedOnly(t *rapid.T, w World) {
	after := w.carry(t, w.Objects, change(t))
	for i := range after {
		for _, pointer := range differences(w.Objects[i].Object, after[i].Object) {
			if pointer != "/metadata/resourceVersion" && !w.Owned(i, pointer) {
				t.Errorf("%s: %s was written and is not the router's", w.Router.Refs()[i], pointer)
			}
		}
	}
}

func pure(t *rapid.T, w World) {
	before := make([]*unstructured.Unstructured, len(w.Objects))
	for i, obj := range w.Objects {
		before[i] = obj.DeepCopy()
	}
	w.look(t, w.Objects)
	if _, err := w.Router.Patch(w.Objects, change(t)); err != nil {
		t.Fatalf("Patch: %v", err)
	}
	if diff := cmp.Diff(before, w.Objects); diff != "" {
		t.Errorf("objects changed in place (-before +after):\n%s", diff)
	}
}

func stale(t *rapid.T, w World) {
	patches, err := w.Router.Patch(w.Objects, change(t))
	if err != nil {
		t.Fatalf("Patch: %v", err)
	}
	for _, p := range patches {
		i := w.index(t, p.Ref)
		other := w.Objects[i].DeepCopy()
		other.SetResourceVersion(other.GetResourceVersion() + "9")
		if _, err := Apply(other, p.JSON); err == nil {
			t.Errorf("%s: a patch of an older version was taken", p.Ref)
		}
		for name, disturb := range w.Disturb {
			other := w.Objects[i].DeepCopy()
			disturb(i, other.Object)
			if cmp.Equal(other.Object, w.Objects[i].Object) || !reweighs(p.JSON) {
				continue
			}
			if _, err := Apply(other, p.JSON); err == nil {
				t.Errorf("%s: %s, and the patch still applied:\n%s", p.Ref, name, p.JSON)
			}
		}
	}
}

func latched(t *rapid.T, w World) {
	weights := change(t).Weights
	latch := traffic.Latch{Revision: "5bb7bc5849", Attempt: 2}
	objs := w.carry(t, w.Objects, traffic.Change{Weights: weights, Latch: &latch})
	if got := w.look(t, objs).Latch; got != latch {
		t.Errorf("after an abort: got %+v, want %+v", got, latch)
	}
	objs = w.carry(t, objs, traffic.Change{Weights: change(t).Weights})
	if got := w.look(t, objs).Latch; got != latch {
		t.Errorf("after a change that leaves it: got %+v, want %+v", got, latch)
	}
	objs = w.carry(t, objs, traffic.Change{Weights: weights, Latch: &traffic.Latch{}})
	if got := w.look(t, objs).Latch; got != (traffic.Latch{}) {
		t.Errorf("after a retry: got %+v, want none", got)
	}
}

func missing(t *rapid.T, w World) {
	gone := rapid.IntRange(0, len(w.Objects)-1).Draw(t, "gone")
	objs := append([]*unstructured.Unstructured(nil), w.Objects...)
	objs[gone] = nil
	ref := w.Router.Refs()[gone].String()
	_, err := w.Router.Observe(objs)
	named(t, "Observe", err, ref)

	patches, err := w.Router.Patch(objs, traffic.Change{Weights: traffic.Weights{Stable: 1, Canary: traffic.Whole - 1}})
	named(t, "Patch", err, ref)
	if len(patches) > 0 {
		t.Errorf("the canary's share was raised in part: %v", patches)
	}
	patches, err = w.Router.Patch(objs, traffic.Change{Weights: traffic.Weights{Stable: traffic.Whole}})
	named(t, "Patch", err, ref)
	all, err := w.Router.Patch(w.Objects, traffic.Change{Weights: traffic.Weights{Stable: traffic.Whole}})
	if err != nil {
		t.Fatalf("Patch: %v", err)
	}
	for _, p := range all {
		if w.index(t, p.Ref) != gone && !cmp.Equal(find(patches, p.Ref), p.JSON) {
			t.Errorf("%s was not retreated from because %s is missing", p.Ref, ref)
		}
	}
}

func find(patches []traffic.Patch, ref traffic.Ref) []byte {
	for _, p := range patches {
		if p.Ref == ref {
			return p.JSON
		}
	}
	return nil
}

// named checks that err holds a problem of object.
func named(t *rapid.T, call string, err error, object string) {
	t.Helper()
	for _, p := range traffic.Problems(err) {
		if p.Object == object && p.Field != "" && p.Message != "" {
			return
		}
	}
	t.Errorf("%s without %s: no problem names it: %v", call, object, err)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package traffic is the port to meshes and gateways: it translates between a
// split of the traffic and the objects that carry it. It does no I/O: others
// fetch the objects and apply the patches. It splits traffic between two
// destinations, and does not know which revision stands behind which.
package traffic

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Whole is the sum of the two weights of a split.
const Whole = 100

// A Ref names an object that carries part of the split.
type Ref struct {
	schema.GroupVersionKind
	Namespace string
	Name      string
}

// String is the object as people name it: kind, namespace and name.
func (r Ref) String() string {
	return fmt.Sprintf("%s %s/%s", r.Kind, r.Namespace, r.Name)
}

// Weights is a split of the traffic between the stable and the canary
// destination, in percent.
type Weights struct{ Stable, Canary int32 }

// An Observation is the split that a router's objects carry.
type Observation struct {
	// Weights is the most that each destination gets in any route. Where all
	// routes agree, and that is always so after a Change was made, the two are
	// the split and sum up to Whole; otherwise they differ from every split
	// that could be wanted, so that comparing is enough to see that there is
	// something to do.
	Weights Weights
	// Latch is what an abort left on the objects; the zero Latch when none did.
	Latch Latch
}

// A Change is what the objects are to carry.
type Change struct {
	// Weights must not be negative, and must sum up to Whole.
	Weights Weights
	// Latch is left on the objects, in the same write as the weights. The zero
	// Latch takes one away; nil leaves what is there.
	Latch *Latch
}

// A Patch changes one object.
type Patch struct {
	Ref Ref
	// JSON is a JSON patch (RFC 6902). Applied to an object that has changed
	// since it was observed, it fails and changes nothing: with 422 if what it
	// relies on is gone, with 409 if the object merely is another version.
	JSON []byte
}

// A Router knows the objects of one Rollout in one kind of mesh or gateway.
// Its methods are pure, and safe for concurrent use.
//
// The objects handed to Observe and Patch are in the order of Refs; nil means
// not found. They are not changed. What is wrong with them comes back as an
// error that holds a *Problem for each fault: see [Problems].
type Router interface {
	// Refs lists the objects that the router reads and writes.
	Refs() []Ref
	// Observe returns the split that objs carry. Beside an error it returns
	// what could be read all the same.
	Observe(objs []*unstructured.Unstructured) (Observation, error)
	// Patch returns what makes objs carry want, one patch for each object that
	// does not yet. The patches touch nothing but weights and the latch.
	//
	// A change that leaves the canary no traffic is never held up by what it
	// does not need: beside an error, Patch then returns the patches that are
	// possible, and they are to be applied. Beside an error any other change
	// returns none.
	Patch(objs []*unstructured.Unstructured, want Change) ([]Patch, error)
}

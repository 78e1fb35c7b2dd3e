// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package podtemplate

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// A Candidate is a ReplicaSet that may already run a template.
type Candidate struct {
	// Name breaks ties between candidates of the same age.
	Name string
	// Hash is the value of the ReplicaSet's HashLabel.
	Hash string
	// Created is when the ReplicaSet was created.
	Created time.Time
	// Template is the ReplicaSet's pod template as stored.
	Template *corev1.PodTemplateSpec
	// Injected are the labels and annotations that a controller added to
	// Template because of the ReplicaSet's role. They are not compared.
	Injected Metadata
}

// Metadata are labels and annotations that come and go with the role of a
// ReplicaSet (canary or stable), and are no part of its template.
type Metadata struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ParseMetadata reads what was added to a ReplicaSet's template from the
// ReplicaSet's annotation v1alpha1.AnnotationEphemeralMetadata. Text that is no
// such record, the empty text above all, says that nothing was.
func ParseMetadata(text string) Metadata {
	var out Metadata
	if text == "" || json.Unmarshal([]byte(text), &out) != nil {
		return Metadata{}
	}
	return out
}

// A Match says by what a Candidate was found.
type Match string

// The ways to find a candidate, the surest first.
const (
	// None: no candidate runs the template.
	None Match = ""
	// ByCurrent: the revision that the Rollout is at has an equal template.
	ByCurrent Match = "current"
	// ByHash: the label is our hash and the templates are equal.
	ByHash Match = "hash"
	// ByTemplate: the templates are equal, the label is another hash, such as
	// an older Argo Rollouts gives.
	ByTemplate Match = "template"
	// ByLabel: the label is our hash, but the stored template differs. An
	// admission webhook changed it, or the API server dropped what it does not
	// know; creating the ReplicaSet again would change nothing.
	ByLabel Match = "label"
)

// Wanted is what Find looks for.
type Wanted struct {
	// Template is the Rollout's pod template.
	Template *corev1.PodTemplateSpec
	// Hash is Hash(Template), with the Rollout's collision count.
	Hash string
	// Current is the Rollout's status.currentPodHash, or empty. It decides
	// between ReplicaSets with equal templates, so that none is replaced by its
	// twin.
	Current string
}

// Find returns the index of the candidate that runs want.Template, and by what
// it was found, or -1 and None. The surest match wins; among equally sure ones
// the newest, then the greatest name. An adopted ReplicaSet keeps its name and
// its label.
//
// Templates are compared only where labels do not settle it: a ReplicaSet that
// carries both our hash and the current one is taken at its word, so a pass in
// which nothing changed costs no comparison.
func Find(want Wanted, candidates []Candidate) (int, Match) {
	if i := surest(candidates, func(c *Candidate) int {
		if want.settled(c) {
			return rank[ByCurrent]
		}
		return rank[None]
	}); i >= 0 {
		return i, ByCurrent
	}
	target := canonical(want.Template)
	how := make(map[*Candidate]Match, len(candidates))
	i := surest(candidates, func(c *Candidate) int {
		how[c] = want.match(c, target)
		return rank[how[c]]
	})
	if i < 0 {
		return -1, None
	}
	return i, how[&candidates[i]]
}

// surest is the index of the candidate of the highest rank above that of None,
// the newest among equals, or -1.
func surest(candidates []Candidate, rankOf func(*Candidate) int) int {
	best, top := -1, rank[None]
	for i := range candidates {
		c := &candidates[i]
		r := rankOf(c)
		if r > top || r == top && best >= 0 && newer(c, &candidates[best]) {
			best, top = i, r
		}
	}
	return best
}

// rank orders matches; a surer match has a greater rank.
var rank = map[Match]int{None: 0, ByLabel: 1, ByTemplate: 2, ByHash: 3, ByCurrent: 4}

// settled reports whether c's label says, twice over, that it is the one.
func (w Wanted) settled(c *Candidate) bool {
	return c.Hash != "" && c.Hash == w.Hash && c.Hash == w.Current
}

// match says by what c is w; target is w's template in canonical form.
func (w Wanted) match(c *Candidate, target *corev1.PodTemplateSpec) Match {
	own := c.own()
	if sameImages(target, own) && equality.Semantic.DeepEqual(target, canonical(own)) {
		switch c.Hash {
		case "":
			return ByTemplate
		case w.Current:
			return ByCurrent
		case w.Hash:
			return ByHash
		default:
			return ByTemplate
		}
	}
	if c.Hash != "" && c.Hash == w.Hash {
		return ByLabel
	}
	return None
}

// sameImages reports whether a and b run the same images, which no default
// touches. Most revisions differ in them, so it spares most comparisons.
func sameImages(a, b *corev1.PodTemplateSpec) bool {
	return slices.EqualFunc(a.Spec.Containers, b.Spec.Containers,
		func(a, b corev1.Container) bool { return a.Image == b.Image })
}

// own is the candidate's template without what its role added.
func (c *Candidate) own() *corev1.PodTemplateSpec {
	if len(c.Injected.Labels) == 0 && len(c.Injected.Annotations) == 0 {
		return c.Template
	}
	out := *c.Template
	out.Labels = without(out.Labels, c.Injected.Labels)
	out.Annotations = without(out.Annotations, c.Injected.Annotations)
	return &out
}

// without is have less the pairs of drop. A pair whose value was changed since
// is somebody else's and stays.
func without(have, drop map[string]string) map[string]string {
	out := maps.Clone(have)
	maps.DeleteFunc(out, func(k, v string) bool {
		d, ok := drop[k]
		return ok && d == v
	})
	return out
}

func newer(a, b *Candidate) bool {
	if !a.Created.Equal(b.Created) {
		return a.Created.After(b.Created)
	}
	return a.Name > b.Name
}

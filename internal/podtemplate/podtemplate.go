// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podtemplate knows when two pod templates are the same: it fills in
// the defaults that the API server writes, compares templates, computes the
// hash that names a revision, and finds the ReplicaSet that already runs a
// template. It is pure; it neither reads nor writes ReplicaSets, and it does
// not validate templates.
package podtemplate

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"

	corev1 "k8s.io/api/core/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// HashLabel is the label, on ReplicaSets and their pods, that holds the hash of
// a revision.
const HashLabel = v1alpha1.LabelPodTemplateHash

// Hash returns the name of template's revision: the hash that Argo Rollouts 1.9
// and later give it, bit for bit. It is taken over the template as the user
// wrote it, before defaults. The collision count of the Rollout's status, when
// not nil, is part of it.
//
// An existing ReplicaSet keeps whatever hash it carries: see [Find].
func Hash(template *corev1.PodTemplateSpec, collisionCount *int32) string {
	doc, err := json.Marshal(template)
	if err != nil {
		// Every PodTemplateSpec that was decoded from JSON can be encoded.
		panic(fmt.Sprintf("podtemplate: encode template: %v", err))
	}
	if collisionCount != nil {
		// Eight bytes although only four are used: that is what Argo hashes.
		var count [8]byte
		binary.LittleEndian.PutUint32(count[:], uint32(*collisionCount))
		doc = append(doc, count[:]...)
	}
	return encode(doc)
}

// safe is the alphabet of names that the API server generates: no vowels, and
// no digits that look like them, so that no hash spells a word.
const safe = "bcdfghjklmnpqrstvwxz2456789"

// encode returns the FNV-1a hash of doc in decimal, each digit's character
// replaced by one of the safe alphabet.
func encode(doc []byte) string {
	h := fnv.New32a()
	_, _ = h.Write(doc) // never fails
	out := fmt.Appendf(nil, "%d", h.Sum32())
	for i, c := range out {
		out[i] = safe[int(c)%len(safe)]
	}
	return string(out)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"strconv"
	"strings"

	"sluice.dev/sluice/api/v1alpha1"
)

// AnnotationAborted is the annotation, on the objects of a router, that an
// abort leaves with the weights, before it is recorded in the Rollout's status.
const AnnotationAborted = v1alpha1.SluicePrefix + "aborted"

// A Latch says which attempt was aborted.
type Latch struct {
	// Revision is the pod-template hash of what was aborted. A Latch without
	// one is none.
	Revision string
	// Attempt is the number of the attempt at Revision, from 1; 0 when it is
	// not known.
	Attempt int32
}

// ParseLatch reads the value of AnnotationAborted: the revision, and after a
// slash the attempt, if known.
func ParseLatch(value string) Latch {
	revision, number, _ := strings.Cut(value, "/")
	attempt, err := strconv.ParseInt(number, 10, 32)
	if err != nil || attempt < 0 {
		attempt = 0 // the abort counts, whatever was done to the number
	}
	return Latch{Revision: revision, Attempt: int32(attempt)}
}

// String is the value of AnnotationAborted that says l.
func (l Latch) String() string {
	if l.Revision == "" || l.Attempt <= 0 {
		return l.Revision
	}
	return l.Revision + "/" + strconv.Itoa(int(l.Attempt))
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/drill"
)

// gate says whether a drill has proven the gates of ro, and when; empty when ro
// has none. The controller's condition knows whether they changed since.
func gate(ro *v1alpha1.Rollout, now time.Time) string {
	if !drill.Gated(ro) {
		return ""
	}
	if ro.Annotations[drill.AnnotationRecord] != "" {
		return "a drill is under way, or was interrupted; drill --clean-up puts everything back"
	}
	proof := drill.ReadProof(ro)
	if proof == nil {
		return "never proven"
	}
	ago := ""
	if d := since(proof.At, now); d > 0 {
		ago = " " + duration.HumanDuration(d) + " ago"
	}
	reason := ""
	for _, c := range ro.Status.Conditions {
		if c.Type == v1alpha1.RolloutGateProven {
			reason = c.Reason
		}
	}
	switch {
	case proof.Outcome != drill.Proven:
		return "NOT proven: the drill" + ago + " failed: " + proof.Why
	case reason == drill.ReasonChanged:
		return "changed since it was proven" + ago
	case reason == drill.ReasonProven:
		return "proven" + ago
	}
	return "proven" + ago + "; no controller has said whether it changed since"
}

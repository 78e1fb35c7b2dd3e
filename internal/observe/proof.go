// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/drill"
	"sluice.dev/sluice/internal/rollout"
)

// proof reads what a drill has shown about the gates, and whether they are
// still the same. A template that is not there is a change.
func proof(ctx context.Context, o *Observer, w *World) error {
	kept := drill.ReadProof(w.Rollout)
	if kept == nil {
		return nil
	}
	var failed error
	gates, err := drill.Gates(w.Rollout, func(ref v1alpha1.AnalysisTemplateRef) (*v1alpha1.AnalysisTemplateSpec, error) {
		t, err := o.template(ctx, w.Rollout.Namespace, ref)
		if err != nil && !missing(err) {
			failed = err
		}
		return t, err
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		gates = nil
	}
	claim := kept.Claim(gates)
	status := "False"
	if claim.True {
		status = "True"
	}
	w.Snapshot.Gate = &rollout.Condition{
		Type: rollout.CondGateProven, Status: status, Reason: claim.Reason, Message: claim.Message,
		Updated: claim.At, Changed: claim.At,
	}
	return nil
}

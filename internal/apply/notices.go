// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"
	"maps"
	"slices"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/rollout"
)

// notices puts what is to be told into the status that is about to be stored:
// the write that makes something true is the one that says so.
func notices(a *Applier, w *observe.World, next *v1alpha1.Rollout, plan *rollout.Plan) {
	if a.Wanted == nil {
		return
	}
	events := outbox.Derive(w.Rollout, next)
	events = append(events, scalings(w, plan)...)
	for _, e := range plan.Events {
		out := outbox.Event{Reason: e.Reason, Message: e.Message}
		if v := plan.Status.Verdict; v != nil && e.Reason == rollout.ReasonAborted {
			out.Run = v.Run
		}
		events = append(events, out)
	}
	outbox.Add(w.Rollout, next, events, func(reason string) bool { return a.Wanted(next, reason) }, w.Snapshot.Now)
}

// scalings are the ReplicaSets that plan makes larger or smaller.
func scalings(w *observe.World, plan *rollout.Plan) []outbox.Event {
	var out []outbox.Event
	for _, r := range slices.Sorted(maps.Keys(plan.Replicas)) {
		size := plan.Replicas[r]
		name, from := w.Rollout.Name+"-"+string(r), int32(0)
		if rs := w.ReplicaSets[r]; rs != nil {
			name = rs.Name
			if rs.Spec.Replicas != nil {
				from = *rs.Spec.Replicas
			}
		}
		if from == size {
			continue
		}
		how := "up"
		if size < from {
			how = "down"
		}
		out = append(out, outbox.Event{
			Reason:  v1alpha1.EventScalingReplicaSet,
			Message: fmt.Sprintf("Scaled %s ReplicaSet %s from %d to %d", how, name, from, size),
		})
	}
	return out
}

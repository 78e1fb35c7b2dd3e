// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"fmt"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/codec"
	"sluice.dev/sluice/internal/podtemplate"
	"sluice.dev/sluice/internal/rollout"
)

// replicaSets reads the ReplicaSets, finds the one that has the template asked
// for, and with it fills in Spec and Status.
func (o *Observer) replicaSets(ctx context.Context, w *World) error {
	ro := w.Rollout
	var list appsv1.ReplicaSetList
	err := o.Cached.List(ctx, &list, client.InNamespace(ro.Namespace),
		client.MatchingFields{IndexOwner: string(ro.UID)}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("list the ReplicaSets of Rollout %s/%s: %w", ro.Namespace, ro.Name, err)
	}
	w.ReplicaSets = make(map[rollout.Revision]*appsv1.ReplicaSet, len(list.Items))
	w.Snapshot.Pools = make(map[rollout.Revision]rollout.Pool, len(list.Items))
	sets := o.sets(w, list.Items)
	for _, rs := range sets {
		hash := rs.Labels[v1alpha1.LabelPodTemplateHash]
		if hash == "" || rs.DeletionTimestamp != nil || rs.Annotations[v1alpha1.AnnotationExperimentName] != "" {
			continue
		}
		w.ReplicaSets[rollout.Revision(hash)] = rs
		w.Snapshot.Pools[rollout.Revision(hash)] = pool(rs)
	}
	w.Hash = w.find(sets)
	spec, problems := codec.Spec(ro, w.Hash, podtemplate.StepsHash(steps(ro)))
	w.Snapshot.Spec, w.Snapshot.Status = spec, codec.Status(ro)
	w.Snapshot.Problems = append(w.Snapshot.Problems, problems...)
	return nil
}

// sets are the ReplicaSets with our own writes on top.
func (o *Observer) sets(w *World, cached []appsv1.ReplicaSet) []*appsv1.ReplicaSet {
	now := w.Snapshot.Now
	sets := make([]*appsv1.ReplicaSet, 0, len(cached)+1)
	seen := make(map[types.UID]bool, len(cached))
	for i := range cached {
		seen[cached[i].UID] = true
		sets = append(sets, newer(o.Overlay, &cached[i], now))
	}
	return append(sets, unseen[*appsv1.ReplicaSet](o.Overlay, w.Rollout.UID, seen, now)...)
}

func steps(ro *v1alpha1.Rollout) []v1alpha1.CanaryStep {
	if ro.Spec.Strategy.Canary == nil {
		return nil
	}
	return ro.Spec.Strategy.Canary.Steps
}

// find returns the hash of the template asked for: the label of the ReplicaSet
// that has it, or a new one. A generation that was worked on needs no comparison.
func (w *World) find(sets []*appsv1.ReplicaSet) string {
	ro := w.Rollout
	current := ro.Status.CurrentPodHash
	if current != "" && begun(ro) {
		if _, ok := w.ReplicaSets[rollout.Revision(current)]; ok {
			return current
		}
	}
	hash := podtemplate.Hash(&ro.Spec.Template, ro.Status.CollisionCount)
	candidates := make([]podtemplate.Candidate, 0, len(sets))
	for _, rs := range sets {
		label := rs.Labels[v1alpha1.LabelPodTemplateHash]
		if w.ReplicaSets[rollout.Revision(label)] != rs {
			continue
		}
		candidates = append(candidates, podtemplate.Candidate{
			Name: rs.Name, Hash: label, Created: rs.CreationTimestamp.Time, Template: &rs.Spec.Template,
			Injected: podtemplate.ParseMetadata(rs.Annotations[v1alpha1.AnnotationEphemeralMetadata]),
		})
	}
	i, _ := podtemplate.Find(podtemplate.Wanted{Template: &ro.Spec.Template, Hash: hash, Current: current}, candidates)
	if i >= 0 {
		return candidates[i].Hash
	}
	return hash
}

// begun reports whether the status is about the template of this generation. That
// of a spec that could not be followed has seen the generation, and is still
// about the template before it.
func begun(ro *v1alpha1.Rollout) bool {
	if ro.Status.ObservedGeneration != strconv.FormatInt(ro.Generation, 10) {
		return false
	}
	for i := range ro.Status.Conditions {
		if c := &ro.Status.Conditions[i]; c.Type == v1alpha1.InvalidSpec {
			return false
		}
	}
	return true
}

// pool describes one ReplicaSet.
func pool(rs *appsv1.ReplicaSet) rollout.Pool {
	p := rollout.Pool{
		Desired: 1, Total: rs.Status.Replicas, Ready: rs.Status.ReadyReplicas,
		Available: rs.Status.AvailableReplicas, Number: Number(rs),
	}
	if rs.Spec.Replicas != nil {
		p.Desired = *rs.Spec.Replicas
	}
	if at, err := time.Parse(time.RFC3339, rs.Annotations[v1alpha1.AnnotationScaleDownDeadline]); err == nil {
		p.Deadline = at
	}
	return p
}

// Number returns the revision number of rs, 0 when it has none.
func Number(rs *appsv1.ReplicaSet) int64 {
	n, err := strconv.ParseInt(rs.Annotations[v1alpha1.AnnotationRevision], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

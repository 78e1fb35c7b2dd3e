// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/rollout"
)

// pods reads the rollout's pods while a restart is due, and at no other time:
// they are not cached, so that a controller at rest holds none of them.
func (o *Observer) pods(ctx context.Context, w *World) error {
	s := &w.Snapshot
	if !s.RestartDue() || len(s.Problems) > 0 {
		return nil
	}
	s.Restart = &rollout.Restart{Refused: o.Refusals.of(w.Rollout.UID, s.Now)}
	hashes := make([]string, 0, len(w.ReplicaSets))
	for r, pool := range s.Pools {
		if pool.Desired > 0 || pool.Total > 0 {
			hashes = append(hashes, string(r))
		}
	}
	if len(hashes) == 0 {
		return nil
	}
	slices.Sort(hashes)
	ours, err := labels.NewRequirement(v1alpha1.LabelPodTemplateHash, selection.In, hashes)
	if err != nil {
		return fmt.Errorf("select the pods of Rollout %s/%s: %w", w.Rollout.Namespace, w.Rollout.Name, err)
	}
	var list corev1.PodList
	err = o.Live.List(ctx, &list, client.InNamespace(w.Rollout.Namespace),
		client.MatchingLabelsSelector{Selector: labels.NewSelector().Add(*ours)})
	if err != nil {
		return fmt.Errorf("list the pods of Rollout %s/%s, which are to be restarted: %w", w.Rollout.Namespace, w.Rollout.Name, err)
	}
	for i := range list.Items {
		if pod, ok := w.pod(&list.Items[i]); ok {
			s.Restart.Pods = append(s.Restart.Pods, pod)
		}
	}
	w.recount()
	return nil
}

// pod describes one pod, if a ReplicaSet of the rollout controls it.
func (w *World) pod(pod *corev1.Pod) (rollout.Pod, bool) {
	revision := rollout.Revision(pod.Labels[v1alpha1.LabelPodTemplateHash])
	rs := w.ReplicaSets[revision]
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	if rs == nil || ended || !metav1.IsControlledBy(pod, rs) {
		return rollout.Pod{}, false
	}
	out := rollout.Pod{
		Name: pod.Name, UID: string(pod.UID), Version: pod.ResourceVersion, Revision: revision,
		Created: pod.CreationTimestamp.Time, Leaving: pod.DeletionTimestamp != nil,
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && !out.Leaving {
			out.AvailableAt = c.LastTransitionTime.Add(time.Duration(rs.Spec.MinReadySeconds) * time.Second)
		}
	}
	return out, true
}

// recount takes pods that are known to be gone from the counts of ReplicaSets
// that have not noticed yet: they must not be counted on.
func (w *World) recount() {
	s := &w.Snapshot
	fine := map[rollout.Revision]int32{}
	for _, pod := range s.Restart.Pods {
		if !pod.AvailableAt.IsZero() && !s.Now.Before(pod.AvailableAt) {
			fine[pod.Revision]++
		}
	}
	for r, pool := range s.Pools {
		pool.Available = min(pool.Available, fine[r])
		pool.Ready = max(min(pool.Ready, fine[r]), pool.Available)
		s.Pools[r] = pool
	}
}

// Refusals remembers the evictions that the API server refused, for as long as
// they are not to be tried again. Losing it costs one more try.
type Refusals struct {
	mu  sync.Mutex
	all map[types.UID]map[rollout.Revision]rollout.Refusal
}

// Add records that pods of owner's revision may not be evicted.
func (r *Refusals) Add(owner types.UID, revision rollout.Revision, refusal rollout.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[types.UID]map[rollout.Revision]rollout.Refusal{}
	}
	mine := maps.Clone(r.all[owner])
	if mine == nil {
		mine = map[rollout.Revision]rollout.Refusal{}
	}
	mine[revision] = refusal
	r.all[owner] = mine
}

// of returns what is still refused, and forgets the rest.
func (r *Refusals) of(owner types.UID, now time.Time) map[rollout.Revision]rollout.Refusal {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	mine := maps.Clone(r.all[owner])
	maps.DeleteFunc(mine, func(_ rollout.Revision, x rollout.Refusal) bool { return !now.Before(x.Until) })
	if len(mine) == 0 {
		delete(r.all, owner)
		return nil
	}
	r.all[owner] = mine
	return mine
}

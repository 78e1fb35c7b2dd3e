// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/podtemplate"
	"sluice.dev/sluice/internal/rollout"
)

// replicaSets makes, sizes and deletes ReplicaSets.
func (a *Applier) replicaSets(ctx context.Context, w *observe.World, plan *rollout.Plan) error {
	var errs []error
	for _, r := range slices.Sorted(maps.Keys(mentioned(plan))) {
		rs, ok := w.ReplicaSets[r]
		if !ok {
			if size, want := plan.Replicas[r]; want && r == plan.Status.Current {
				errs = append(errs, a.create(ctx, w, size))
			}
			continue
		}
		errs = append(errs, a.scale(ctx, w, plan, rs))
	}
	for _, r := range plan.Prune {
		rs := w.ReplicaSets[r]
		if rs == nil {
			continue
		}
		gone := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: rs.Namespace, Name: rs.Name}}
		err := a.Client.Delete(ctx, gone, client.PropagationPolicy(metav1.DeletePropagationBackground),
			client.Preconditions{UID: &rs.UID, ResourceVersion: &rs.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("delete ReplicaSet %s/%s: %w", rs.Namespace, rs.Name, err))
		}
	}
	for i, err := range errs {
		if err != nil && Stale(err) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

// mentioned are the revisions that plan has something to say on.
func mentioned(plan *rollout.Plan) map[rollout.Revision]bool {
	all := map[rollout.Revision]bool{plan.Status.Current: true}
	for r := range plan.Replicas {
		all[r] = true
	}
	for r := range plan.Deadlines {
		all[r] = true
	}
	return all
}

// scale sets the size and the deadline of one ReplicaSet, in one write and only
// if one of them is not as wanted.
func (a *Applier) scale(ctx context.Context, w *observe.World, plan *rollout.Plan, rs *appsv1.ReplicaSet) error {
	r := rollout.Revision(rs.Labels[v1alpha1.LabelPodTemplateHash])
	annotations, spec := map[string]any{}, map[string]any{}
	if size, ok := plan.Replicas[r]; ok && (rs.Spec.Replicas == nil || *rs.Spec.Replicas != size) {
		spec["replicas"] = size
		annotations[v1alpha1.AnnotationDesiredReplicas] = strconv.Itoa(int(w.Snapshot.Spec.Replicas))
	}
	if at, ok := plan.Deadlines[r]; ok {
		annotations[v1alpha1.AnnotationScaleDownDeadline] = rfc3339(at)
	}
	if r == plan.Status.Current {
		renumber(w, rs, annotations)
	}
	if len(spec) == 0 && len(annotations) == 0 {
		return nil
	}
	body := map[string]any{"metadata": map[string]any{"resourceVersion": rs.ResourceVersion, "annotations": annotations}}
	if len(spec) > 0 {
		body["spec"] = spec
	}
	return a.merge(ctx, rs, body)
}

// renumber makes a ReplicaSet that is used again the newest revision.
func renumber(w *observe.World, rs *appsv1.ReplicaSet, annotations map[string]any) {
	was, newest := observe.Number(rs), highest(w)
	if was == newest && was > 0 {
		return
	}
	// Two of the same number happen when a write was lost; counting on mends it.
	annotations[v1alpha1.AnnotationRevision] = strconv.FormatInt(newest+1, 10)
	if was == 0 {
		return
	}
	history := rs.Annotations["rollout.argoproj.io/revision-history"]
	parts := slices.DeleteFunc(strings.Split(history, ","), func(s string) bool { return s == "" })
	parts = append(parts, strconv.FormatInt(was, 10))
	annotations["rollout.argoproj.io/revision-history"] = strings.Join(parts, ",")
}

func highest(w *observe.World) int64 {
	var n int64
	for _, rs := range w.ReplicaSets {
		n = max(n, observe.Number(rs))
	}
	return n
}

// create makes the ReplicaSet of the revision that is asked for.
func (a *Applier) create(ctx context.Context, w *observe.World, size int32) error {
	rs := newReplicaSet(w, size)
	err := a.Client.Create(ctx, rs)
	if err == nil || !apierrors.IsAlreadyExists(err) {
		if err != nil {
			return fmt.Errorf("create ReplicaSet %s/%s: %w", rs.Namespace, rs.Name, err)
		}
		a.Overlay.Created(rs, w.Rollout.UID, a.Clock.Now())
		return nil
	}
	live := &appsv1.ReplicaSet{}
	if err := a.Live.Get(ctx, client.ObjectKeyFromObject(rs), live); err != nil {
		return fmt.Errorf("read ReplicaSet %s/%s, which is in the way: %w", rs.Namespace, rs.Name, err)
	}
	if metav1.IsControlledBy(live, w.Rollout) && podtemplate.Equal(&live.Spec.Template, &rs.Spec.Template) {
		return nil
	}
	return a.collide(ctx, w, live)
}

// collide makes the next pass compute another hash.
func (a *Applier) collide(ctx context.Context, w *observe.World, other *appsv1.ReplicaSet) error {
	next := w.Rollout.DeepCopy()
	n := int32(1)
	if c := next.Status.CollisionCount; c != nil {
		n = *c + 1
	}
	next.Status.CollisionCount = &n
	patch := client.MergeFromWithOptions(w.Rollout, client.MergeFromWithOptimisticLock{})
	if err := a.Client.Status().Patch(ctx, next, patch); err != nil {
		return fmt.Errorf("ReplicaSet %s/%s has our name and another template; count the collision: %w", other.Namespace, other.Name, err)
	}
	return nil
}

func newReplicaSet(w *observe.World, size int32) *appsv1.ReplicaSet {
	ro, hash := w.Rollout, w.Hash
	template := *ro.Spec.Template.DeepCopy()
	template.Labels = with(template.Labels, v1alpha1.LabelPodTemplateHash, hash)
	selector := ro.Spec.Selector.DeepCopy()
	selector.MatchLabels = with(selector.MatchLabels, v1alpha1.LabelPodTemplateHash, hash)
	annotations := inherited(ro)
	annotations[v1alpha1.AnnotationRevision] = strconv.FormatInt(highest(w)+1, 10)
	annotations[v1alpha1.AnnotationDesiredReplicas] = strconv.Itoa(int(w.Snapshot.Spec.Replicas))
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ro.Namespace, Name: ro.Name + "-" + hash,
			Labels: template.Labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(ro, v1alpha1.SchemeGroupVersion.WithKind("Rollout"))},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &size, MinReadySeconds: ro.Spec.MinReadySeconds, Selector: selector, Template: template},
	}
}

// inherited are the Rollout's annotations that its ReplicaSets carry too.
func inherited(ro *v1alpha1.Rollout) map[string]string {
	out := map[string]string{}
	for k, v := range ro.Annotations {
		switch {
		case k == "kubectl.kubernetes.io/last-applied-configuration", k == v1alpha1.AnnotationDesiredReplicas,
			strings.HasPrefix(k, v1alpha1.AnnotationRevision), strings.HasPrefix(k, v1alpha1.AnnotationNotified):
		default:
			out[k] = v
		}
	}
	return out
}

// with returns a copy of m that has v under k.
func with(m map[string]string, k, v string) map[string]string {
	out := make(map[string]string, len(m)+1)
	maps.Copy(out, m)
	out[k] = v
	return out
}

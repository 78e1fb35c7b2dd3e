// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/rollout"
)

// evictions evicts pods.
type evictions struct{ *Applier }

// start asks the API server to evict the plan's pods. One that says no is not
// asked again for a while about pods of that revision; the next pass, which is
// to come at once, says so in the status.
func (a evictions) start(ctx context.Context, w *observe.World, plan *rollout.Plan) error {
	refused := map[rollout.Revision]bool{}
	var errs []error
	for _, pod := range plan.Evict {
		if refused[pod.Revision] {
			continue
		}
		err := a.one(ctx, w.Rollout.Namespace, pod)
		if answer := apierrors.APIStatus(nil); errors.As(err, &answer) {
			refused[pod.Revision] = true
			now := a.Clock.Now()
			a.Refusals.Add(w.Rollout.UID, pod.Revision, rollout.Refusal{Why: reason(answer.Status()), Until: now.Add(rollout.RestartRetry)})
			plan.Wake(now)
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("evict pod %s/%s: %w", w.Rollout.Namespace, pod.Name, err))
		}
	}
	return errors.Join(errs...)
}

// one evicts the pod that was observed, and no other of its name. One that
// is gone or changed meanwhile is looked at again.
func (a evictions) one(ctx context.Context, ns string, pod rollout.Pod) error {
	uid := types.UID(pod.UID)
	eviction := &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: ns, Name: pod.Name},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &pod.Version}},
	}
	target := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: pod.Name}}
	err := a.Client.SubResource("eviction").Create(ctx, target, eviction)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err //nolint:wrapcheck // the caller says what it was about
}

// maxReason bounds what is kept of a refusal.
const maxReason = 300

// reason is what an answer says, with the budget that it names.
func reason(answer metav1.Status) string {
	why := answer.Message
	if answer.Details != nil {
		for _, cause := range answer.Details.Causes {
			if cause.Message != "" {
				why = cause.Message
			}
		}
	}
	if r := []rune(why); len(r) > maxReason {
		why = string(r[:maxReason]) + "…"
	}
	return why
}

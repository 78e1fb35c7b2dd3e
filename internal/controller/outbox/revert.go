// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/observe"
	core "sluice.dev/sluice/internal/outbox"
	"sluice.dev/sluice/internal/revert"
)

// Revert makes a revert in Git, once however often it is called.
type Revert func(ctx context.Context, r *revert.Request) (revert.Result, error)

// reverts reports whether ro asks that what happened is reverted in Git.
func reverts(ro *v1alpha1.Rollout, reason string) bool {
	c := ro.Spec.Strategy.Canary
	return reason == v1alpha1.EventRolloutAborted && c != nil && c.OnAbort != nil && c.OnAbort.Revert != nil
}

// lostText is the event that says what will never be sent.
func lostText(d core.Delivery, why, message string) (reason, text string) {
	if d.To == v1alpha1.NoticeToRevert {
		return v1alpha1.EventRevertLost, fmt.Sprintf("The abort of revision %s was not reverted in Git: %s: %s", d.Notice.Revision, why, message)
	}
	return "NotificationLost", fmt.Sprintf("%s was not told of %s: %s: %s", d.To, d.Notice.Reason, why, message)
}

// failedText is the event that says what was not sent yet.
func failedText(d core.Delivery, message string) (reason, text string) {
	if d.To == v1alpha1.NoticeToRevert {
		return v1alpha1.EventRevertFailed, fmt.Sprintf("The abort of revision %s could not be reverted in Git yet, and will be tried again: %s", d.Notice.Revision, message)
	}
	return "NotificationFailed", fmt.Sprintf("%s could not be told of %s, and will be tried again: %s", d.To, d.Notice.Reason, message)
}

// revertAbort reverts the abort that n is about.
func revertAbort(ctx context.Context, p *pass, ro *v1alpha1.Rollout, n v1alpha1.Notice) error {
	r := &revert.Request{
		Target: *ro.Spec.Strategy.Canary.OnAbort.Revert.DeepCopy(), Namespace: ro.Namespace, Name: ro.Name, UID: string(ro.UID),
		Revision: n.Revision, Attempt: n.Attempt, Why: n.Message, ByHand: len(ro.Status.Sluice.HandChanges) > 0,
	}
	stable := ro.Status.StableRS
	for _, a := range ro.Status.Sluice.Attempts {
		if a.Hash == n.Revision && a.Attempt == n.Attempt {
			stable, r.Commit = a.Stable, a.Commit
		}
	}
	drilled, err := compare(ctx, p, ro, r, stable)
	if err != nil || drilled {
		return err
	}
	if r.Credentials, err = credentials(ctx, p, ro.Namespace, r.Target.SecretRef.Name); err != nil {
		return err
	}
	result, err := p.Revert(ctx, r)
	if err != nil {
		return err
	}
	reason := v1alpha1.EventRevertNotNeeded
	if result.Made {
		reason = v1alpha1.EventRevertMade
	}
	ctrl.LoggerFrom(ctx).Info("revert in Git", "made", result.Made, "what", result.Text)
	if p.Events != nil {
		p.Events.Eventf(ro, nil, corev1.EventTypeNormal, reason, "Revert", "Revision %s was aborted: %s", n.Revision, result.Text)
	}
	return nil
}

// compare finds the images that the aborted revision brought. drilled says that
// it was made bad on purpose, and Git knows nothing of it.
func compare(ctx context.Context, p *pass, ro *v1alpha1.Rollout, r *revert.Request, stable string) (drilled bool, err error) {
	var list appsv1.ReplicaSetList
	if err := p.Cached.List(ctx, &list, client.InNamespace(ro.Namespace), client.MatchingFields{observe.IndexOwner: string(ro.UID)}); err != nil {
		return false, notify.Errorf(core.Later, "list the ReplicaSets of Rollout %s/%s: %v", ro.Namespace, ro.Name, err)
	}
	var bad, good *corev1.PodTemplateSpec
	for i := range list.Items {
		switch list.Items[i].Labels[v1alpha1.LabelPodTemplateHash] {
		case r.Revision:
			bad = &list.Items[i].Spec.Template
		case stable:
			good = &list.Items[i].Spec.Template
		}
	}
	if bad == nil || good == nil {
		return false, notify.Errorf(core.Never, "the ReplicaSet of the aborted revision %s or of the stable one %s is gone, so it cannot be told what to revert", r.Revision, stable)
	}
	known := images(good)
	for _, image := range images(bad) {
		if !slices.Contains(known, image) && !slices.Contains(r.Images, image) {
			r.Images = append(r.Images, image)
		}
	}
	return bad.Annotations[v1alpha1.AnnotationDrill] != "", nil
}

func images(t *corev1.PodTemplateSpec) []string {
	var out []string
	for _, containers := range [][]corev1.Container{t.Spec.InitContainers, t.Spec.Containers} {
		for i := range containers {
			out = append(out, containers[i].Image)
		}
	}
	return out
}

// credentials reads the Secret in the Rollout's own namespace; there is no way
// to name another.
func credentials(ctx context.Context, p *pass, namespace, name string) (revert.Credentials, error) {
	full := namespace + "/" + name
	data, err := p.Secrets(ctx, namespace, name)
	switch {
	case apierrors.IsNotFound(err):
		return revert.Credentials{}, notify.Errorf(core.Broken, "there is no Secret %s: create it with the key token, or username and password", full)
	case apierrors.IsForbidden(err):
		return revert.Credentials{}, notify.Errorf(core.Broken, "the controller may not read Secret %s: grant it get on it (secretAccess.namespaces of the chart)", full)
	case err != nil:
		return revert.Credentials{}, notify.Errorf(core.Later, "read Secret %s: %v", full, err)
	}
	return revert.CredentialsOf(full, data) //nolint:wrapcheck // it says of which Secret
}

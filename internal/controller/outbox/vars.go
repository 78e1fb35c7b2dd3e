// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/observe"
	core "sluice.dev/sluice/internal/outbox"
)

// secrets are the values that the configuration of a namespace may name. That
// there is no Secret is no mistake: a webhook may need none.
func (p *pass) secrets(ctx context.Context, namespace string) (map[string][]byte, error) {
	data, err := p.Secrets(ctx, namespace, notify.SecretName)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case apierrors.IsForbidden(err):
		return nil, notify.Errorf(core.Broken, "the controller may not read Secret %s/%s: grant it get on it", namespace, notify.SecretName)
	case err != nil:
		return nil, notify.Errorf(core.Later, "read Secret %s/%s: %v", namespace, notify.SecretName, err)
	}
	return data, nil
}

func readable(data map[string][]byte) map[string]string {
	out := make(map[string]string, len(data))
	for k, v := range data {
		out[k] = string(v)
	}
	return out
}

// vars are what conditions and templates look at: the Rollout as it was when it
// happened, as far as that is known.
func (p *pass) vars(ctx context.Context, ro *v1alpha1.Rollout, n v1alpha1.Notice) map[string]any {
	rollout := object(p.then(ctx, ro, n))
	if meta, ok := rollout["metadata"].(map[string]any); ok {
		// A template may look one up whether or not there are any.
		for _, key := range []string{"labels", "annotations"} {
			if meta[key] == nil {
				meta[key] = map[string]any{}
			}
		}
	}
	return map[string]any{
		"rollout":      rollout,
		"analysisRuns": p.runs(ctx, ro, n.Revision),
		"notice":       object(&n),
		"time":         notify.Clock(p.Clock.Now()),
	}
}

// then is the Rollout at the time of the notice.
func (p *pass) then(ctx context.Context, ro *v1alpha1.Rollout, n v1alpha1.Notice) *v1alpha1.Rollout {
	out := ro.DeepCopy()
	out.ManagedFields = nil
	if out.Status.Sluice != nil {
		out.Status.Sluice.Outbox = nil
	}
	out.Status.Phase = n.Phase
	if n.Reason == v1alpha1.EventRolloutAborted {
		out.Status.Abort = true
		out.Status.Message = "RolloutAborted: " + n.Message
	}
	if n.Revision == ro.Status.CurrentPodHash {
		return out
	}
	out.Status.CurrentPodHash = n.Revision
	var list appsv1.ReplicaSetList
	if err := p.Cached.List(ctx, &list, client.InNamespace(ro.Namespace), client.MatchingFields{observe.IndexOwner: string(ro.UID)}); err != nil {
		return out
	}
	for i := range list.Items {
		if list.Items[i].Labels[v1alpha1.LabelPodTemplateHash] == n.Revision {
			out.Spec.Template = *list.Items[i].Spec.Template.DeepCopy()
			delete(out.Spec.Template.Labels, v1alpha1.LabelPodTemplateHash)
		}
	}
	return out
}

// runs are the analysis runs of a revision, oldest first.
func (p *pass) runs(ctx context.Context, ro *v1alpha1.Rollout, revision string) []any {
	var list v1alpha1.AnalysisRunList
	if err := p.Cached.List(ctx, &list, client.InNamespace(ro.Namespace), client.MatchingFields{observe.IndexOwner: string(ro.UID)}); err != nil {
		return nil
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.AnalysisRun) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	var out []any
	for i := range list.Items {
		if list.Items[i].Labels[v1alpha1.LabelPodTemplateHash] == revision {
			out = append(out, object(&list.Items[i]))
		}
	}
	return out
}

func object(v any) map[string]any {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(v)
	if err != nil {
		return map[string]any{}
	}
	return m
}

// unfinished is how long the run that aborted a rollout is waited for: its
// verdict acts before its status is stored.
const unfinished = time.Minute

// evidence gathers what goes with a notice.
func (p *pass) evidence(ctx context.Context, ro *v1alpha1.Rollout, n v1alpha1.Notice) ([]notify.File, error) {
	files, err := decided(ctx, p, ro, n)
	if err != nil || p.Evidence == nil || n.Reason != v1alpha1.EventRolloutAborted {
		return files, err
	}
	more, err := p.Evidence(ctx, ro, n)
	return append(files, more...), err
}

// decided is the run that a notice is about, once it has ended.
func decided(ctx context.Context, p *pass, ro *v1alpha1.Rollout, n v1alpha1.Notice) ([]notify.File, error) {
	if n.Run == "" {
		return nil, nil
	}
	run := &v1alpha1.AnalysisRun{}
	err := p.Live.Get(ctx, client.ObjectKey{Namespace: ro.Namespace, Name: n.Run}, run)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil // somebody deleted it; what it found is in the message
	case err != nil:
		return nil, notify.Errorf(core.Later, "read AnalysisRun %s/%s, which is the evidence: %v", ro.Namespace, n.Run, err)
	case !run.Status.Phase.Completed() && p.Clock.Since(n.At.Time) < unfinished:
		return nil, notify.Errorf(core.Soon, "AnalysisRun %s/%s, which is the evidence, has not ended yet", ro.Namespace, n.Run)
	}
	run.ManagedFields = nil
	run.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("AnalysisRun"))
	data, err := json.MarshalIndent(run, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode AnalysisRun %s/%s: %w", ro.Namespace, n.Run, err)
	}
	return []notify.File{{Name: "analysisrun-" + n.Run + ".json", Type: "application/json", Data: data}}, nil
}

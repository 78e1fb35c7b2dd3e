// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/evidence"
)

// Evidence reads the records of attempts at releases.
type Evidence struct{ *Client }

// List lists the records that are kept of a Rollout, the newest first.
func (c Evidence) List(ctx context.Context, owner types.UID) ([]evidence.Kept, error) {
	raw, err := c.core.Get().Namespace(c.Namespace).Resource("configmaps").
		VersionedParams(&metav1.ListOptions{LabelSelector: evidence.LabelOf + "=" + string(owner)}, metav1.ParameterCodec).
		SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json").
		Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("list the ConfigMaps that keep evidence: %w", err)
	}
	var list metav1.PartialObjectMetadataList
	if err := unmarshal(raw, &list); err != nil {
		return nil, err
	}
	var out []evidence.Kept
	for i := range list.Items {
		m := &list.Items[i].ObjectMeta
		if k, err := evidence.KeptOf(m); err == nil && m.Labels[evidence.LabelOf] == string(owner) {
			out = append(out, k)
		}
	}
	evidence.SortKept(out)
	return out, nil
}

// Record reads a record that is kept, by the name of its ConfigMap.
func (c Evidence) Record(ctx context.Context, name string) (evidence.Record, error) {
	cm := &corev1.ConfigMap{}
	if err := c.core.Get().Namespace(c.Namespace).Resource("configmaps").Name(name).Do(ctx).Into(cm); err != nil {
		return evidence.Record{}, fmt.Errorf("read ConfigMap %s/%s: %w", c.Namespace, name, err)
	}
	return evidence.FromConfigMap(cm) //nolint:wrapcheck // it says which ConfigMap
}

// Runs reads those runs of a record that are still there.
func (c Evidence) Runs(ctx context.Context, r *evidence.Record) []*v1alpha1.AnalysisRun {
	var out []*v1alpha1.AnalysisRun
	for i := range r.Runs {
		run := &v1alpha1.AnalysisRun{}
		err := c.argo.Get().Namespace(c.Namespace).Resource(AnalysisRuns).Name(r.Runs[i].Name).Do(ctx).Into(run)
		if owner := metav1.GetControllerOf(run); err == nil && owner != nil && string(owner.UID) == r.UID {
			out = append(out, run)
		}
	}
	return out
}

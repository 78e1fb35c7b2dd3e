// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/view"
)

func unmarshal(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}

// A source is one kind of object that a view shows.
type source struct {
	client   *rest.RESTClient
	resource string
	options  metav1.ListOptions
	list     runtime.Object
	object   runtime.Object
}

// sources are what a Rollout's view is made of, the Rollout first.
func (c *Client) sources(ro *v1alpha1.Rollout) []source {
	owned := metav1.ListOptions{LabelSelector: Selector(ro)}
	hashed := metav1.ListOptions{LabelSelector: v1alpha1.LabelPodTemplateHash}
	self := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", ro.Name).String()}
	return []source{
		{c.argo, Rollouts, self, &v1alpha1.RolloutList{}, &v1alpha1.Rollout{}},
		{c.apps, "replicasets", owned, &appsv1.ReplicaSetList{}, &appsv1.ReplicaSet{}},
		{c.core, "pods", owned, &corev1.PodList{}, &corev1.Pod{}},
		{c.argo, AnalysisRuns, hashed, &v1alpha1.AnalysisRunList{}, &v1alpha1.AnalysisRun{}},
		{c.argo, Experiments, hashed, &v1alpha1.ExperimentList{}, &v1alpha1.Experiment{}},
	}
}

func (s source) get(ctx context.Context, namespace string) error {
	err := s.client.Get().Namespace(namespace).Resource(s.resource).
		VersionedParams(&s.options, metav1.ParameterCodec).Do(ctx).Into(s.list)
	if err != nil {
		return fmt.Errorf("list %s: %w", s.resource, err)
	}
	return nil
}

// hidden reports whether err means that a kind cannot be shown at all: it is
// left out then, because a person who may see less must still see the rest.
func hidden(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) }

// Objects reads a Rollout and what belongs to it. hiddenKinds are those that
// we may not see.
func (c *Client) Objects(ctx context.Context, name string) (o view.Objects, hiddenKinds []string, err error) {
	ro := &v1alpha1.Rollout{}
	if err := c.Get(ctx, Rollouts, name, ro); err != nil {
		return o, nil, err
	}
	o.Rollout = ro
	for _, s := range c.sources(ro)[1:] {
		err := s.get(ctx, c.Namespace)
		switch {
		case err != nil && hidden(err):
			hiddenKinds = append(hiddenKinds, s.resource)
			continue
		case err != nil:
			return o, nil, err
		}
		switch list := s.list.(type) {
		case *appsv1.ReplicaSetList:
			o.ReplicaSets = list.Items
		case *corev1.PodList:
			o.Pods = list.Items
		case *v1alpha1.AnalysisRunList:
			o.AnalysisRuns = list.Items
		case *v1alpha1.ExperimentList:
			o.Experiments = list.Items
		}
	}
	return o, hiddenKinds, nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/act"
)

type groupVersion = schema.GroupVersion

var (
	appsGroup = appsv1.SchemeGroupVersion
	coreGroup = corev1.SchemeGroupVersion
)

// The resources that commands are about.
const (
	Rollouts     = "rollouts"
	Experiments  = "experiments"
	AnalysisRuns = "analysisruns"
)

// A Client makes the requests of the command line.
type Client struct {
	// Namespace of the objects that commands are about.
	Namespace string

	host             string
	argo, apps, core *rest.RESTClient
}

// Get reads one object of our own group into an object of its type.
func (c *Client) Get(ctx context.Context, resource, name string, into runtime.Object) error {
	err := c.argo.Get().Namespace(c.Namespace).Resource(resource).Name(name).Do(ctx).Into(into)
	return c.explain(ctx, err, resource, name)
}

// List reads the objects of a resource of our own group. An empty namespace
// means all of them.
func (c *Client) List(ctx context.Context, namespace, resource string, into runtime.Object) error {
	err := c.argo.Get().Namespace(namespace).Resource(resource).Do(ctx).Into(into)
	return c.explain(ctx, err, resource, "")
}

// Send sends the patches of a plan for one object.
func (c *Client) Send(ctx context.Context, resource, name string, p act.Plan) error {
	client := c.argo
	if p.Workload != nil {
		var err error
		if client, resource, err = c.workload(p.Workload); err != nil {
			return err
		}
		name = p.Workload.Name
	}
	patch := func(kind act.Type, body []byte, sub ...string) error {
		r := client.Patch(types.PatchType(kind)).Namespace(c.Namespace).Resource(resource).Name(name)
		return r.SubResource(sub...).Body(body).Do(ctx).Error()
	}
	for _, one := range p.Patches {
		var err error
		if one.Subresource == "" {
			err = patch(one.Type, one.Body)
		} else {
			err = patch(one.Type, one.Body, one.Subresource)
		}
		if one.Fallback != nil && apierrors.IsNotFound(err) {
			return c.explain(ctx, patch(one.Type, one.Fallback), resource, name)
		}
		if err != nil {
			return c.explain(ctx, err, resource, name)
		}
	}
	return nil
}

// Template reads the pod template that a Rollout uses: its own, or that of the
// workload it refers to.
func (c *Client) Template(ctx context.Context, ro *v1alpha1.Rollout) (*corev1.PodTemplateSpec, error) {
	target := act.Target(ro)
	if target == nil {
		return &ro.Spec.Template, nil
	}
	client, resource, err := c.workload(target)
	if err != nil {
		return nil, err
	}
	get := func(into runtime.Object) error {
		err := client.Get().Namespace(c.Namespace).Resource(resource).Name(target.Name).Do(ctx).Into(into)
		if err != nil {
			return fmt.Errorf("read the %s %s that rollout '%s' refers to: %w", target.Kind, target.Name, ro.Name, err)
		}
		return nil
	}
	switch target.Kind {
	case "Deployment":
		var d appsv1.Deployment
		return &d.Spec.Template, get(&d)
	case "ReplicaSet":
		var rs appsv1.ReplicaSet
		return &rs.Spec.Template, get(&rs)
	}
	var t corev1.PodTemplate
	return &t.Template, get(&t)
}

// workload says how to reach the target of a workloadRef.
func (c *Client) workload(w *act.Workload) (*rest.RESTClient, string, error) {
	switch w.Kind {
	case "Deployment", "ReplicaSet":
		return c.apps, strings.ToLower(w.Kind) + "s", nil
	case "PodTemplate":
		return c.core, "podtemplates", nil
	}
	return nil, "", fmt.Errorf("spec.workloadRef.kind: %q is not Deployment, ReplicaSet or PodTemplate", w.Kind)
}

// ReplicaSets reads the ReplicaSets that may belong to a Rollout.
func (c *Client) ReplicaSets(ctx context.Context, ro *v1alpha1.Rollout) ([]appsv1.ReplicaSet, error) {
	var list appsv1.ReplicaSetList
	err := c.apps.Get().Namespace(c.Namespace).Resource("replicasets").
		VersionedParams(&metav1.ListOptions{LabelSelector: Selector(ro)}, metav1.ParameterCodec).Do(ctx).Into(&list)
	if err != nil {
		return nil, fmt.Errorf("list the ReplicaSets of rollout '%s': %w", ro.Name, err)
	}
	return list.Items, nil
}

// Selector finds the ReplicaSets and pods of a Rollout. Every one of them
// carries the hash of its pod template.
func Selector(ro *v1alpha1.Rollout) string {
	selector := labels.NewSelector()
	if ro.Spec.Selector != nil {
		if s, err := metav1.LabelSelectorAsSelector(ro.Spec.Selector); err == nil {
			selector = s
		}
	}
	text := selector.String()
	if text != "" {
		text += ","
	}
	return text + v1alpha1.LabelPodTemplateHash
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"

	"sluice.dev/sluice/api/v1alpha1"
)

// Raw reads one object of our own group as the server wrote it.
func Raw(ctx context.Context, c *Client, resource, name string) ([]byte, error) {
	raw, err := c.argo.Get().Namespace(c.Namespace).Resource(resource).Name(name).Do(ctx).Raw()
	return raw, c.explain(ctx, err, resource, name)
}

// TemplateSpec reads what a reference to a template points at.
func TemplateSpec(ctx context.Context, c *Client, ref v1alpha1.AnalysisTemplateRef) (*v1alpha1.AnalysisTemplateSpec, error) {
	if ref.ClusterScope {
		var t v1alpha1.ClusterAnalysisTemplate
		err := c.argo.Get().Resource("clusteranalysistemplates").Name(ref.TemplateName).Do(ctx).Into(&t)
		if err != nil {
			return nil, fmt.Errorf("read ClusterAnalysisTemplate %q: %w", ref.TemplateName, err)
		}
		return &t.Spec, nil
	}
	var t v1alpha1.AnalysisTemplate
	if err := c.Get(ctx, "analysistemplates", ref.TemplateName, &t); err != nil {
		return nil, fmt.Errorf("read AnalysisTemplate %q: %w", ref.TemplateName, err)
	}
	return &t.Spec, nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// ErrNotFound is wrapped by the error for an object that does not exist.
var ErrNotFound = errors.New("not found")

// explain turns what a request failed with into what a person can act on.
func (c *Client) explain(ctx context.Context, err error, resource, name string) error {
	var unreachable *url.Error
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err) && !served(ctx, c, resource):
		return fmt.Errorf("the cluster at %s does not serve %s.%s: are the CRDs installed? (%w)", c.host, resource, v1alpha1.Group, err)
	case apierrors.IsNotFound(err) && name != "":
		return missing(ctx, c, resource, name)
	case errors.As(err, &unreachable):
		return fmt.Errorf("reach the API server at %s: %w", c.host, unreachable.Err)
	}
	return err
}

// served reports whether the cluster knows the resource, as far as can be
// told: a server that hides it from us may well know it.
func served(ctx context.Context, c *Client, resource string) bool {
	err := c.argo.Get().Namespace(c.Namespace).Resource(resource).Param("limit", "1").Do(ctx).Error()
	return !apierrors.IsNotFound(err)
}

// missing says what is there instead of an object that is not: most often it is
// in another namespace, or its name is a letter off.
func missing(ctx context.Context, c *Client, resource, name string) error {
	kind := strings.TrimSuffix(resource, "s")
	here := c.names(ctx, c.Namespace, resource)
	var near, names []string
	for _, n := range here {
		names = append(names, n.Name)
		if alike(n.Name, name) {
			near = append(near, n.Name)
		}
	}
	hint := ""
	elsewhere := elsewhere(ctx, c, resource, name)
	switch {
	case len(elsewhere) > 0:
		hint = fmt.Sprintf("; there is one in namespace %s: give it with -n", strings.Join(elsewhere, ", "))
	case len(near) > 0:
		hint = fmt.Sprintf("; did you mean %s?", strings.Join(near, ", "))
	case len(names) > 10:
		hint = fmt.Sprintf("; there are %d others there", len(names))
	case len(names) > 0:
		hint = fmt.Sprintf("; there is %s", strings.Join(names, ", "))
	default:
		hint = fmt.Sprintf("; there is no %s at all in that namespace", kind)
	}
	return fmt.Errorf("%s '%s' %w in namespace %s%s", kind, name, ErrNotFound, c.Namespace, hint)
}

func elsewhere(ctx context.Context, c *Client, resource, name string) []string {
	var out []string
	for _, n := range c.names(ctx, "", resource) {
		if n.Name == name && n.Namespace != c.Namespace {
			out = append(out, n.Namespace)
		}
	}
	return out
}

// names lists what can be seen; nothing when we may not.
func (c *Client) names(ctx context.Context, namespace, resource string) []metav1.ObjectMeta {
	var list metav1.PartialObjectMetadataList
	raw, err := c.argo.Get().Namespace(namespace).Resource(resource).
		SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json").
		Do(ctx).Raw()
	if err != nil || unmarshal(raw, &list) != nil {
		return nil
	}
	var out []metav1.ObjectMeta
	for i := range list.Items {
		out = append(out, list.Items[i].ObjectMeta)
	}
	return out
}

// Names lists the names of a resource's objects that start with prefix, for
// completion. It is silent about errors: the shell has nowhere to show them.
func (c *Client) Names(ctx context.Context, resource, prefix string) []string {
	var out []string
	for _, n := range c.names(ctx, c.Namespace, resource) {
		if strings.HasPrefix(n.Name, prefix) {
			out = append(out, n.Name)
		}
	}
	slices.Sort(out)
	return out
}

// alike reports whether two names are so alike that one may be a mistake for
// the other.
func alike(a, b string) bool {
	return strings.Contains(a, b) || strings.Contains(b, a) || distance(a, b) <= 2
}

// distance is the number of letters to add, drop or change to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

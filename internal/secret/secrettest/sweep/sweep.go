// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sweep shows a secrettest.Scanner every object of a cluster. It says
// nothing about what is found.
package sweep

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"sluice.dev/sluice/internal/secret/secrettest"
)

// An Object is where something is in a cluster.
type Object struct{ Resource, Namespace, Name string }

// Objects shows scan every object that can be listed but those of but, and
// returns how many of each resource there were.
func Objects(ctx context.Context, config *rest.Config, scan *secrettest.Scanner, but ...Object) (map[string]int, error) {
	names, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	all, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	found, err := names.ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("sweep: ask for the kinds: %w", err)
	}
	seen := map[string]int{}
	for _, group := range found {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("sweep: %w", err)
		}
		for i := range group.APIResources {
			r := &group.APIResources[i]
			if !slices.Contains(r.Verbs, "list") {
				continue
			}
			n, err := list(ctx, all.Resource(version.WithResource(r.Name)), r.Name, scan, but)
			if err != nil {
				return nil, err
			}
			seen[r.Name] += n
		}
	}
	return seen, nil
}

func list(ctx context.Context, from dynamic.ResourceInterface, resource string, scan *secrettest.Scanner, but []Object) (int, error) {
	objects, err := from.List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
		return 0, nil // it has gone since, or is there in name only
	}
	if err != nil {
		return 0, fmt.Errorf("sweep: list %s: %w", resource, err)
	}
	for i := range objects.Items {
		o := Object{resource, objects.Items[i].GetNamespace(), objects.Items[i].GetName()}
		if slices.Contains(but, o) {
			continue
		}
		text, err := json.Marshal(&objects.Items[i])
		if err != nil {
			return 0, fmt.Errorf("sweep: %w", err)
		}
		scan.Bytes(fmt.Sprintf("%s %s/%s", o.Resource, o.Namespace, o.Name), text)
	}
	return len(objects.Items), nil
}

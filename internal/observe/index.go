// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
)

// Index adds the indexes that the cached reads rely on, so that no pass looks
// at more objects than its rollout has.
func Index(ctx context.Context, indexer client.FieldIndexer) error {
	for _, ix := range []struct {
		obj  client.Object
		name string
		keys client.IndexerFunc
	}{
		{&appsv1.ReplicaSet{}, IndexOwner, owner},
		{&v1alpha1.AnalysisRun{}, IndexOwner, owner},
		{&corev1.Service{}, IndexService, managedBy},
		{&v1alpha1.Rollout{}, IndexService, servicesOf},
		{&v1alpha1.Rollout{}, IndexTemplate, templatesOf},
		{&v1alpha1.Rollout{}, IndexRoute, routesOf},
	} {
		if err := indexer.IndexField(ctx, ix.obj, ix.name, ix.keys); err != nil {
			return fmt.Errorf("index %T by %s: %w", ix.obj, ix.name, err)
		}
	}
	return nil
}

func owner(obj client.Object) []string {
	if ref := metav1.GetControllerOf(obj); ref != nil && ref.Kind == "Rollout" {
		return []string{string(ref.UID)}
	}
	return nil
}

func managedBy(obj client.Object) []string {
	if by := obj.GetAnnotations()[v1alpha1.AnnotationManagedByRollouts]; by != "" {
		return []string{by}
	}
	return nil
}

func servicesOf(obj client.Object) []string {
	canary := canaryOf(obj)
	if canary == nil {
		return nil
	}
	return nonEmpty(canary.CanaryService, canary.StableService)
}

func templatesOf(obj client.Object) []string {
	canary := canaryOf(obj)
	if canary == nil {
		return nil
	}
	var names []string
	add := func(refs []v1alpha1.AnalysisTemplateRef) {
		for _, ref := range refs {
			if ref.ClusterScope {
				names = append(names, "/"+ref.TemplateName)
				continue
			}
			names = append(names, ref.TemplateName)
		}
	}
	if canary.Analysis != nil {
		add(canary.Analysis.Templates)
	}
	for i := range canary.Steps {
		if a := canary.Steps[i].Analysis; a != nil {
			add(a.Templates)
		}
	}
	return names
}

func routesOf(obj client.Object) []string {
	canary := canaryOf(obj)
	if canary == nil || canary.TrafficRouting == nil || canary.TrafficRouting.Istio == nil {
		return nil
	}
	istio := canary.TrafficRouting.Istio
	var names []string
	add := func(name string) {
		base, rest, qualified := strings.Cut(name, ".")
		ns := obj.GetNamespace()
		if qualified {
			ns, _, _ = strings.Cut(rest, ".")
		}
		names = append(names, ns+"/"+base)
	}
	if istio.VirtualService != nil {
		add(istio.VirtualService.Name)
	}
	for i := range istio.VirtualServices {
		add(istio.VirtualServices[i].Name)
	}
	if istio.DestinationRule != nil {
		add(istio.DestinationRule.Name)
	}
	return names
}

func canaryOf(obj client.Object) *v1alpha1.CanaryStrategy {
	ro, ok := obj.(*v1alpha1.Rollout)
	if !ok {
		return nil
	}
	return ro.Spec.Strategy.Canary
}

func nonEmpty(names ...string) []string {
	var out []string
	for _, n := range names {
		if n != "" {
			out = append(out, n)
		}
	}
	return out
}

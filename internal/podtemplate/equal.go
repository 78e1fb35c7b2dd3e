// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package podtemplate

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Equal reports whether a and b describe the same pods once defaults are filled
// in. What a controller adds to the template of a ReplicaSet does not count:
// the hash label, and anti-affinity to the pods of another revision. Neither do
// spellings that the API server treats alike: the deprecated serviceAccount,
// nil and empty, quantities written differently, host ports that host
// networking implies. Neither a nor b is changed.
func Equal(a, b *corev1.PodTemplateSpec) bool {
	return equality.Semantic.DeepEqual(canonical(a), canonical(b))
}

// canonical is a copy of template in the form that Equal compares.
func canonical(template *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	out := template.DeepCopy()
	Default(out)
	delete(out.Labels, HashLabel)
	out.CreationTimestamp = metav1.Time{}
	out.Spec.Affinity = ownAffinity(out.Spec.Affinity)
	if out.Spec.HostNetwork {
		// API servers before v1.31 filled these in; later ones do not. They
		// can have no other value.
		fillHostPorts(out.Spec.InitContainers)
		fillHostPorts(out.Spec.Containers)
	}
	return out
}

func fillHostPorts(containers []corev1.Container) {
	for i := range containers {
		for j := range containers[i].Ports {
			port := &containers[i].Ports[j]
			setInt(&port.HostPort, port.ContainerPort)
		}
	}
}

// ownAffinity is affinity without the terms that keep pods of two revisions
// apart, which a controller injects, and without what is empty then.
func ownAffinity(affinity *corev1.Affinity) *corev1.Affinity {
	if affinity == nil {
		return nil
	}
	if anti := affinity.PodAntiAffinity; anti != nil {
		anti.RequiredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(
			anti.RequiredDuringSchedulingIgnoredDuringExecution, injected)
		anti.PreferredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(
			anti.PreferredDuringSchedulingIgnoredDuringExecution,
			func(term corev1.WeightedPodAffinityTerm) bool { return injected(term.PodAffinityTerm) })
	}
	affinity.NodeAffinity = unlessEmpty(affinity.NodeAffinity)
	affinity.PodAffinity = unlessEmpty(affinity.PodAffinity)
	affinity.PodAntiAffinity = unlessEmpty(affinity.PodAntiAffinity)
	return unlessEmpty(affinity)
}

// injected reports whether term has the exact shape of the one that controllers
// add: away from the nodes of the pods of one revision. No user writes it, for
// nobody knows the hash before the template is written.
func injected(term corev1.PodAffinityTerm) bool {
	if term.LabelSelector == nil || term.TopologyKey != corev1.LabelHostname {
		return false
	}
	want := term.LabelSelector.MatchExpressions
	return len(term.LabelSelector.MatchLabels) == 0 && len(want) == 1 &&
		want[0].Key == HashLabel && want[0].Operator == metav1.LabelSelectorOpIn && len(want[0].Values) == 1
}

// unlessEmpty is p, or nil when p points at nothing but nil and empty fields.
func unlessEmpty[T any](p *T) *T {
	var zero T
	if p == nil || equality.Semantic.DeepEqual(*p, zero) {
		return nil
	}
	return p
}

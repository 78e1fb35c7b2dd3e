// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package act

import (
	"encoding/json"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// clean is the pod template of a ReplicaSet without what a controller has put
// there: going back must not carry the marks of an old canary into the spec.
func clean(rs *appsv1.ReplicaSet) *corev1.PodTemplateSpec {
	t := without(&rs.Spec.Template)
	var marks struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	}
	if json.Unmarshal([]byte(rs.Annotations[v1alpha1.AnnotationEphemeralMetadata]), &marks) == nil {
		for k := range marks.Labels {
			delete(t.Labels, k)
		}
		for k := range marks.Annotations {
			delete(t.Annotations, k)
		}
		if len(t.Annotations) == 0 {
			t.Annotations = nil
		}
	}
	if a := t.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		dropInjected(&t.Spec)
	}
	return t
}

// without is a copy of t without the pod-template hash.
func without(t *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	out := t.DeepCopy()
	delete(out.Labels, v1alpha1.LabelPodTemplateHash)
	return out
}

// dropInjected removes the anti-affinity against another revision.
func dropInjected(spec *corev1.PodSpec) {
	anti := spec.Affinity.PodAntiAffinity
	before := len(anti.RequiredDuringSchedulingIgnoredDuringExecution) + len(anti.PreferredDuringSchedulingIgnoredDuringExecution)
	anti.RequiredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(
		anti.RequiredDuringSchedulingIgnoredDuringExecution, injected)
	anti.PreferredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(
		anti.PreferredDuringSchedulingIgnoredDuringExecution,
		func(w corev1.WeightedPodAffinityTerm) bool { return injected(w.PodAffinityTerm) })
	after := len(anti.RequiredDuringSchedulingIgnoredDuringExecution) + len(anti.PreferredDuringSchedulingIgnoredDuringExecution)
	if after != 0 || before == 0 {
		return
	}
	spec.Affinity.PodAntiAffinity = nil
	if spec.Affinity.NodeAffinity == nil && spec.Affinity.PodAffinity == nil {
		spec.Affinity = nil
	}
}

func injected(term corev1.PodAffinityTerm) bool {
	return term.LabelSelector != nil && slices.ContainsFunc(term.LabelSelector.MatchExpressions,
		func(e metav1.LabelSelectorRequirement) bool { return e.Key == v1alpha1.LabelPodTemplateHash })
}

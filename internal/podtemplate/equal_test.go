// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package podtemplate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"sluice.dev/sluice/internal/podtemplate"
)

// apart is the anti-affinity term that keeps the pods of two revisions apart.
func apart(hash string) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{
		LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: podtemplate.HashLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{hash},
		}}},
		Namespaces:  []string{"payments"},
		TopologyKey: "kubernetes.io/hostname",
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	type spec = *corev1.PodTemplateSpec
	for name, tc := range map[string]struct {
		change func(spec)
		want   bool
	}{
		"the same":                  {change: func(spec) {}, want: true},
		"defaulted":                 {change: podtemplate.Default, want: true},
		"with the hash label":       {change: func(s spec) { s.Labels[podtemplate.HashLabel] = "abc" }, want: true},
		"with a creation time":      {change: func(s spec) { s.CreationTimestamp = metav1.Unix(1, 0) }, want: true},
		"empty instead of nil":      {change: func(s spec) { s.Spec.NodeSelector = map[string]string{}; s.Spec.HostAliases = []corev1.HostAlias{} }, want: true},
		"the alias of an account":   {change: func(s spec) { s.Spec.DeprecatedServiceAccount = s.Spec.ServiceAccountName }, want: true},
		"without an empty affinity": {change: func(s spec) { s.Spec.Affinity = nil }, want: true},
		"with ports of the host as an older server filled them in": {
			change: func(s spec) { s.Spec.Containers[0].Ports[0].HostPort = s.Spec.Containers[0].Ports[0].ContainerPort },
			want:   true,
		},
		"with injected required anti-affinity": {
			change: func(s spec) {
				s.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
					RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{apart("abc")},
				}}
			},
			want: true,
		},
		"with injected preferred anti-affinity": {
			change: func(s spec) {
				s.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
					PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 1, PodAffinityTerm: apart("abc")}},
				}}
			},
			want: true,
		},
		"with the user's own anti-affinity": {
			change: func(s spec) {
				own := apart("abc")
				own.LabelSelector.MatchExpressions[0].Operator = metav1.LabelSelectorOpExists
				s.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
					RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{own},
				}}
			},
		},
		"with anti-affinity over zones": {
			change: func(s spec) {
				own := apart("abc")
				own.TopologyKey = "topology.kubernetes.io/zone"
				s.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
					RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{own},
				}}
			},
		},
		"another image":       {change: func(s spec) { s.Spec.Containers[0].Image = "example.org/app:2" }},
		"another label":       {change: func(s spec) { s.Labels["app"] = "other" }},
		"a label more":        {change: func(s spec) { s.Labels["more"] = "" }},
		"another pull policy": {change: func(s spec) { s.Spec.Containers[0].ImagePullPolicy = corev1.PullNever }},
		"another account":     {change: func(s spec) { s.Spec.ServiceAccountName = "other" }},
		"containers swapped":  {change: func(s spec) { c := s.Spec.InitContainers; c[0], c[1] = c[1], c[0] }},
		"a port of the host that is not the container's": {change: func(s spec) { s.Spec.HostNetwork = false; s.Spec.Containers[0].Ports[0].HostPort = 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := load(t, "full")
			b := a.DeepCopy()
			tc.change(b)
			if got := podtemplate.Equal(a, b); got != tc.want {
				t.Errorf("Equal(a, b): got %v, want %v", got, tc.want)
			}
			if got := podtemplate.Equal(b, a); got != tc.want {
				t.Errorf("Equal(b, a): got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestEqualAndFindChangeNothing(t *testing.T) {
	t.Parallel()
	a := load(t, "full")
	a.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{apart("abc"), {TopologyKey: "zone"}},
	}}
	a.Labels[podtemplate.HashLabel] = "abc"
	before := a.DeepCopy()
	podtemplate.Equal(a, a)
	podtemplate.Find(podtemplate.Wanted{Template: a}, []podtemplate.Candidate{{
		Template: a, Injected: podtemplate.Metadata{Labels: map[string]string{"app": "full"}},
	}})
	if diff := cmp.Diff(before, a); diff != "" {
		t.Errorf("the template was changed (-before +after):\n%s", diff)
	}
}

// Each leaf of a stored template counts: whichever is changed, the templates
// are no longer equal.
func TestEqualSeesEveryField(t *testing.T) {
	t.Parallel()
	template := load(t, "full")
	podtemplate.Default(template)
	ignored := map[string]bool{".spec.serviceAccount": true}
	doc, err := json.Marshal(template)
	if err != nil {
		t.Fatal(err)
	}
	tree := map[string]any{}
	if err := json.Unmarshal(doc, &tree); err != nil {
		t.Fatal(err)
	}
	seen := 0
	leaves(tree, "", func(path string) {
		changed, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		other := &corev1.PodTemplateSpec{}
		if err := json.Unmarshal(changed, other); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		seen++
		if got := podtemplate.Equal(template, other); got != ignored[path] {
			t.Errorf("templates that differ in %s: Equal is %v", path, got)
		}
	})
	if seen < 90 {
		t.Errorf("only %d fields were tried", seen)
	}
}

// leaves changes each leaf of v in turn, calls visit, and changes it back.
func leaves(v any, path string, visit func(path string)) {
	try := func(path string, old any, set func(any)) {
		if fresh := other(path, old); fresh != nil {
			set(fresh)
			visit(path)
			set(old)
			return
		}
		leaves(old, path, visit)
	}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			try(path+"."+k, e, func(e any) { v[k] = e })
		}
	case []any:
		for i, e := range v {
			try(fmt.Sprintf("%s.%d", path, i), e, func(e any) { v[i] = e })
		}
	}
}

// other is a value unlike v that decodes into the same field, or nil when v is
// no leaf.
func other(path string, v any) any {
	switch v := v.(type) {
	case string:
		for _, quantities := range []string{".requests.", ".limits.", ".overhead.", ".divisor"} {
			if strings.Contains(path, quantities) {
				return "77"
			}
		}
		return v + "x"
	case float64:
		return v + 1
	case bool:
		return !v
	default:
		return nil
	}
}

func TestDefaultedTemplatesStayEqual(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		template := anyTemplate().Draw(t, "template")
		stored := template.DeepCopy()
		podtemplate.Default(stored)
		if !podtemplate.Equal(template, stored) || !podtemplate.Equal(stored, template) {
			t.Error("a template is not equal to itself with defaults")
		}
		again := stored.DeepCopy()
		podtemplate.Default(again)
		if diff := cmp.Diff(stored, again); diff != "" {
			t.Errorf("defaulting twice (-once +twice):\n%s", diff)
		}
		index, how := podtemplate.Find(
			podtemplate.Wanted{Template: template, Hash: podtemplate.Hash(template, nil)},
			[]podtemplate.Candidate{{Hash: "of-another-age", Template: stored}})
		if index != 0 || how != podtemplate.ByTemplate {
			t.Errorf("Find: got %d by %q, want 0 by %q", index, how, podtemplate.ByTemplate)
		}
	})
}

// anyTemplate draws templates with every kind of default in them.
func anyTemplate() *rapid.Generator[*corev1.PodTemplateSpec] {
	return rapid.Custom(func(t *rapid.T) *corev1.PodTemplateSpec {
		out := &corev1.PodTemplateSpec{}
		if rapid.Bool().Draw(t, "labels") {
			out.Labels = map[string]string{"app": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "app")}
		}
		out.Spec.ServiceAccountName = rapid.SampledFrom([]string{"", "sa"}).Draw(t, "account")
		out.Spec.DeprecatedServiceAccount = rapid.SampledFrom([]string{"", "sa", "old"}).Draw(t, "alias")
		out.Spec.HostNetwork = rapid.Bool().Draw(t, "hostNetwork")
		out.Spec.Containers = rapid.SliceOfN(anyContainer(), 0, 3).Draw(t, "containers")
		out.Spec.InitContainers = rapid.SliceOfN(anyContainer(), 0, 2).Draw(t, "init")
		out.Spec.Volumes = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) corev1.Volume {
			return corev1.Volume{Name: "v", VolumeSource: rapid.SampledFrom([]corev1.VolumeSource{
				{},
				{Secret: &corev1.SecretVolumeSource{}},
				{HostPath: &corev1.HostPathVolumeSource{}},
				{AzureDisk: &corev1.AzureDiskVolumeSource{}},
				{Projected: &corev1.ProjectedVolumeSource{
					Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}}},
				}},
			}).Draw(t, "source")}
		}), 0, 3).Draw(t, "volumes")
		return out.DeepCopy()
	})
}

func anyContainer() *rapid.Generator[corev1.Container] {
	return rapid.Custom(func(t *rapid.T) corev1.Container {
		c := corev1.Container{Image: rapid.SampledFrom([]string{"", "a", "a:1", "x.org/a:latest"}).Draw(t, "image")}
		if rapid.Bool().Draw(t, "port") {
			c.Ports = []corev1.ContainerPort{{ContainerPort: 80}}
		}
		if rapid.Bool().Draw(t, "probe") {
			c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{}}}
		}
		if rapid.Bool().Draw(t, "field") {
			c.Env = []corev1.EnvVar{{ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{}}}}
		}
		return c
	})
}

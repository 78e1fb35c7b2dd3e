// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package act

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// A Workload is the object that a workloadRef points at. Path is where its pod
// template is, as a JSON pointer.
type Workload struct {
	APIVersion, Kind, Name, Path string
}

// Target is where the Rollout's pod template is kept: nil for the Rollout
// itself.
func Target(ro *v1alpha1.Rollout) *Workload {
	ref := ro.Spec.WorkloadRef
	if ref == nil {
		return nil
	}
	w := &Workload{APIVersion: ref.APIVersion, Kind: ref.Kind, Name: ref.Name, Path: "/spec/template"}
	if ref.Kind == "PodTemplate" {
		w.Path = "/template"
	}
	return w
}

func (w *Workload) path() string {
	if w == nil {
		return "/spec/template"
	}
	return w.Path
}

// Restart replaces every pod that was created before the time that is after
// from now.
func Restart(ro *v1alpha1.Rollout, now time.Time, after time.Duration) Plan {
	at := now.Add(after).UTC().Format(time.RFC3339)
	return Plan{
		Patches: []Patch{onSpec(fmt.Sprintf(`{"spec":{"restartAt":"%s"}}`, at))},
		Message: fmt.Sprintf("rollout '%s' restarts in %s", ro.Name, after),
	}
}

// Undo puts the pod template of an earlier revision back. current is the
// template as it is, in the Rollout or in the object it references; sets are
// the Rollout's ReplicaSets. A toRevision of 0 means the one before the newest.
func Undo(ro *v1alpha1.Rollout, current *corev1.PodTemplateSpec, sets []appsv1.ReplicaSet, toRevision int64) (Plan, error) {
	if current.Annotations[v1alpha1.AnnotationDrill] != "" {
		return Plan{}, refuse("a drill of rollout '%s' is under way: 'drill %s --clean-up' puts its pod template and its steps back", ro.Name, ro.Name)
	}
	rs, err := earlier(ro, sets, toRevision)
	if err != nil {
		return Plan{}, err
	}
	number := Revision(rs)
	template := clean(rs)
	// The server fills in defaults in a ReplicaSet and not in a Rollout: what
	// the Rollout leaves out is equal.
	if equality.Semantic.DeepDerivative(*without(current), *template) {
		return Plan{Message: fmt.Sprintf("skipped rollback (current template already matches revision %d)", number)}, nil
	}
	target := Target(ro)
	body, err := json.Marshal([]operation{{Op: "replace", Path: target.path(), Value: template}})
	if err != nil {
		return Plan{}, fmt.Errorf("encode the pod template of revision %d: %w", number, err)
	}
	return Plan{
		Workload: target,
		Patches:  []Patch{{Type: JSON, Body: body}},
		Message:  fmt.Sprintf("rollout '%s' undo", ro.Name),
		Note:     fmt.Sprintf("back to the pod template of revision %d: %s", number, images(template)),
	}, nil
}

// SetImage changes the image of a container, or of all of them when container
// is "*". current is the pod template as it is. Each change is guarded by the
// container's name, so that a template that has changed meanwhile is not
// damaged: the server then answers 422 and the command can be given again.
func SetImage(ro *v1alpha1.Rollout, current *corev1.PodTemplateSpec, container, image string) (Plan, error) {
	target := Target(ro)
	var ops []operation
	var names []string
	set := func(list string, i int, name string) {
		names = append(names, name)
		if container != name && container != "*" {
			return
		}
		path := fmt.Sprintf("%s/spec/%s/%d", target.path(), list, i)
		ops = append(ops,
			operation{Op: "test", Path: path + "/name", Value: name},
			operation{Op: "replace", Path: path + "/image", Value: image})
	}
	for i, c := range current.Spec.InitContainers {
		set("initContainers", i, c.Name)
	}
	for i, c := range current.Spec.Containers {
		set("containers", i, c.Name)
	}
	if len(ops) == 0 {
		return Plan{}, refuse("rollout '%s' has no container %q: it has %s", ro.Name, container, strings.Join(names, ", "))
	}
	body, err := json.Marshal(ops)
	if err != nil {
		return Plan{}, fmt.Errorf("encode the image: %w", err)
	}
	return Plan{
		Workload: target,
		Patches:  []Patch{{Type: JSON, Body: body}},
		Message:  fmt.Sprintf("rollout %q image updated", ro.Name),
	}, nil
}

// Revision is the number of a revision, from its ReplicaSet; 0 when it has
// none.
func Revision(rs *appsv1.ReplicaSet) int64 {
	n, err := strconv.ParseInt(rs.Annotations[v1alpha1.AnnotationRevision], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// earlier picks the ReplicaSet to go back to, never one that a drill made bad on
// purpose.
func earlier(ro *v1alpha1.Rollout, sets []appsv1.ReplicaSet, toRevision int64) (*appsv1.ReplicaSet, error) {
	var owned []*appsv1.ReplicaSet
	for i := range sets {
		drilled := sets[i].Spec.Template.Annotations[v1alpha1.AnnotationDrill] != ""
		if metav1.IsControlledBy(&sets[i], ro) && Revision(&sets[i]) > 0 && !drilled {
			owned = append(owned, &sets[i])
		}
	}
	slices.SortFunc(owned, func(a, b *appsv1.ReplicaSet) int { return int(Revision(b) - Revision(a)) })
	if toRevision == 0 {
		if len(owned) < 2 {
			return nil, refuse("rollout '%s' has no earlier revision to go back to", ro.Name)
		}
		return owned[1], nil
	}
	var have []string
	for _, rs := range owned {
		if Revision(rs) == toRevision {
			return rs, nil
		}
		have = append(have, strconv.FormatInt(Revision(rs), 10))
	}
	return nil, refuse("rollout '%s' has no revision %d: it has %s", ro.Name, toRevision, strings.Join(have, ", "))
}

func images(t *corev1.PodTemplateSpec) string {
	var out []string
	for _, c := range t.Spec.Containers {
		out = append(out, c.Image)
	}
	return strings.Join(out, ", ")
}

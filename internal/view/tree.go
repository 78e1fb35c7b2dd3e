// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/api/v1alpha1"
)

// A Revision is one version of a Rollout's pod template and what was made of
// it.
type Revision struct {
	// Number counts from 1; 0 is for what belongs to no known revision.
	Number int64 `json:"number"`
	// Current says that it is the newest revision of the Rollout.
	Current     bool          `json:"current,omitempty"`
	ReplicaSets []ReplicaSet  `json:"replicaSets,omitempty"`
	Runs        []AnalysisRun `json:"analysisRuns,omitempty"`
	Experiments []Experiment  `json:"experiments,omitempty"`
}

// A ReplicaSet is the pods of one revision.
type ReplicaSet struct {
	Name string `json:"name"`
	Hash string `json:"hash"`
	// Status is Healthy, Progressing, Degraded or ScaledDown.
	Status string        `json:"status"`
	Age    time.Duration `json:"age"`
	// Roles are stable, canary, active or preview.
	Roles []string `json:"roles,omitempty"`
	// Weight is its share of the traffic in percent; negative when it is not
	// known.
	Weight  int32 `json:"weight"`
	Aborted bool  `json:"aborted,omitempty"`
	Desired int32 `json:"desired"`
	Ready   int32 `json:"ready"`
	// ScaleDown is how long it keeps its pods; negative when no end is set.
	ScaleDown time.Duration `json:"scaleDown"`
	Images    []string      `json:"images,omitempty"`
	Pods      []Pod         `json:"pods,omitempty"`
}

// A Pod is one pod.
type Pod struct {
	Name string `json:"name"`
	// Status is the pod's phase, or the reason why a container does not run.
	Status   string        `json:"status"`
	Age      time.Duration `json:"age"`
	Ready    int           `json:"ready"`
	Of       int           `json:"of"`
	Restarts int32         `json:"restarts"`
}

// tree groups what belongs to the Rollout by revision, newest first.
func tree(o Objects, now time.Time) []Revision {
	ro := o.Rollout
	byNumber := map[int64]*Revision{}
	at := func(number int64) *Revision {
		if byNumber[number] == nil {
			byNumber[number] = &Revision{Number: number}
		}
		return byNumber[number]
	}
	hashes := map[string]int64{}
	for i := range o.ReplicaSets {
		rs := &o.ReplicaSets[i]
		if !metav1.IsControlledBy(rs, ro) {
			continue
		}
		number := revision(rs.Annotations)
		v := replicaSet(ro, rs, o.Pods, now)
		hashes[v.Hash] = number
		r := at(number)
		r.ReplicaSets = append(r.ReplicaSets, v)
		r.Current = r.Current || v.Hash == ro.Status.CurrentPodHash
	}
	for i := range o.AnalysisRuns {
		run := &o.AnalysisRuns[i]
		if metav1.IsControlledBy(run, ro) {
			r := at(revisionOf(run.ObjectMeta, hashes))
			r.Runs = append(r.Runs, RunOf(run, now))
		}
	}
	for i := range o.Experiments {
		exp := &o.Experiments[i]
		if metav1.IsControlledBy(exp, ro) {
			r := at(revisionOf(exp.ObjectMeta, hashes))
			r.Experiments = append(r.Experiments, ExperimentOf(exp, o.AnalysisRuns, now))
		}
	}
	return sorted(byNumber)
}

func sorted(byNumber map[int64]*Revision) []Revision {
	out := make([]Revision, 0, len(byNumber))
	for _, r := range byNumber {
		slices.SortFunc(r.ReplicaSets, func(a, b ReplicaSet) int { return cmp.Compare(a.Name, b.Name) })
		slices.SortFunc(r.Experiments, func(a, b Experiment) int { return cmp.Compare(a.Name, b.Name) })
		slices.SortFunc(r.Runs, func(a, b AnalysisRun) int {
			return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.Name, b.Name))
		})
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Revision) int { return cmp.Compare(b.Number, a.Number) })
	return out
}

func revision(annotations map[string]string) int64 {
	n, err := strconv.ParseInt(annotations[v1alpha1.AnnotationRevision], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// revisionOf is the revision that an object names, or that of the ReplicaSet
// with the same hash.
func revisionOf(meta metav1.ObjectMeta, hashes map[string]int64) int64 {
	if n := revision(meta.Annotations); n > 0 {
		return n
	}
	return hashes[meta.Labels[v1alpha1.LabelPodTemplateHash]]
}

func replicaSet(ro *v1alpha1.Rollout, rs *appsv1.ReplicaSet, pods []corev1.Pod, now time.Time) ReplicaSet {
	hash := rs.Labels[v1alpha1.LabelPodTemplateHash]
	v := ReplicaSet{
		Name:      rs.Name,
		Hash:      hash,
		Age:       since(rs.CreationTimestamp.Time, now),
		Roles:     roles(ro, hash),
		Weight:    weightOf(ro, hash),
		Aborted:   ro.Status.Abort && hash == ro.Status.CurrentPodHash,
		Ready:     rs.Status.ReadyReplicas,
		ScaleDown: -1,
		Pods:      podsOf(rs.UID, pods, now),
	}
	if rs.Spec.Replicas != nil {
		v.Desired = *rs.Spec.Replicas
	}
	v.Status = replicaSetStatus(rs, v.Desired, len(v.Pods))
	if t, err := time.Parse(time.RFC3339, rs.Annotations[v1alpha1.AnnotationScaleDownDeadline]); err == nil && v.Desired > 0 {
		v.ScaleDown = 0
		if !now.IsZero() {
			v.ScaleDown = max(0, t.Sub(now))
		}
	}
	for _, c := range rs.Spec.Template.Spec.Containers {
		v.Images = append(v.Images, c.Image)
	}
	return v
}

func replicaSetStatus(rs *appsv1.ReplicaSet, desired int32, pods int) string {
	if desired == 0 && rs.Status.Replicas == 0 && pods == 0 {
		return "ScaledDown"
	}
	for _, c := range rs.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			return "Degraded"
		}
	}
	if rs.Status.ObservedGeneration < rs.Generation || rs.Status.AvailableReplicas < desired || rs.Status.Replicas != desired {
		return "Progressing"
	}
	return "Healthy"
}

func roles(ro *v1alpha1.Rollout, hash string) []string {
	var out []string
	if hash == "" {
		return nil
	}
	if hash == ro.Status.StableRS {
		out = append(out, "stable")
	}
	if ro.Spec.Strategy.BlueGreen != nil {
		if hash == ro.Status.BlueGreen.ActiveSelector {
			out = append(out, "active")
		}
		if hash == ro.Status.BlueGreen.PreviewSelector {
			out = append(out, "preview")
		}
		return out
	}
	if hash == ro.Status.CurrentPodHash && hash != ro.Status.StableRS {
		out = append(out, "canary")
	}
	return out
}

// weightOf is the share of the traffic that a revision gets; -1 when the
// Rollout does not say.
func weightOf(ro *v1alpha1.Rollout, hash string) int32 {
	w := ro.Status.Canary.Weights
	switch {
	case w == nil || hash == "" || ro.Spec.Strategy.Canary == nil || ro.Spec.Strategy.Canary.TrafficRouting == nil:
		return -1
	case settled(ro) && hash == ro.Status.StableRS:
		return -1
	case w.Canary.PodTemplateHash == hash && w.Stable.PodTemplateHash == hash:
		return percent(ro, w.Stable.Weight+w.Canary.Weight)
	case w.Canary.PodTemplateHash == hash:
		return percent(ro, w.Canary.Weight)
	case w.Stable.PodTemplateHash == hash:
		return percent(ro, w.Stable.Weight)
	}
	return -1
}

// percent is a weight in percent: a router may count to something else than
// 100.
func percent(ro *v1alpha1.Rollout, weight int32) int32 {
	full := ro.Spec.Strategy.Canary.TrafficRouting.MaxTrafficWeight
	if full == nil || *full <= 0 {
		return weight
	}
	return int32(int64(weight) * 100 / int64(*full))
}

func podsOf(owner types.UID, pods []corev1.Pod, now time.Time) []Pod {
	var out []Pod
	for i := range pods {
		p := &pods[i]
		if ref := metav1.GetControllerOf(p); ref != nil && ref.UID == owner {
			out = append(out, podOf(p, now))
		}
	}
	slices.SortFunc(out, func(a, b Pod) int { return cmp.Or(cmp.Compare(b.Age, a.Age), cmp.Compare(a.Name, b.Name)) })
	return out
}

// images are the images that run or may soon, with the roles of their
// revisions.
func images(tree []Revision) []Image {
	var out []Image
	for _, r := range tree {
		for _, rs := range r.ReplicaSets {
			if rs.Status == "ScaledDown" && len(rs.Roles) == 0 {
				continue
			}
			for _, name := range rs.Images {
				i := slices.IndexFunc(out, func(im Image) bool { return im.Name == name })
				if i < 0 {
					out = append(out, Image{Name: name})
					i = len(out) - 1
				}
				for _, role := range rs.Roles {
					if !slices.Contains(out[i].Roles, role) {
						out[i].Roles = append(out[i].Roles, role)
					}
				}
			}
		}
	}
	return out
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package view turns API objects into what people are shown.
//
// [Of] gathers a Rollout and what belongs to it into one value: its phase and
// the reason for it, the step, the weights, and a tree of revisions with their
// ReplicaSets, pods, analysis runs and metrics. The command line and the
// dashboard show the same value, so they cannot disagree.
//
// It reads nothing, and it does not draw: package view/text does.
package view

import (
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// Objects are a Rollout and what may belong to it. What another Rollout owns is
// left out by Of.
type Objects struct {
	Rollout      *v1alpha1.Rollout
	ReplicaSets  []appsv1.ReplicaSet
	Pods         []corev1.Pod
	AnalysisRuns []v1alpha1.AnalysisRun
	Experiments  []v1alpha1.Experiment
}

// A Rollout is what people are shown of a Rollout.
type Rollout struct {
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	Age       time.Duration `json:"age"`
	// Phase is Healthy, Progressing, Paused or Degraded, and Message says why.
	Phase   v1alpha1.RolloutPhase `json:"phase"`
	Message string                `json:"message,omitempty"`
	// Hold says which metric keeps the Rollout where it is, and why.
	Hold string `json:"hold,omitempty"`
	// Gate says whether a drill has proven the gates; empty when there are none.
	Gate string `json:"gate,omitempty"`
	// HandChanges say what was changed by hand since a GitOps tool wrote the
	// spec, the newest first.
	HandChanges []string `json:"handChanges,omitempty"`
	// Observed says whether a controller has seen the spec as it is now.
	Observed bool `json:"observed"`
	Aborted  bool `json:"aborted,omitempty"`
	Invalid  bool `json:"invalid,omitempty"`
	// Pauses are what it waits for; empty while it is not paused.
	Pauses []Pause `json:"pauses,omitempty"`

	// Strategy is Canary or BlueGreen.
	Strategy string `json:"strategy"`
	// Steps are the steps of a canary, and Step is the index of the current
	// one; len(Steps) when all are done.
	Steps []Step `json:"steps,omitempty"`
	Step  int    `json:"step"`
	// SetWeight is the weight the canary was given by its steps, and
	// ActualWeight the one it has, both as the router counts: in percent, unless
	// maxTrafficWeight says otherwise.
	SetWeight    int32 `json:"setWeight"`
	ActualWeight int32 `json:"actualWeight"`

	Images   []Image    `json:"images,omitempty"`
	Replicas Replicas   `json:"replicas"`
	Skipped  []string   `json:"skipped,omitempty"`
	Tree     []Revision `json:"revisions,omitempty"`
}

// A Pause is something that a Rollout waits for.
type Pause struct {
	// Reason is a PauseReason, or empty for a pause asked for by a person.
	Reason v1alpha1.PauseReason `json:"reason,omitempty"`
	// Since is how long it has lasted, and Left how much of it remains; Left is
	// negative when it lasts until a person acts.
	Since time.Duration `json:"since"`
	Left  time.Duration `json:"left"`
}

// A Step is one step of a canary in a few words.
type Step struct {
	Text string `json:"text"`
}

// An Image is a container image that runs, and the revisions that run it.
type Image struct {
	Name  string   `json:"name"`
	Roles []string `json:"roles,omitempty"`
}

// Replicas counts pods.
type Replicas struct {
	Desired   int32 `json:"desired"`
	Current   int32 `json:"current"`
	Updated   int32 `json:"updated"`
	Ready     int32 `json:"ready"`
	Available int32 `json:"available"`
}

// Of is what people are shown of o at the time now. A zero now leaves out
// everything that changes by itself, so that two views differ only when the
// objects do.
func Of(o Objects, now time.Time) Rollout {
	ro := o.Rollout
	phase, message := phaseOf(ro)
	v := Rollout{
		Namespace: ro.Namespace,
		Name:      ro.Name,
		Age:       since(ro.CreationTimestamp.Time, now),
		Phase:     phase,
		Message:   message,
		Observed:  observed(ro),
		Aborted:   ro.Status.Abort,
		Invalid:   invalid(ro),
		Pauses:    pauses(ro, now),
		Strategy:  strategy(ro),
		Replicas: Replicas{
			Desired:   desired(ro),
			Current:   ro.Status.Replicas,
			Updated:   ro.Status.UpdatedReplicas,
			Ready:     ro.Status.ReadyReplicas,
			Available: ro.Status.AvailableReplicas,
		},
	}
	if s := ro.Status.Sluice; s != nil {
		v.Hold = s.Hold
		v.Skipped = skipped(s.Skipped)
		v.HandChanges = handChanges(s.HandChanges, now)
	}
	v.Gate = gate(ro, now)
	v.Steps, v.Step = progress(ro)
	v.SetWeight, v.ActualWeight = weights(ro)
	v.Tree = tree(o, now)
	v.Images = images(v.Tree)
	return v
}

// phaseOf is the phase that the status names, unless the status is not about
// the spec as it is now.
func phaseOf(ro *v1alpha1.Rollout) (v1alpha1.RolloutPhase, string) {
	if !observed(ro) {
		return v1alpha1.RolloutPhaseProgressing, "waiting for rollout spec update to be observed"
	}
	resumed := ro.Status.ControllerPause && len(ro.Status.PauseConditions) == 0 && !ro.Status.Abort
	if resumed && !ro.Spec.Paused && ro.Status.Phase == v1alpha1.RolloutPhasePaused {
		return v1alpha1.RolloutPhaseProgressing, "waiting for rollout to unpause"
	}
	if ro.Spec.Paused && ro.Status.Phase == v1alpha1.RolloutPhaseProgressing && ro.Status.Message == "" {
		return v1alpha1.RolloutPhasePaused, "manually paused"
	}
	if ro.Status.Phase == "" {
		return v1alpha1.RolloutPhaseProgressing, ro.Status.Message
	}
	return ro.Status.Phase, ro.Status.Message
}

// observed reports whether the status is about the spec as it is now. Old
// controllers wrote a hash, or a number larger than the generation.
func observed(ro *v1alpha1.Rollout) bool {
	seen, err := strconv.ParseInt(ro.Status.ObservedGeneration, 10, 64)
	if err != nil {
		return ro.Status.ObservedGeneration != ""
	}
	if seen < ro.Generation {
		return false
	}
	workload := ro.Annotations[v1alpha1.AnnotationWorkloadGeneration]
	return ro.Spec.WorkloadRef == nil || workload == ro.Status.WorkloadObservedGeneration
}

func invalid(ro *v1alpha1.Rollout) bool {
	for _, c := range ro.Status.Conditions {
		if c.Type == v1alpha1.InvalidSpec && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

func strategy(ro *v1alpha1.Rollout) string {
	switch {
	case ro.Spec.Strategy.Canary != nil:
		return "Canary"
	case ro.Spec.Strategy.BlueGreen != nil:
		return "BlueGreen"
	}
	return "none"
}

func desired(ro *v1alpha1.Rollout) int32 {
	if ro.Spec.Replicas == nil {
		return v1alpha1.DefaultReplicas
	}
	return *ro.Spec.Replicas
}

// since is the time from t to now; zero when either is not known.
func since(t, now time.Time) time.Duration {
	if t.IsZero() || now.IsZero() || now.Before(t) {
		return 0
	}
	return now.Sub(t)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"time"

	"sluice.dev/sluice/api/v1alpha1"
)

// An Experiment is what people are shown of an Experiment.
type Experiment struct {
	Namespace string                 `json:"namespace"`
	Name      string                 `json:"name"`
	Phase     v1alpha1.AnalysisPhase `json:"phase"`
	Message   string                 `json:"message,omitempty"`
	Age       time.Duration          `json:"age"`
	// Left is how much of its duration remains; negative when it has none or
	// its pods are not available yet.
	Left     time.Duration `json:"left"`
	Versions []Version     `json:"versions,omitempty"`
	Runs     []AnalysisRun `json:"analysisRuns,omitempty"`
}

// A Version is one of the versions that an Experiment runs.
type Version struct {
	Name      string `json:"name"`
	Status    string `json:"status"`
	Message   string `json:"message,omitempty"`
	Hash      string `json:"hash,omitempty"`
	Desired   int32  `json:"desired"`
	Available int32  `json:"available"`
	Image     string `json:"image,omitempty"`
}

// ExperimentOf is what people are shown of exp at the time now. runs are
// AnalysisRuns; those that exp does not name are left out.
func ExperimentOf(exp *v1alpha1.Experiment, runs []v1alpha1.AnalysisRun, now time.Time) Experiment {
	v := Experiment{
		Namespace: exp.Namespace,
		Name:      exp.Name,
		Phase:     exp.Status.Phase,
		Message:   exp.Status.Message,
		Age:       since(exp.CreationTimestamp.Time, now),
		Left:      -1,
	}
	if v.Phase == "" {
		v.Phase = v1alpha1.AnalysisPhasePending
	}
	if d, err := exp.Spec.Duration.Duration(); err == nil && d > 0 && exp.Status.AvailableAt != nil && !v.Phase.Completed() {
		v.Left = max(0, d-since(exp.Status.AvailableAt.Time, now))
	}
	for i := range exp.Spec.Templates {
		v.Versions = append(v.Versions, versionOf(&exp.Spec.Templates[i], exp.Status.TemplateStatuses))
	}
	for _, ref := range exp.Status.AnalysisRuns {
		v.Runs = append(v.Runs, runNamed(ref, runs, now))
	}
	return v
}

func versionOf(t *v1alpha1.TemplateSpec, statuses []v1alpha1.TemplateStatus) Version {
	v := Version{Name: t.Name, Status: string(v1alpha1.TemplateStatusProgressing), Desired: v1alpha1.DefaultReplicas}
	if t.Replicas != nil {
		v.Desired = *t.Replicas
	}
	if len(t.Template.Spec.Containers) > 0 {
		v.Image = t.Template.Spec.Containers[0].Image
	}
	for _, s := range statuses {
		if s.Name == t.Name {
			v.Status, v.Message, v.Hash, v.Available = string(s.Status), s.Message, s.PodTemplateHash, s.AvailableReplicas
		}
	}
	return v
}

func runNamed(ref v1alpha1.ExperimentAnalysisRunStatus, runs []v1alpha1.AnalysisRun, now time.Time) AnalysisRun {
	for i := range runs {
		if runs[i].Name == ref.AnalysisRun {
			return RunOf(&runs[i], now)
		}
	}
	return AnalysisRun{Name: ref.AnalysisRun, Phase: ref.Phase, Message: ref.Message, Step: -1}
}

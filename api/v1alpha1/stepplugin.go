// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StepPluginStatus is the state of one call to a step plugin.
type StepPluginStatus struct {
	// index of the step, from 0.
	Index int32 `json:"index"`
	// name of the plugin.
	Name string `json:"name"`
	// message it gave last.
	// +optional
	Message string `json:"message,omitempty"`
	// phase it is in: Running, Successful, Failed or Error.
	// +optional
	Phase StepPluginPhase `json:"phase,omitempty"`
	// startedAt is when it was called first.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// updatedAt is when it was called last.
	// +optional
	UpdatedAt *metav1.Time `json:"updatedAt,omitempty"`
	// finishedAt is when it was done.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// backoff is how long to wait before the next call.
	// +optional
	Backoff DurationString `json:"backoff,omitempty"`
	// executions is how often it was called.
	// +optional
	Executions int32 `json:"executions,omitempty"`
	// operation that was asked of it: Run, Terminate or Abort.
	Operation StepPluginOperation `json:"operation"`
	// disabled is true when the plugin is switched off and the step skipped.
	// +optional
	Disabled bool `json:"disabled,omitempty"`
	// status is the plugin's own memory.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	// +optional
	Status json.RawMessage `json:"status,omitempty"`
}

// StepPluginPhase is the phase of a call to a step plugin.
type StepPluginPhase string

// The phases of a call to a step plugin.
const (
	StepPluginPhaseRunning    StepPluginPhase = "Running"
	StepPluginPhaseSuccessful StepPluginPhase = "Successful"
	StepPluginPhaseFailed     StepPluginPhase = "Failed"
	StepPluginPhaseError      StepPluginPhase = "Error"
)

// StepPluginOperation is what is asked of a step plugin.
type StepPluginOperation string

// The operations of a step plugin.
const (
	StepPluginOperationRun       StepPluginOperation = "Run"
	StepPluginOperationTerminate StepPluginOperation = "Terminate"
	StepPluginOperationAbort     StepPluginOperation = "Abort"
)

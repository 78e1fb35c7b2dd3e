// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RolloutStatus is what was seen and decided last.
type RolloutStatus struct {
	// abort is set to stop the current revision and send all traffic back to the
	// stable one, by a person or by a failed analysis. Setting it to false
	// retries the revision.
	// +optional
	Abort bool `json:"abort,omitempty"`
	// pauseConditions are the reasons for which the controller is waiting for
	// time or for a person. A person clears them to go on.
	// +optional
	PauseConditions []PauseCondition `json:"pauseConditions,omitempty"`
	// controllerPause is true while the controller itself has paused; with no
	// pauseConditions left it means that a person has resumed.
	// +optional
	ControllerPause bool `json:"controllerPause,omitempty"`
	// abortedAt is when the abort was acted on.
	// +optional
	AbortedAt *metav1.Time `json:"abortedAt,omitempty"`
	// currentPodHash is the pod-template hash of the newest revision.
	// +optional
	CurrentPodHash string `json:"currentPodHash,omitempty"`
	// currentStepHash is a hash of the steps; when it changes the steps start
	// again.
	// +optional
	CurrentStepHash string `json:"currentStepHash,omitempty"`
	// replicas is the number of pods that exist, of every revision.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`
	// updatedReplicas is the number of pods of the newest revision.
	// +optional
	UpdatedReplicas int32 `json:"updatedReplicas,omitempty"`
	// readyReplicas is the number of ready pods.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas,omitempty"`
	// availableReplicas is the number of pods ready for minReadySeconds.
	// +optional
	AvailableReplicas int32 `json:"availableReplicas,omitempty"`
	// currentStepIndex is the step being done, from 0; the number of steps when
	// all are done.
	// +optional
	CurrentStepIndex *int32 `json:"currentStepIndex,omitempty"`
	// collisionCount is the number of hash collisions met so far; it keeps names
	// of ReplicaSets apart.
	// +optional
	CollisionCount *int32 `json:"collisionCount,omitempty"`
	// observedGeneration is the generation of the spec that this status is
	// about, as a decimal string.
	// +optional
	ObservedGeneration string `json:"observedGeneration,omitempty"`
	// conditions are the state in a form that tools read.
	// +optional
	Conditions []RolloutCondition `json:"conditions,omitempty"`
	// canary is the state of a canary.
	// +optional
	Canary CanaryStatus `json:"canary,omitzero"`
	// blueGreen is the state of a blue-green update.
	// +optional
	BlueGreen BlueGreenStatus `json:"blueGreen,omitzero"`
	// HPAReplicas is the number of pods that an autoscaler should count.
	// +optional
	HPAReplicas int32 `json:"HPAReplicas,omitempty"`
	// selector finds the pods that an autoscaler should look at, as a string.
	// +optional
	Selector string `json:"selector,omitempty"`
	// stableRS is the pod-template hash of the stable revision.
	// +optional
	StableRS string `json:"stableRS,omitempty"`
	// restartedAt is the spec.restartAt that was carried out last.
	// +optional
	RestartedAt *metav1.Time `json:"restartedAt,omitempty"`
	// promoteFull is set by a person to skip every step and gate that is left.
	// +optional
	PromoteFull bool `json:"promoteFull,omitempty"`
	// phase is Healthy, Progressing, Paused or Degraded.
	// +optional
	Phase RolloutPhase `json:"phase,omitempty"`
	// message says why it is in that phase.
	// +optional
	Message string `json:"message,omitempty"`
	// workloadObservedGeneration is the generation of the workload in
	// spec.workloadRef that this status is about, as a decimal string.
	// +optional
	WorkloadObservedGeneration string `json:"workloadObservedGeneration,omitempty"`
	// alb is the load balancer when there is one Ingress.
	// +optional
	ALB *ALBStatus `json:"alb,omitempty"`
	// albs are the load balancers when there are several Ingresses.
	// +optional
	ALBs []ALBStatus `json:"albs,omitempty"`
	// sluice is what this controller records beyond the fields above.
	// +optional
	Sluice *SluiceStatus `json:"sluice,omitempty"`
}

// PauseReason says why the controller waits.
type PauseReason string

// PauseCondition is a wait and when it began.
type PauseCondition struct {
	// reason for the wait.
	Reason PauseReason `json:"reason"`
	// startTime is when it began.
	StartTime metav1.Time `json:"startTime"`
}

// RolloutPhase sums a Rollout up in one word.
type RolloutPhase string

// RolloutConditionType names a condition of a Rollout.
type RolloutConditionType string

// RolloutCondition is one aspect of a Rollout's state.
type RolloutCondition struct {
	// type of the condition.
	Type RolloutConditionType `json:"type"`
	// status is True, False or Unknown.
	Status corev1.ConditionStatus `json:"status"`
	// lastUpdateTime is when the condition was written last.
	LastUpdateTime metav1.Time `json:"lastUpdateTime"`
	// lastTransitionTime is when status changed last.
	LastTransitionTime metav1.Time `json:"lastTransitionTime"`
	// reason for the status, in one word.
	Reason string `json:"reason"`
	// message for people.
	Message string `json:"message"`
}

// CanaryStatus is the state of a canary.
type CanaryStatus struct {
	// currentStepAnalysisRunStatus is the AnalysisRun of the current step.
	// +optional
	CurrentStepAnalysisRunStatus *RolloutAnalysisRunStatus `json:"currentStepAnalysisRunStatus,omitempty"`
	// currentBackgroundAnalysisRunStatus is the AnalysisRun beside the steps.
	// +optional
	CurrentBackgroundAnalysisRunStatus *RolloutAnalysisRunStatus `json:"currentBackgroundAnalysisRunStatus,omitempty"`
	// currentExperiment is the name of the Experiment of the current step.
	// +optional
	CurrentExperiment string `json:"currentExperiment,omitempty"`
	// weights is the split that the router was told last.
	// +optional
	Weights *TrafficWeights `json:"weights,omitempty"`
	// stablePingPong says which of the pingPong Services is the stable one: ping
	// or pong.
	// +optional
	StablePingPong PingPongType `json:"stablePingPong,omitempty"`
	// stepPluginStatuses are the states of the plugin steps.
	// +optional
	StepPluginStatuses []StepPluginStatus `json:"stepPluginStatuses,omitempty"`
}

// PingPongType names one of the two pingPong Services.
type PingPongType string

// The two pingPong Services.
const (
	PPPing PingPongType = "ping"
	PPPong PingPongType = "pong"
)

// TrafficWeights is a split of the traffic.
type TrafficWeights struct {
	// canary is the share of the new revision.
	Canary WeightDestination `json:"canary"`
	// stable is the share of the stable revision.
	Stable WeightDestination `json:"stable"`
	// additional are the shares of Experiments.
	// +optional
	Additional []WeightDestination `json:"additional,omitempty"`
	// verified says whether the router was seen to carry the split. Left out
	// when the router cannot tell.
	// +optional
	Verified *bool `json:"verified,omitempty"`
}

// WeightDestination is the share of one revision.
type WeightDestination struct {
	// weight is the share, out of maxTrafficWeight.
	Weight int32 `json:"weight"`
	// serviceName is the Service that leads there.
	// +optional
	ServiceName string `json:"serviceName,omitempty"`
	// podTemplateHash is the revision.
	// +optional
	PodTemplateHash string `json:"podTemplateHash,omitempty"`
}

// RolloutAnalysisRunStatus is the state of an AnalysisRun as the Rollout saw it.
type RolloutAnalysisRunStatus struct {
	// name of the AnalysisRun.
	Name string `json:"name"`
	// status is its phase.
	Status AnalysisPhase `json:"status"`
	// message it gives.
	// +optional
	Message string `json:"message,omitempty"`
}

// BlueGreenStatus is the state of a blue-green update.
type BlueGreenStatus struct {
	// previewSelector is the revision that the preview Service points at.
	// +optional
	PreviewSelector string `json:"previewSelector,omitempty"`
	// activeSelector is the revision that the active Service points at.
	// +optional
	ActiveSelector string `json:"activeSelector,omitempty"`
	// scaleUpPreviewCheckPoint is true once a preview of reduced size may grow.
	// +optional
	ScaleUpPreviewCheckPoint bool `json:"scaleUpPreviewCheckPoint,omitempty"`
	// prePromotionAnalysisRunStatus is the AnalysisRun before the switch.
	// +optional
	PrePromotionAnalysisRunStatus *RolloutAnalysisRunStatus `json:"prePromotionAnalysisRunStatus,omitempty"`
	// postPromotionAnalysisRunStatus is the AnalysisRun after the switch.
	// +optional
	PostPromotionAnalysisRunStatus *RolloutAnalysisRunStatus `json:"postPromotionAnalysisRunStatus,omitempty"`
}

// ALBStatus is the load balancer behind an Ingress.
type ALBStatus struct {
	// loadBalancer is the load balancer.
	// +optional
	LoadBalancer AwsResourceRef `json:"loadBalancer,omitzero"`
	// canaryTargetGroup is the target group of the new revision.
	// +optional
	CanaryTargetGroup AwsResourceRef `json:"canaryTargetGroup,omitzero"`
	// stableTargetGroup is the target group of the stable revision.
	// +optional
	StableTargetGroup AwsResourceRef `json:"stableTargetGroup,omitzero"`
	// ingress is the Ingress it belongs to.
	// +optional
	Ingress string `json:"ingress,omitempty"`
}

// AwsResourceRef names something in AWS.
type AwsResourceRef struct {
	// name of the resource.
	Name string `json:"name"`
	// arn of the resource.
	ARN string `json:"arn"`
	// fullName is the part of the ARN that metrics are labelled with.
	// +optional
	FullName string `json:"fullName,omitempty"`
}

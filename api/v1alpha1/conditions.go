// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// The phases of a Rollout.
const (
	RolloutPhaseHealthy     RolloutPhase = "Healthy"
	RolloutPhaseDegraded    RolloutPhase = "Degraded"
	RolloutPhaseProgressing RolloutPhase = "Progressing"
	RolloutPhasePaused      RolloutPhase = "Paused"
)

// The phases of runs, metrics, measurements and Experiments.
const (
	AnalysisPhasePending      AnalysisPhase = "Pending"
	AnalysisPhaseRunning      AnalysisPhase = "Running"
	AnalysisPhaseSuccessful   AnalysisPhase = "Successful"
	AnalysisPhaseFailed       AnalysisPhase = "Failed"
	AnalysisPhaseError        AnalysisPhase = "Error"
	AnalysisPhaseInconclusive AnalysisPhase = "Inconclusive"
)

// Completed reports whether the phase is final.
func (p AnalysisPhase) Completed() bool {
	switch p {
	case AnalysisPhaseSuccessful, AnalysisPhaseFailed, AnalysisPhaseError, AnalysisPhaseInconclusive:
		return true
	case AnalysisPhasePending, AnalysisPhaseRunning:
	}
	return false
}

// The reasons for which the controller pauses.
const (
	PauseReasonInconclusiveAnalysis   PauseReason = "InconclusiveAnalysisRun"
	PauseReasonInconclusiveExperiment PauseReason = "InconclusiveExperiment"
	PauseReasonCanaryPauseStep        PauseReason = "CanaryPauseStep"
	PauseReasonBlueGreenPause         PauseReason = "BlueGreenPause"
	// PauseReasonAnalysisHold is a gate that could not decide for maxHold. Argo
	// Rollouts does not have it.
	PauseReasonAnalysisHold PauseReason = "AnalysisHold"
)

// The condition types of a Rollout.
const (
	RolloutAvailable      RolloutConditionType = "Available"
	RolloutProgressing    RolloutConditionType = "Progressing"
	RolloutReplicaFailure RolloutConditionType = "ReplicaFailure"
	RolloutPaused         RolloutConditionType = "Paused"
	RolloutCompleted      RolloutConditionType = "Completed"
	RolloutHealthy        RolloutConditionType = "Healthy"
	InvalidSpec           RolloutConditionType = "InvalidSpec"
	// RolloutNotified is there, and False, when people were not told something
	// about the current revision. Argo Rollouts does not have it.
	RolloutNotified RolloutConditionType = "Notified"
	// RolloutGateProven says whether a drill has shown that the gates abort, and
	// whether they are still the same. It is left out before the first drill.
	// Argo Rollouts does not have it.
	RolloutGateProven RolloutConditionType = "GateProven"
)

// ExperimentProgressing is the condition type of an Experiment.
const ExperimentProgressing ExperimentConditionType = "Progressing"

// The reasons of a Rollout's conditions.
const (
	ReasonNewReplicaSetCreated     = "NewReplicaSetCreated"
	ReasonFoundNewReplicaSet       = "FoundNewReplicaSet"
	ReasonReplicaSetUpdated        = "ReplicaSetUpdated"
	ReasonNewReplicaSetAvailable   = "NewReplicaSetAvailable"
	ReasonReplicaSetNotAvailable   = "ReplicaSetNotAvailable"
	ReasonReplicaSetCreateError    = "ReplicaSetCreateError"
	ReasonRolloutPaused            = "RolloutPaused"
	ReasonRolloutResumed           = "RolloutResumed"
	ReasonRolloutRetry             = "RolloutRetry"
	ReasonRolloutAborted           = "RolloutAborted"
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"
	ReasonAvailable                = "AvailableReason"
	ReasonRolloutCompleted         = "RolloutCompleted"
	ReasonRolloutHealthy           = "RolloutHealthy"
	ReasonInvalidSpec              = "InvalidSpec"
	ReasonNotificationsLost        = "NotificationsLost"
)

// The reasons of events. Each is also the name of a notification trigger, in
// kebab case after "on-".
const (
	EventRolloutUpdated          = "RolloutUpdated"
	EventRolloutNotCompleted     = "RolloutNotCompleted"
	EventScalingReplicaSet       = "ScalingReplicaSet"
	EventRolloutStepCompleted    = "RolloutStepCompleted"
	EventSkipSteps               = "SkipSteps"
	EventSwitchService           = "SwitchService"
	EventTrafficWeightUpdated    = "TrafficWeightUpdated"
	EventTrafficRoutingError     = "TrafficRoutingError"
	EventWeightVerifyError       = "WeightVerifyError"
	EventVirtualServiceNotFound  = "VirtualServiceNotFound"
	EventDestinationRuleNotFound = "DestinationRuleNotFound"
	EventUpdatedVirtualService   = "Updated VirtualService"
	EventUpdatedDestinationRule  = "UpdatedDestinationRule"
	EventExperimentCreated       = "ExperimentCreated"
	EventAnalysisRunTerminating  = "AnalysisRunTerminating"
	EventStepPluginTransition    = "StepPluginTransition"
	EventServiceReferenceError   = "ServiceReferenceError"
	EventReconciliationError     = "ReconciliationError"
	EventRolloutDeleted          = "RolloutDeleted"
	EventRolloutAddedToInformer  = "RolloutAddedToInformer"
	EventRolloutAborted          = "RolloutAborted"
	EventRolloutCompleted        = "RolloutCompleted"
	// EventRolloutRecovered is a Rollout that is Healthy for the first time
	// after an abort. Argo Rollouts does not have it.
	EventRolloutRecovered = "RolloutRecovered"
	// EventChangedByHand is a change of the spec that the GitOps tool which had
	// written it did not make. Argo Rollouts does not have it.
	EventChangedByHand = "ChangedByHand"
	// EventRevertMade is a commit or a pull request that reverts what was
	// aborted, EventRevertNotNeeded that Git does not ask for it any more, and
	// EventRevertFailed and EventRevertLost that there is none yet, or never will
	// be. Argo Rollouts does not have them.
	EventRevertMade      = "RevertMade"
	EventRevertNotNeeded = "RevertNotNeeded"
	EventRevertFailed    = "RevertFailed"
	EventRevertLost      = "RevertLost"
	// EventAnalysisRunPrefix is followed by a run's phase, EventMetricPrefix by
	// a metric's, EventExperimentPrefix by an Experiment's and
	// EventTemplatePrefix by a version's.
	EventAnalysisRunPrefix = "AnalysisRun"
	EventMetricPrefix      = "Metric"
	EventExperimentPrefix  = "Experiment"
	EventTemplatePrefix    = "Template"
)

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// The phases of a Rollout.
const (
	RolloutPhaseHealthy     RolloutPhase = "Healthy"     // the newest version is stable and all of it is available
	RolloutPhaseDegraded    RolloutPhase = "Degraded"    // the release was aborted, the spec cannot be followed, or pods did not become available in time
	RolloutPhaseProgressing RolloutPhase = "Progressing" // something is under way, or a gate holds
	RolloutPhasePaused      RolloutPhase = "Paused"      // a pause step, a person, or a gate that could not decide
)

// The phases of runs, metrics, measurements and Experiments.
const (
	AnalysisPhasePending      AnalysisPhase = "Pending"      // nothing was measured yet
	AnalysisPhaseRunning      AnalysisPhase = "Running"      // measuring, also while it holds
	AnalysisPhaseSuccessful   AnalysisPhase = "Successful"   // good
	AnalysisPhaseFailed       AnalysisPhase = "Failed"       // bad: the release is aborted
	AnalysisPhaseError        AnalysisPhase = "Error"        // the provider gave an error; a run ends with it under `onError: abort` only
	AnalysisPhaseInconclusive AnalysisPhase = "Inconclusive" // neither good nor bad; a run that ends with it pauses the release
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
	PauseReasonInconclusiveAnalysis   PauseReason = "InconclusiveAnalysisRun" // a gate ended without a decision
	PauseReasonInconclusiveExperiment PauseReason = "InconclusiveExperiment"  // of Experiments; not set by this version
	PauseReasonCanaryPauseStep        PauseReason = "CanaryPauseStep"         // a pause step is at work
	PauseReasonBlueGreenPause         PauseReason = "BlueGreenPause"          // of blue-green; not set by this version
	// PauseReasonAnalysisHold is a gate that could not decide for maxHold. Argo
	// Rollouts does not have it.
	PauseReasonAnalysisHold PauseReason = "AnalysisHold"
)

// The condition types of a Rollout.
const (
	RolloutAvailable      RolloutConditionType = "Available"      // enough pods are available
	RolloutProgressing    RolloutConditionType = "Progressing"    // a release is under way, has ended, or has run out of time; its reason says which
	RolloutReplicaFailure RolloutConditionType = "ReplicaFailure" // of Argo Rollouts; not set by this version
	RolloutPaused         RolloutConditionType = "Paused"         // the release is paused
	RolloutCompleted      RolloutConditionType = "Completed"      // the newest version is the stable one
	RolloutHealthy        RolloutConditionType = "Healthy"        // completed, and all pods are available
	InvalidSpec           RolloutConditionType = "InvalidSpec"    // the spec, or an object that it names, cannot be followed
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
	ReasonNewReplicaSetCreated     = "NewReplicaSetCreated"     // of Argo Rollouts; not set by this version
	ReasonFoundNewReplicaSet       = "FoundNewReplicaSet"       // of Argo Rollouts; not set by this version
	ReasonReplicaSetUpdated        = "ReplicaSetUpdated"        // a release is under way
	ReasonNewReplicaSetAvailable   = "NewReplicaSetAvailable"   // the release has ended
	ReasonReplicaSetNotAvailable   = "ReplicaSetNotAvailable"   // of Argo Rollouts; not set by this version
	ReasonReplicaSetCreateError    = "ReplicaSetCreateError"    // of Argo Rollouts; not set by this version
	ReasonRolloutPaused            = "RolloutPaused"            // the release is paused
	ReasonRolloutResumed           = "RolloutResumed"           // a pause has ended
	ReasonRolloutRetry             = "RolloutRetry"             // an aborted release was started again
	ReasonRolloutAborted           = "RolloutAborted"           // the release was aborted
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded" // pods did not become available within progressDeadlineSeconds
	ReasonAvailable                = "AvailableReason"          // of the condition Available
	ReasonRolloutCompleted         = "RolloutCompleted"         // of the condition Completed
	ReasonRolloutHealthy           = "RolloutHealthy"           // of the condition Healthy
	ReasonInvalidSpec              = "InvalidSpec"              // of the condition InvalidSpec
	ReasonNotificationsLost        = "NotificationsLost"        // of the condition Notified
)

// The reasons of events. Each is also the name of a notification trigger, in
// kebab case after "on-".
const (
	EventRolloutUpdated          = "RolloutUpdated"          // a new revision, or the steps changed
	EventRolloutNotCompleted     = "RolloutNotCompleted"     // of Argo Rollouts; not sent by this version
	EventScalingReplicaSet       = "ScalingReplicaSet"       // a ReplicaSet was resized
	EventRolloutStepCompleted    = "RolloutStepCompleted"    // a step is done that nobody skipped
	EventSkipSteps               = "SkipSteps"               // a person passed over a gate
	EventSwitchService           = "SwitchService"           // of Argo Rollouts; not sent by this version
	EventTrafficWeightUpdated    = "TrafficWeightUpdated"    // a weight was changed
	EventTrafficRoutingError     = "TrafficRoutingError"     // of Argo Rollouts; not sent by this version
	EventWeightVerifyError       = "WeightVerifyError"       // of Argo Rollouts; not sent by this version
	EventVirtualServiceNotFound  = "VirtualServiceNotFound"  // of Argo Rollouts; not sent by this version
	EventDestinationRuleNotFound = "DestinationRuleNotFound" // of Argo Rollouts; not sent by this version
	EventUpdatedVirtualService   = "Updated VirtualService"  // of Argo Rollouts; not sent by this version
	EventUpdatedDestinationRule  = "UpdatedDestinationRule"  // of Argo Rollouts; not sent by this version
	EventExperimentCreated       = "ExperimentCreated"       // of Argo Rollouts; not sent by this version
	EventAnalysisRunTerminating  = "AnalysisRunTerminating"  // of Argo Rollouts; not sent by this version
	EventStepPluginTransition    = "StepPluginTransition"    // of Argo Rollouts; not sent by this version
	EventServiceReferenceError   = "ServiceReferenceError"   // of Argo Rollouts; not sent by this version
	EventReconciliationError     = "ReconciliationError"     // a pass failed; it is tried again
	EventRolloutDeleted          = "RolloutDeleted"          // of Argo Rollouts; not sent by this version
	EventRolloutAddedToInformer  = "RolloutAddedToInformer"  // of Argo Rollouts; not sent by this version
	EventRolloutAborted          = "RolloutAborted"          // the release was aborted; the message has the verdict
	EventRolloutCompleted        = "RolloutCompleted"        // the revision is stable
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
	// EventAnalysisRunPrefix is followed by a run's phase.
	EventAnalysisRunPrefix = "AnalysisRun"
	EventMetricPrefix      = "Metric"     // followed by a metric's phase
	EventExperimentPrefix  = "Experiment" // of Argo Rollouts; not sent by this version
	EventTemplatePrefix    = "Template"   // of Argo Rollouts; not sent by this version
)

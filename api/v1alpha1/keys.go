// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "time"

// Labels.
const (
	// LabelPodTemplateHash is on ReplicaSets, pods and AnalysisRuns and in the
	// selectors of Services: the revision's pod-template hash.
	LabelPodTemplateHash = "rollouts-pod-template-hash"
	// LabelRolloutType is on AnalysisRuns: Step, Background, PrePromotion or
	// PostPromotion.
	LabelRolloutType = "rollout-type"
	// LabelStepIndex is on AnalysisRuns of steps: the step, from 0.
	LabelStepIndex = "step-index"
	// LabelControllerInstanceID is on objects that only the controller with that
	// --instance-id handles.
	LabelControllerInstanceID = "argo-rollouts.argoproj.io/controller-instance-id"
	// LabelAnalysisRunUID is on Jobs of the job provider: the run's UID.
	LabelAnalysisRunUID = "analysisrun.argoproj.io/uid"
	// LabelIstioPrimaryCluster is on the Secret of the cluster that holds the
	// VirtualServices.
	LabelIstioPrimaryCluster = "istio.argoproj.io/primary-cluster"
)

// The values of LabelRolloutType.
const (
	RolloutTypeStep          = "Step"
	RolloutTypeBackground    = "Background"
	RolloutTypePrePromotion  = "PrePromotion"
	RolloutTypePostPromotion = "PostPromotion"
)

// Annotations.
const (
	// AnnotationRevision is on Rollouts, ReplicaSets and AnalysisRuns: the
	// revision's number.
	AnnotationRevision = "rollout.argoproj.io/revision"
	// AnnotationRevisionHistory is on ReplicaSets: the numbers they had before,
	// separated by commas.
	AnnotationRevisionHistory = "rollout.argoproj.io/revision-history"
	// AnnotationDesiredReplicas is on ReplicaSets: the Rollout's spec.replicas
	// when they were scaled last.
	AnnotationDesiredReplicas = "rollout.argoproj.io/desired-replicas"
	// AnnotationEphemeralMetadata is on ReplicaSets: the canary or stable
	// metadata put on their pods, as JSON.
	AnnotationEphemeralMetadata = "rollout.argoproj.io/ephemeral-metadata"
	// AnnotationWorkloadGeneration is on Rollouts with a workloadRef: the
	// generation of the workload.
	AnnotationWorkloadGeneration = "rollout.argoproj.io/workload-generation"
	// AnnotationScaleDownDeadline is on ReplicaSets: when they lose their pods,
	// as RFC 3339. It has no prefix.
	AnnotationScaleDownDeadline = "scale-down-deadline"
	// AnnotationManagedByRollouts is on Services and DestinationRules: the
	// Rollout that manages them.
	AnnotationManagedByRollouts = "argo-rollouts.argoproj.io/managed-by-rollouts"
	// AnnotationRestartedAfter is on ReplicaSets whose pods are restarted.
	AnnotationRestartedAfter = "argo-rollouts.argoproj.io/restarted-after"
	// AnnotationManagedALB is on Ingresses: the annotations that are managed.
	AnnotationManagedALB = "rollouts.argoproj.io/managed-alb-annotations"
	// AnnotationExperimentName is on ReplicaSets of an Experiment: its name.
	AnnotationExperimentName = "experiment.argoproj.io/name"
	// AnnotationExperimentTemplateName is on ReplicaSets of an Experiment: the
	// version's name.
	AnnotationExperimentTemplateName = "experiment.argoproj.io/template-name"
	// AnnotationJobRunName is on Jobs of the job provider: the run's name.
	AnnotationJobRunName = "analysisrun.argoproj.io/name"
	// AnnotationJobRunNamespace is on Jobs of the job provider: the run's
	// namespace.
	AnnotationJobRunNamespace = "analysisrun.argoproj.io/namespace"
	// AnnotationJobMetricName is on Jobs of the job provider: the metric's name.
	AnnotationJobMetricName = "analysisrun.argoproj.io/metric-name"
	// AnnotationNotified holds what notifications were sent already.
	AnnotationNotified = "notified.notifications.argoproj.io"
)

// SluicePrefix is in front of every label, annotation and metadata key that
// Argo Rollouts does not have.
const SluicePrefix = "sluice.dev/"

// The annotations of a Rollout that its evidence quotes.
const (
	// AnnotationStartedBy says who changed the template: a person or a pipeline.
	AnnotationStartedBy = SluicePrefix + "started-by"
	// AnnotationCommit is the commit that the template comes from.
	AnnotationCommit = SluicePrefix + "commit"
)

// AnnotationDrill is on pod templates that `sluice drill` has made bad on
// purpose, and so on their ReplicaSets and pods: the drill's id. No undo goes
// back to one.
const AnnotationDrill = SluicePrefix + "drill-id"

// LeaseName is the Lease of the leader. With an instance id, "-" and the id
// follow.
const LeaseName = "argo-rollouts-controller-lock"

// What the controller assumes where a Rollout says nothing.
const (
	DefaultReplicas                    int32 = 1
	DefaultRevisionHistoryLimit        int32 = 10
	DefaultProgressDeadlineSeconds     int32 = 600
	DefaultSuccessfulRunHistoryLimit   int32 = 5
	DefaultUnsuccessfulRunHistoryLimit int32 = 5
	DefaultScaleDownDelaySeconds       int32 = 30
	DefaultAbortScaleDownDelaySeconds  int32 = 30
	DefaultMaxTrafficWeight            int32 = 100
	DefaultMirrorPercentage            int32 = 100
	// DefaultMaxSurge and DefaultMaxUnavailable are percentages although they
	// carry no sign: a string without one is read as a percentage.
	DefaultMaxSurge       = "25"
	DefaultMaxUnavailable = "25"
)

// What the controller assumes where a metric says nothing.
const (
	DefaultConsecutiveErrorLimit int32 = 4
	DefaultMeasurementRetention  int32 = 10
	DefaultDatadogInterval             = 5 * time.Minute
	DefaultDatadogTimeout              = 10 * time.Second
	DefaultMaxHold                     = 30 * time.Minute
)

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// CanaryStep is one step of a canary. It should hold exactly one of its fields;
// of setWeight, pause, experiment and analysis it can hold only one.
type CanaryStep struct {
	// setWeight is the share of traffic for the canary, from 0 to
	// maxTrafficWeight (100 unless set). The step is done when the canary has
	// the pods for it and the router carries it.
	// +optional
	SetWeight *int32 `json:"setWeight,omitempty"`
	// pause waits for a time or for a person.
	// +optional
	Pause *RolloutPause `json:"pause,omitempty"`
	// experiment runs an Experiment and waits for it.
	// +optional
	Experiment *RolloutExperimentStep `json:"experiment,omitempty"`
	// analysis runs an AnalysisRun and waits for its verdict.
	// +optional
	Analysis *RolloutAnalysis `json:"analysis,omitempty"`
	// setCanaryScale sizes the canary independently of its weight until the next
	// setCanaryScale. Only with trafficRouting.
	// +optional
	SetCanaryScale *SetCanaryScale `json:"setCanaryScale,omitempty"`
	// setHeaderRoute sends requests with certain headers to the canary.
	// +optional
	SetHeaderRoute *SetHeaderRoute `json:"setHeaderRoute,omitempty"`
	// setMirrorRoute copies certain requests to the canary and drops its
	// answers.
	// +optional
	SetMirrorRoute *SetMirrorRoute `json:"setMirrorRoute,omitempty"`
	// plugin runs a step plugin by name.
	// +optional
	Plugin *PluginStep `json:"plugin,omitempty"`
}

// PluginStep runs a step plugin.
type PluginStep struct {
	// name of the plugin as it is registered with the controller.
	Name string `json:"name"`
	// config is handed to the plugin as it stands.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	// +optional
	Config json.RawMessage `json:"config,omitempty"`
}

// RolloutPause is a wait.
type RolloutPause struct {
	// duration is how long to wait: seconds as a number, or a string with a
	// unit such as "10m". Left out: until a person promotes.
	// +optional
	Duration *intstr.IntOrString `json:"duration,omitempty"`
}

// SetCanaryScale sizes the canary independently of its traffic weight.
type SetCanaryScale struct {
	// weight is the canary's size as a percentage of spec.replicas.
	// +optional
	Weight *int32 `json:"weight,omitempty"`
	// replicas is the canary's size as a number of pods.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// matchTrafficWeight sizes the canary by its traffic weight again. Default
	// false.
	// +optional
	MatchTrafficWeight bool `json:"matchTrafficWeight,omitempty"`
}

// SetHeaderRoute sends requests with certain headers to the canary.
type SetHeaderRoute struct {
	// name of the route; it must be listed in trafficRouting.managedRoutes.
	// +optional
	Name string `json:"name,omitempty"`
	// match is what a request must look like: all of it must hold. Empty removes
	// the route.
	// +optional
	Match []HeaderRoutingMatch `json:"match,omitempty"`
}

// HeaderRoutingMatch is a condition on one header of a request.
type HeaderRoutingMatch struct {
	// headerName is the header to look at.
	HeaderName string `json:"headerName"`
	// headerValue is what its value must look like.
	HeaderValue *StringMatch `json:"headerValue"`
}

// SetMirrorRoute copies certain requests to the canary.
type SetMirrorRoute struct {
	// name of the route; it must be listed in trafficRouting.managedRoutes.
	Name string `json:"name"`
	// match lists what is mirrored: one of its rules must hold. Empty removes
	// the route.
	// +optional
	Match []RouteMatch `json:"match,omitempty"`
	// percentage of the matching requests that is mirrored, 0 to 100. Default
	// 100.
	// +optional
	Percentage *int32 `json:"percentage,omitempty"`
}

// RouteMatch is a condition on a request; everything that is set must hold.
type RouteMatch struct {
	// method is the HTTP method.
	// +optional
	Method *StringMatch `json:"method,omitempty"`
	// path is the path of the URL.
	// +optional
	Path *StringMatch `json:"path,omitempty"`
	// headers are conditions on headers, by name.
	// +optional
	Headers map[string]StringMatch `json:"headers,omitempty"`
}

// StringMatch compares a string in one of three ways.
type StringMatch struct {
	// exact must equal the string.
	// +optional
	Exact string `json:"exact,omitempty"`
	// prefix must be what the string starts with.
	// +optional
	Prefix string `json:"prefix,omitempty"`
	// regex is a regular expression (RE2) that the string must match.
	// +optional
	Regex string `json:"regex,omitempty"`
}

// RolloutExperimentStep runs an Experiment as a step.
type RolloutExperimentStep struct {
	// templates are the versions that the Experiment runs.
	Templates []RolloutExperimentTemplate `json:"templates"`
	// duration is how long the Experiment runs once its pods are available, such
	// as "30m". Left out: until its required analyses are done.
	// +optional
	Duration DurationString `json:"duration,omitempty"`
	// analyses are run beside the Experiment.
	// +optional
	Analyses []RolloutExperimentStepAnalysisTemplateRef `json:"analyses,omitempty"`
	// dryRun lists metrics that are measured and do not decide.
	// +optional
	DryRun []DryRun `json:"dryRun,omitempty"`
	// analysisRunMetadata is put on the AnalysisRuns.
	// +optional
	AnalysisRunMetadata AnalysisRunMetadata `json:"analysisRunMetadata,omitempty"`
	// scaleDownDelaySeconds is how long the Experiment keeps its pods after it
	// has ended, in seconds. Default 30.
	// +optional
	ScaleDownDelaySeconds *int32 `json:"scaleDownDelaySeconds,omitempty"`
}

// RolloutExperimentStepAnalysisTemplateRef is one analysis of an Experiment step.
type RolloutExperimentStepAnalysisTemplateRef struct {
	// name of this analysis within the Experiment.
	Name string `json:"name"`
	// templateName is the AnalysisTemplate to run.
	TemplateName string `json:"templateName"`
	// clusterScope looks for a ClusterAnalysisTemplate instead. Default false.
	// +optional
	ClusterScope bool `json:"clusterScope,omitempty"`
	// args are handed to the template.
	// +optional
	Args []AnalysisRunArgument `json:"args,omitempty"`
	// requiredForCompletion keeps the Experiment running until this analysis is
	// done. Default false.
	// +optional
	RequiredForCompletion bool `json:"requiredForCompletion,omitempty"`
}

// RolloutExperimentTemplate is one version that an Experiment step runs.
type RolloutExperimentTemplate struct {
	// name of this version within the Experiment.
	Name string `json:"name"`
	// specRef says whose pod template it runs: canary or stable.
	SpecRef ReplicaSetSpecRef `json:"specRef"`
	// replicas is its number of pods. Default 1.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// metadata is put on its pods.
	// +optional
	Metadata PodTemplateMetadata `json:"metadata,omitempty"`
	// selector finds its pods. Default: the Rollout's own.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
	// weight is the share of traffic it gets, in percent. Only with routers that
	// can split traffic more than two ways.
	// +optional
	Weight *int32 `json:"weight,omitempty"`
	// service asks for a Service in front of it.
	// +optional
	Service *TemplateService `json:"service,omitempty"`
}

// ReplicaSetSpecRef says whose pod template an Experiment runs.
type ReplicaSetSpecRef string

// The pod templates that an Experiment step can run.
const (
	CanarySpecRef ReplicaSetSpecRef = "canary"
	StableSpecRef ReplicaSetSpecRef = "stable"
)

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package podtemplate

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/api/v1alpha1"
)

// StepsHash returns the hash of a canary's steps that status.currentStepHash
// holds, as Argo Rollouts 1.9 and later compute it: over the fields that it
// knows, in its order. Fields that only this controller has do not count, so
// that a fleet can be handed back without its steps starting over.
//
// Older versions of Argo Rollouts wrote other hashes for the same steps, as
// does 1.9 for a clusterScope that is written out as false; a hash that is
// not ours proves no change by itself.
func StepsHash(steps []v1alpha1.CanaryStep) string {
	doc, err := json.Marshal(steps)
	if err != nil {
		// Every step that was decoded from JSON can be encoded.
		panic(fmt.Sprintf("podtemplate: encode steps: %v", err))
	}
	var known []step
	if err := json.Unmarshal(doc, &known); err != nil {
		panic(fmt.Sprintf("podtemplate: decode steps: %v", err))
	}
	for i := range known {
		known[i].tidy()
	}
	if len(known) == 0 {
		known = nil // an empty list is hashed as null
	}
	if doc, err = json.Marshal(known); err != nil {
		panic(fmt.Sprintf("podtemplate: encode steps: %v", err))
	}
	return encode(doc)
}

// The types below are what is hashed. Their fields, the order of them, and
// which are left out when empty are wire facts: never change them.
type (
	step struct {
		SetWeight      *int32      `json:"setWeight,omitempty"`
		Pause          *pause      `json:"pause,omitempty"`
		Experiment     *experiment `json:"experiment,omitempty"`
		Analysis       *analysis   `json:"analysis,omitempty"`
		SetCanaryScale *scale      `json:"setCanaryScale,omitempty"`
		SetHeaderRoute *header     `json:"setHeaderRoute,omitempty"`
		SetMirrorRoute *mirror     `json:"setMirrorRoute,omitempty"`
		Plugin         *plugin     `json:"plugin,omitempty"`
	}
	pause struct {
		Duration *intstr.IntOrString `json:"duration,omitempty"`
	}
	experiment struct {
		Templates             []version `json:"templates"`
		Duration              string    `json:"duration,omitempty"`
		Analyses              []measure `json:"analyses,omitempty"`
		DryRun                []dryRun  `json:"dryRun,omitempty"`
		AnalysisRunMetadata   metadata  `json:"analysisRunMetadata"`
		ScaleDownDelaySeconds *int32    `json:"scaleDownDelaySeconds,omitempty"`
	}
	version struct {
		Name     string                `json:"name"`
		SpecRef  string                `json:"specRef"`
		Replicas *int32                `json:"replicas,omitempty"`
		Metadata metadata              `json:"metadata"`
		Selector *metav1.LabelSelector `json:"selector,omitempty"`
		Weight   *int32                `json:"weight,omitempty"`
		Service  *service              `json:"service,omitempty"`
	}
	service struct {
		Name string `json:"name,omitempty"`
	}
	measure struct {
		Name                  string     `json:"name"`
		TemplateName          string     `json:"templateName"`
		ClusterScope          *bool      `json:"clusterScope,omitempty"`
		Args                  []argument `json:"args,omitempty"`
		RequiredForCompletion bool       `json:"requiredForCompletion,omitempty"`
	}
	analysis struct {
		Templates            []template  `json:"templates,omitempty"`
		Args                 []argument  `json:"args,omitempty"`
		DryRun               []dryRun    `json:"dryRun,omitempty"`
		MeasurementRetention []retention `json:"measurementRetention,omitempty"`
		AnalysisRunMetadata  *metadata   `json:"analysisRunMetadata,omitempty"`
	}
	template struct {
		TemplateName string `json:"templateName"`
		ClusterScope *bool  `json:"clusterScope,omitempty"`
	}
	argument struct {
		Name      string     `json:"name"`
		Value     string     `json:"value,omitempty"`
		ValueFrom *valueFrom `json:"valueFrom,omitempty"`
	}
	valueFrom struct {
		PodTemplateHashValue *string   `json:"podTemplateHashValue,omitempty"`
		FieldRef             *fieldRef `json:"fieldRef,omitempty"`
	}
	fieldRef struct {
		FieldPath string `json:"fieldPath"`
	}
	dryRun struct {
		MetricName string `json:"metricName"`
	}
	retention struct {
		MetricName string `json:"metricName"`
		Limit      int32  `json:"limit"`
	}
	metadata struct {
		Labels      map[string]string `json:"labels,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	scale struct {
		Weight             *int32 `json:"weight,omitempty"`
		Replicas           *int32 `json:"replicas,omitempty"`
		MatchTrafficWeight bool   `json:"matchTrafficWeight,omitempty"`
	}
	header struct {
		Name  string        `json:"name,omitempty"`
		Match []headerMatch `json:"match,omitempty"`
	}
	headerMatch struct {
		HeaderName  string       `json:"headerName"`
		HeaderValue *stringMatch `json:"headerValue"`
	}
	mirror struct {
		Name       string       `json:"name"`
		Match      []routeMatch `json:"match,omitempty"`
		Percentage *int32       `json:"percentage,omitempty"`
	}
	routeMatch struct {
		Method  *stringMatch           `json:"method,omitempty"`
		Path    *stringMatch           `json:"path,omitempty"`
		Headers map[string]stringMatch `json:"headers,omitempty"`
	}
	stringMatch struct {
		Exact  string `json:"exact,omitempty"`
		Prefix string `json:"prefix,omitempty"`
		Regex  string `json:"regex,omitempty"`
	}
	plugin struct {
		Name   string          `json:"name"`
		Config json.RawMessage `json:"config,omitempty"`
	}
)

// tidy drops the empty metadata that our own encoding of an analysis has and
// the hashed one has not.
func (s *step) tidy() {
	if s.Analysis == nil || s.Analysis.AnalysisRunMetadata == nil {
		return
	}
	if m := s.Analysis.AnalysisRunMetadata; len(m.Labels) == 0 && len(m.Annotations) == 0 {
		s.Analysis.AnalysisRunMetadata = nil
	}
}

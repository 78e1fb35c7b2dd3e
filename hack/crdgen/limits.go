// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// A limit narrows what a node may hold. Each is listed with its reason in
// api/v1alpha1/testdata/additions.tsv.
type limit struct {
	kinds []string
	path  string
	set   func(*apiextensionsv1.JSONSchemaProps)
}

// The kinds that limits and rules are given for.
var (
	rollout    = []string{v1alpha1.KindRollout}
	experiment = []string{v1alpha1.KindExperiment}
	run        = []string{v1alpha1.KindAnalysisRun}
	template   = []string{v1alpha1.KindAnalysisTemplate, v1alpha1.KindClusterAnalysisTemplate}
	analysis   = slices.Concat(template, run)
)

// Sizes that keep the estimated cost of the rules inside the API server's
// budget. They are far above what anybody was seen to use.
const (
	maxSteps          = 500
	maxMetrics        = 200
	maxLabels         = 100
	maxRoutes         = 50
	maxVersions       = 50
	maxVersionsOfStep = 10
	maxArgs           = 100
	maxKeys           = 10
	lenName           = 253
	lenPath           = 512
	lenLabel          = 63
	lenDuration       = 253
	lenNumber         = 253
)

func maxItems(n int64) func(*apiextensionsv1.JSONSchemaProps) {
	return func(s *apiextensionsv1.JSONSchemaProps) { s.MaxItems = &n }
}

func maxProperties(n int64) func(*apiextensionsv1.JSONSchemaProps) {
	return func(s *apiextensionsv1.JSONSchemaProps) { s.MaxProperties = &n }
}

func maxLength(n int64) func(*apiextensionsv1.JSONSchemaProps) {
	return func(s *apiextensionsv1.JSONSchemaProps) { s.MaxLength = &n }
}

func minimum(n float64) func(*apiextensionsv1.JSONSchemaProps) {
	return func(s *apiextensionsv1.JSONSchemaProps) { s.Minimum = &n }
}

// percentage is a whole percentage, low or more.
func percentage(low float64) func(*apiextensionsv1.JSONSchemaProps) {
	return func(s *apiextensionsv1.JSONSchemaProps) { s.Minimum, s.Maximum = &low, new(100.0) }
}

func oneOf(values ...string) func(*apiextensionsv1.JSONSchemaProps) {
	return func(s *apiextensionsv1.JSONSchemaProps) {
		for _, v := range values {
			raw, err := json.Marshal(v)
			if err != nil {
				panic(err) // a string always marshals
			}
			s.Enum = append(s.Enum, apiextensionsv1.JSON{Raw: raw})
		}
	}
}

// limits are applied in this order.
func limits() []limit {
	const (
		canary = ".spec.strategy.canary"
		steps  = canary + ".steps[]"
	)
	all := []limit{
		{rollout, ".spec.replicas", minimum(0)},
		{rollout, ".spec.minReadySeconds", minimum(0)},
		{rollout, ".spec.revisionHistoryLimit", minimum(0)},
		{rollout, ".spec.progressDeadlineSeconds", minimum(0)},
		{rollout, ".spec.workloadRef.kind", oneOf("Deployment", "ReplicaSet", "PodTemplate")},
		{rollout, ".spec.workloadRef.scaleDown", oneOf("", v1alpha1.ScaleDownNever, v1alpha1.ScaleDownOnSuccess, v1alpha1.ScaleDownProgressively)},
		{rollout, ".spec.strategy.blueGreen.previewReplicaCount", minimum(0)},
		{rollout, ".spec.strategy.blueGreen.antiAffinity.preferredDuringSchedulingIgnoredDuringExecution.weight", percentage(1)},
		{rollout, canary + ".antiAffinity.preferredDuringSchedulingIgnoredDuringExecution.weight", percentage(1)},
		{rollout, canary + ".replicaProgressThreshold.type", oneOf(string(v1alpha1.ProgressTypePercentage), string(v1alpha1.ProgressTypePods))},
		{rollout, canary + ".replicaProgressThreshold.value", minimum(0)},
		{rollout, canary + ".analysis.startingStep", minimum(0)},
		{rollout, canary + ".trafficRouting.maxTrafficWeight", minimum(1)},
		{rollout, canary + ".trafficRouting.managedRoutes", maxItems(maxRoutes)},
		{rollout, canary + ".steps", maxItems(maxSteps)},
		{rollout, steps + ".setWeight", minimum(0)},
		{rollout, steps + ".pause.duration", maxLength(lenDuration)},
		{rollout, steps + ".setCanaryScale.weight", minimum(0)},
		{rollout, steps + ".setCanaryScale.replicas", minimum(0)},
		{rollout, steps + ".setHeaderRoute.name", maxLength(lenName)},
		{rollout, steps + ".setHeaderRoute.match", maxItems(maxRoutes)},
		{rollout, steps + ".setMirrorRoute.name", maxLength(lenName)},
		{rollout, steps + ".setMirrorRoute.match", maxItems(maxRoutes)},
		{rollout, steps + ".setMirrorRoute.percentage", percentage(0)},
		{rollout, steps + ".experiment.duration", maxLength(lenDuration)},
		{rollout, steps + ".experiment.templates", maxItems(maxVersionsOfStep)},
		{rollout, steps + ".experiment.templates[].name", maxLength(lenName)},
		{rollout, steps + ".experiment.templates[].replicas", minimum(0)},
		{rollout, steps + ".experiment.templates[].specRef", oneOf(string(v1alpha1.CanarySpecRef), string(v1alpha1.StableSpecRef))},
		{rollout, steps + ".experiment.templates[].weight", percentage(0)},
		{rollout, steps + ".experiment.analyses[].args[].valueFrom.podTemplateHashValue", oneOf(string(v1alpha1.Stable), string(v1alpha1.Latest))},
		{experiment, ".spec.templates", maxItems(maxVersions)},
		{experiment, ".spec.templates[].name", maxLength(lenName)},
		{experiment, ".spec.templates[].replicas", minimum(0)},
		{experiment, ".spec.templates[].minReadySeconds", minimum(0)},
		{experiment, ".spec.progressDeadlineSeconds", minimum(0)},
		{experiment, ".spec.analyses", maxItems(maxVersions)},
		{experiment, ".spec.analyses[].name", maxLength(lenName)},
	}
	for _, at := range []string{canary + ".analysis", steps + ".analysis", ".spec.strategy.blueGreen.prePromotionAnalysis", ".spec.strategy.blueGreen.postPromotionAnalysis"} {
		all = append(all,
			limit{rollout, at + ".args", maxItems(maxArgs)},
			limit{rollout, at + ".args[].valueFrom.podTemplateHashValue", oneOf(string(v1alpha1.Stable), string(v1alpha1.Latest))},
		)
	}
	all = append(all, selectorLimits(rollout, ".spec.selector")...)
	all = append(all, selectorLimits(experiment, ".spec.templates[].selector")...)
	return append(all, metricLimits()...)
}

// selectorLimits bound what the rule "the selector matches the template" reads.
func selectorLimits(kinds []string, selector string) []limit {
	return []limit{
		{kinds, selector + ".matchLabels", maxProperties(maxLabels)},
		{kinds, selector + ".matchLabels{}", maxLength(lenLabel)},
		{kinds, selector + ".matchExpressions", maxItems(maxLabels)},
		{kinds, selector + ".matchExpressions[].operator", oneOf("In", "NotIn", "Exists", "DoesNotExist")},
		{kinds, selector + ".matchExpressions[].values", maxItems(maxLabels)},
	}
}

func metricLimits() []limit {
	const metric = ".spec.metrics[]"
	all := []limit{
		{analysis, ".spec.metrics", maxItems(maxMetrics)},
		{analysis, metric + ".name", maxLength(lenName)},
	}
	for _, name := range []string{"count", "failureLimit", "inconclusiveLimit", "consecutiveErrorLimit", "consecutiveSuccessLimit"} {
		all = append(all, limit{analysis, metric + "." + name, maxLength(lenNumber)})
	}
	const vault = metric + ".provider.datadog.secretRef.vault"
	all = append(all,
		limit{analysis, vault + ".path", maxLength(lenPath)},
		limit{analysis, vault + ".keys", maxProperties(maxKeys)},
		limit{analysis, vault + ".keys{}", maxLength(lenName)},
	)
	for _, name := range durations() {
		all = append(all, limit{analysis, metric + "." + name, maxLength(lenDuration)})
	}
	return all
}

// durations are the fields of a metric that hold a duration.
func durations() []string {
	return []string{
		"interval", "initialDelay", "maxHold",
		"provider.datadog.interval", "provider.datadog.requestTimeout",
		"provider.cloudWatch.interval", "provider.skywalking.interval",
	}
}

// applyLimits sets the limits of a kind.
func applyLimits(kind string, root *apiextensionsv1.JSONSchemaProps) error {
	for _, l := range limits() {
		if !slices.Contains(l.kinds, kind) {
			continue
		}
		if err := at(root, l.path, l.set); err != nil {
			return fmt.Errorf("limit: %w", err)
		}
	}
	return nil
}

// at calls f for the schema at path, which must exist.
func at(root *apiextensionsv1.JSONSchemaProps, path string, f func(*apiextensionsv1.JSONSchemaProps)) error {
	found := false
	edit("", root, func(p string, s *apiextensionsv1.JSONSchemaProps) {
		if p == path {
			found = true
			f(s)
		}
	})
	if !found {
		return fmt.Errorf("no schema at %s", path)
	}
	return nil
}

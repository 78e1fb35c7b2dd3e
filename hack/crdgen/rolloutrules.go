// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "slices"

// rolloutRules are the rules of a Rollout outside of its canary strategy.
func rolloutRules() []rule {
	return slices.Concat(
		[]rule{
			{
				kinds: rollout, path: ".spec", field: ".selector", tolerant: true,
				expr:    `has(self.selector) || has(self.workloadRef)`,
				message: "selector is required unless workloadRef is set",
			},
			{
				kinds: rollout, path: ".spec.selector",
				expr:    `self == oldSelf`,
				message: "selector cannot be changed",
			},
			{
				kinds: rollout, path: ".spec", field: ".template", tolerant: true,
				expr:    `self.?template.?spec.?containers.orValue([]).size() > 0 || has(self.workloadRef)`,
				message: "template with at least one container is required unless workloadRef is set",
			},
			{
				kinds: rollout, path: ".spec", field: ".template", tolerant: true,
				expr: `!has(self.workloadRef) || !has(self.template) ||
					!((has(self.template.spec) && has(self.template.spec.containers) && size(self.template.spec.containers) > 0)
					|| (has(self.template.metadata) && has(self.template.metadata.labels) && size(self.template.metadata.labels) > 0)
					|| (has(self.template.metadata) && has(self.template.metadata.annotations) && size(self.template.metadata.annotations) > 0))`,
				message: "template must be left out when workloadRef is set",
			},
			{
				kinds: rollout, path: ".spec", field: ".progressDeadlineSeconds", tolerant: true,
				expr:    `self.?progressDeadlineSeconds.orValue(600) > self.?minReadySeconds.orValue(0)`,
				message: "progressDeadlineSeconds (600 unless set) must be more than minReadySeconds",
			},
			{
				kinds: rollout, path: ".spec", field: ".strategy", tolerant: true,
				expr:    `self.?strategy.?canary.hasValue() || self.?strategy.?blueGreen.hasValue()`,
				message: "strategy must set canary or blueGreen",
			},
			{
				kinds: rollout, path: ".spec.strategy", tolerant: true,
				expr:    `!(has(self.canary) && has(self.blueGreen))`,
				message: "strategy cannot set both canary and blueGreen",
			},
			{
				kinds: rollout, path: ".spec", field: ".strategy.blueGreen.scaleDownDelayRevisionLimit", tolerant: true,
				expr: `self.?strategy.?blueGreen.?scaleDownDelayRevisionLimit.orValue(0) <= 0
					|| self.strategy.blueGreen.scaleDownDelayRevisionLimit <= self.?revisionHistoryLimit.orValue(10)`,
				message: "scaleDownDelayRevisionLimit cannot be more than revisionHistoryLimit (10 unless set)",
			},
			{
				kinds: rollout, path: ".spec.workloadRef",
				expr:    `has(self.kind) && size(self.kind) > 0 && has(self.name) && size(self.name) > 0 && has(self.apiVersion) && size(self.apiVersion) > 0`,
				message: "workloadRef must give apiVersion, kind and name",
			},
		},
		selectorRules(rollout, ".spec", ` || has(self.workloadRef) || !has(self.template)`, true),
		replicaSetRules(rollout, ".spec.template.spec"),
		blueGreenRules(),
	)
}

// blueGreenRules are the rules of a blue-green strategy.
func blueGreenRules() []rule {
	const blueGreen = ".spec.strategy.blueGreen"
	return slices.Concat(
		[]rule{
			{
				kinds: rollout, path: blueGreen, field: ".activeService", tolerant: true,
				expr:    `has(self.activeService) && size(self.activeService) > 0`,
				message: "activeService must name a Service",
			},
			{
				kinds: rollout, path: blueGreen, field: ".previewService", tolerant: true,
				expr:    `!has(self.previewService) || !has(self.activeService) || self.previewService != self.activeService`,
				message: "previewService must not be the same Service as activeService",
			},
			percentRule(rollout, blueGreen+".maxUnavailable"),
			antiAffinityRule(blueGreen + ".antiAffinity"),
		},
		argumentRules(blueGreen+".prePromotionAnalysis"),
		argumentRules(blueGreen+".postPromotionAnalysis"),
	)
}

// replicaSetRules say what a ReplicaSet's pods may be.
func replicaSetRules(kinds []string, path string) []rule {
	return []rule{
		{
			kinds: kinds, path: path + ".restartPolicy",
			expr:    `self == '' || self == 'Always'`,
			message: "restartPolicy must be Always or left out",
		},
		{
			kinds: kinds, path: path + ".activeDeadlineSeconds",
			expr:    `false`,
			message: "activeDeadlineSeconds cannot be set on pods that must keep running",
		},
	}
}

func antiAffinityRule(path string) rule {
	return rule{
		kinds: rollout, path: path,
		expr: `has(self.preferredDuringSchedulingIgnoredDuringExecution)
			!= has(self.requiredDuringSchedulingIgnoredDuringExecution)`,
		message: "antiAffinity must set exactly one of preferredDuringSchedulingIgnoredDuringExecution and requiredDuringSchedulingIgnoredDuringExecution",
	}
}

// argumentRules are the rules of the arguments in one of a Rollout's analyses.
func argumentRules(path string) []rule {
	return []rule{{
		kinds: rollout, path: path + ".args[].valueFrom.fieldRef.fieldPath",
		expr: `!self.startsWith('metadata')
			|| self in ['metadata.name', 'metadata.namespace', 'metadata.uid', 'metadata.labels', 'metadata.annotations']
			|| ((self.startsWith("metadata.labels['") || self.startsWith("metadata.annotations['")) && self.endsWith("']"))`,
		message: "fieldPath below metadata must be metadata.name, metadata.namespace, metadata.uid, metadata.labels['key'] or metadata.annotations['key']",
	}}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "slices"

// experimentRules are the rules of an Experiment.
func experimentRules() []rule {
	const version = ".spec.templates[]"
	return slices.Concat(
		[]rule{
			uniqueRule(experiment, ".spec.templates"),
			uniqueRule(experiment, ".spec.analyses"),
			durationRule(experiment, ".spec.duration"),
			{
				kinds: experiment, path: version + ".name",
				expr:    `size(self) > 0`,
				message: "name must not be empty",
			},
			{
				kinds: experiment, path: ".spec", field: ".progressDeadlineSeconds", tolerant: true,
				expr: `!has(self.templates) || self.templates.all(t, !has(t.minReadySeconds)
					|| t.minReadySeconds <= (has(self.progressDeadlineSeconds) ? self.progressDeadlineSeconds : 600))`,
				message: "progressDeadlineSeconds (600 unless set) cannot be less than a template's minReadySeconds",
			},
			{
				kinds: experiment, path: ".spec.analyses[].args[]", field: ".valueFrom",
				expr:    `!(has(self.value) && has(self.valueFrom))`,
				message: "an argument cannot have both value and valueFrom",
			},
			{
				kinds: experiment, path: version, field: ".template",
				expr:    `has(self.template) && has(self.template.spec) && has(self.template.spec.containers) && size(self.template.spec.containers) > 0`,
				message: "template must have at least one container",
			},
		},
		selectorRules(experiment, version, "", false),
		replicaSetRules(experiment, version+".template.spec"),
	)
}

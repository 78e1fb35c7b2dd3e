// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "slices"

// stepRules are the rules of one step of a canary.
func stepRules() []rule {
	return slices.Concat(
		[]rule{
			{
				kinds: rollout, path: stepPath,
				unless: `[(has(self.setWeight) ? 1 : 0) + (has(self.pause) ? 1 : 0) + (has(self.experiment) ? 1 : 0)
					+ (has(self.analysis) ? 1 : 0)].exists(n, n == 1)`,
				expr:    `!has(self.setWeight) && !has(self.pause) && !has(self.experiment) && !has(self.analysis)`,
				message: "a step can set only one of setWeight, pause, experiment and analysis: make each a step of its own",
				also: []clause{{
					`has(self.setCanaryScale) || has(self.setHeaderRoute) || has(self.setMirrorRoute) || has(self.plugin)`,
					"a step must set one of setWeight, pause, experiment, analysis, setCanaryScale, setHeaderRoute, setMirrorRoute and plugin",
				}},
			},
			{
				kinds: rollout, path: stepPath + ".pause.duration",
				expr: `type(self) == int ? self >= 0 : self.contains('{{') || self.matches('^[+]?[0-9]+$') || (size(self) > 0 && (` +
					isDuration + `))`,
				message: `duration must be a number of seconds or a duration such as "30s", "5m" or "1h30m"`,
			},
			durationRule(rollout, stepPath+".experiment.duration"),
			uniqueRule(rollout, stepPath+".experiment.templates"),
		},
		argumentRules(stepPath+".analysis"),
		matchRules(),
	)
}

// matchRules say that a comparison compares in one way.
func matchRules() []rule {
	var all []rule
	for _, path := range []string{
		stepPath + ".setHeaderRoute.match[].headerValue",
		stepPath + ".setMirrorRoute.match[].method",
		stepPath + ".setMirrorRoute.match[].path",
	} {
		all = append(all, rule{
			kinds: rollout, path: path,
			expr: `(has(self.exact) && size(self.exact) > 0 ? 1 : 0) + (has(self.prefix) && size(self.prefix) > 0 ? 1 : 0)
				+ (has(self.regex) && size(self.regex) > 0 ? 1 : 0) == 1`,
			message: name(path) + " must set exactly one of exact, prefix and regex",
		})
	}
	return all
}

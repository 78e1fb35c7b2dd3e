// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
)

// The paths of a canary strategy.
const (
	canaryPath  = ".spec.strategy.canary"
	routingPath = canaryPath + ".trafficRouting"
	stepPath    = canaryPath + ".steps[]"
)

// canaryRules are the rules of a canary strategy but for its steps alone.
func canaryRules() []rule {
	return slices.Concat(
		canaryServiceRules(),
		canarySizeRules(),
		canaryStepRules(),
		routingRules(),
		argumentRules(canaryPath+".analysis"),
		[]rule{antiAffinityRule(canaryPath + ".antiAffinity")},
	)
}

func canaryServiceRules() []rule {
	const needless = ` || !has(self.trafficRouting) || has(self.pingPong) || !(
		has(self.trafficRouting.alb) || has(self.trafficRouting.smi) || has(self.trafficRouting.apisix)
		|| has(self.trafficRouting.ambassador) || has(self.trafficRouting.nginx) || has(self.trafficRouting.appMesh)
		|| has(self.trafficRouting.traefik)
		|| (has(self.trafficRouting.istio) && !has(self.trafficRouting.istio.destinationRule)))`
	return []rule{
		{
			kinds: rollout, path: canaryPath, field: ".stableService", tolerant: true,
			expr:    `[self.?canaryService.orValue('')].all(c, c == '' || c != self.?stableService.orValue(''))`,
			message: "stableService must not be the same Service as canaryService",
		},
		{
			kinds: rollout, path: canaryPath, field: ".canaryService", tolerant: true,
			expr:    `self.?canaryService.orValue('') != ''` + needless,
			message: "canaryService is required by trafficRouting",
		},
		{
			kinds: rollout, path: canaryPath, field: ".stableService", tolerant: true,
			expr:    `self.?stableService.orValue('') != ''` + needless,
			message: "stableService is required by trafficRouting",
		},
		{
			kinds: rollout, path: canaryPath + ".pingPong", field: ".pingService",
			expr:    `has(self.pingService) && size(self.pingService) > 0 && has(self.pongService) && size(self.pongService) > 0`,
			message: "pingService and pongService must both name a Service",
		},
		{
			kinds: rollout, path: canaryPath + ".pingPong", field: ".pongService",
			expr:    `!has(self.pingService) || !has(self.pongService) || self.pingService != self.pongService`,
			message: "pongService must not be the same Service as pingService",
		},
		{
			kinds: rollout, path: canaryPath, field: ".trafficRouting.alb.rootService", tolerant: true,
			expr: `!has(self.pingPong) || !has(self.trafficRouting) || !has(self.trafficRouting.alb)
				|| (has(self.trafficRouting.alb.rootService) && size(self.trafficRouting.alb.rootService) > 0)`,
			message: "alb.rootService is required together with pingPong",
		},
	}
}

func canarySizeRules() []rule {
	zero := func(field string) string {
		return `(has(self.` + field + `) && (type(self.` + field + `) == int ? self.` + field + ` == 0 : self.` + field + `.matches('^0+%?$')))`
	}
	return []rule{
		percentRule(rollout, canaryPath+".maxSurge"),
		percentRule(rollout, canaryPath+".maxUnavailable"),
		{
			kinds: rollout, path: canaryPath, field: ".maxSurge", tolerant: true,
			expr:    `!(` + zero("maxSurge") + ` && ` + zero("maxUnavailable") + `)`,
			message: "maxSurge and maxUnavailable cannot both be zero",
		},
		{
			kinds: rollout, path: canaryPath, field: ".dynamicStableScale", tolerant: true,
			unless:  `!self.?dynamicStableScale.orValue(false)`,
			expr:    `has(self.trafficRouting)`,
			message: "dynamicStableScale needs trafficRouting",
			also:    []clause{{`!has(self.scaleDownDelaySeconds)`, "dynamicStableScale cannot be used together with scaleDownDelaySeconds"}},
		},
		{
			kinds: rollout, path: canaryPath, field: ".scaleDownDelaySeconds", tolerant: true,
			expr:    `!has(self.scaleDownDelaySeconds) || has(self.trafficRouting)`,
			message: "scaleDownDelaySeconds needs trafficRouting",
		},
		{
			kinds: rollout, path: canaryPath + ".replicaProgressThreshold", field: ".value",
			expr:    `!has(self.type) || !has(self.value) || self.type != 'Percent' || self.value <= 100`,
			message: "replicaProgressThreshold.value must be at most 100 when type is Percent",
		},
	}
}

// canaryStepRules are about steps and the strategy around them.
func canaryStepRules() []rule {
	const most = `[self.?trafficRouting.?maxTrafficWeight.orValue(100)]`
	// by is true for a strategy with one of the routers.
	by := func(routers ...string) string {
		var expr strings.Builder
		for _, r := range routers {
			expr.WriteString(`self.?trafficRouting.?` + r + `.hasValue() || `)
		}
		return expr.String()
	}
	// listed says that a step's route is a managed one.
	listed := func(kind string) string {
		return `(!has(s.` + kind + `) || (has(self.trafficRouting.managedRoutes)
			&& self.trafficRouting.managedRoutes.exists(m, has(s.` + kind + `.name) && has(m.name) && m.name == s.` + kind + `.name)))`
	}
	return []rule{
		{
			kinds: rollout, path: canaryPath, field: ".steps", tolerant: true,
			expr:    `!has(self.steps) || ` + most + `.all(most, self.steps.all(s, s.?setWeight.orValue(0) <= most))`,
			message: "setWeight cannot be more than 100, or more than trafficRouting.maxTrafficWeight where that is set",
		},
		{
			kinds: rollout, path: canaryPath, field: ".steps", tolerant: true,
			expr:    `has(self.trafficRouting) || !has(self.steps) || self.steps.all(s, !has(s.setCanaryScale))`,
			message: "setCanaryScale needs trafficRouting",
		},
		{
			kinds: rollout, path: canaryPath, field: ".steps", tolerant: true,
			unless:  by("istio") + `!has(self.steps)`,
			expr:    by("alb", "apisix", "plugins") + `self.steps.all(s, !has(s.setHeaderRoute))`,
			message: "setHeaderRoute needs trafficRouting by istio, alb, apisix or a plugin",
			also: []clause{
				{by("plugins") + `self.steps.all(s, !has(s.setMirrorRoute))`, "setMirrorRoute needs trafficRouting by istio or a plugin"},
				{
					by("alb", "smi", "plugins") + `self.steps.all(s, !has(s.experiment) || !has(s.experiment.templates)
						|| s.experiment.templates.all(t, !has(t.weight)))`,
					"the weight of an experiment's template needs trafficRouting by istio, alb, smi or a plugin",
				},
			},
		},
		{
			kinds: rollout, path: canaryPath, field: ".trafficRouting.managedRoutes", tolerant: true,
			expr:    `!has(self.steps) || !has(self.trafficRouting) || self.steps.all(s, ` + listed("setHeaderRoute") + ` && ` + listed("setMirrorRoute") + `)`,
			message: "managedRoutes must list the name of every setHeaderRoute and setMirrorRoute step",
		},
		{
			kinds: rollout, path: canaryPath, field: ".steps", tolerant: true,
			expr: `!self.?trafficRouting.?alb.hasValue() || !has(self.steps)
				|| self.steps.all(s, !has(s.setHeaderRoute) || !has(s.setHeaderRoute.match)
				|| s.setHeaderRoute.match.all(m, has(m.headerValue) && has(m.headerValue.exact)))`,
			message: "setHeaderRoute with alb can only match headerValue.exact",
		},
	}
}

func routingRules() []rule {
	return []rule{
		{
			kinds: rollout, path: routingPath, field: ".maxTrafficWeight", tolerant: true,
			expr:    `!has(self.maxTrafficWeight) || self.maxTrafficWeight == 100 || has(self.nginx) || has(self.plugins)`,
			message: "maxTrafficWeight other than 100 needs nginx or a plugin",
		},
		{
			kinds: rollout, path: routingPath + ".istio", field: ".virtualServices",
			expr:    `!(has(self.virtualService) && has(self.virtualServices) && size(self.virtualServices) > 0)`,
			message: "istio cannot set both virtualService and virtualServices",
		},
		{
			kinds: rollout, path: routingPath + ".istio", field: ".virtualService",
			expr:    `has(self.virtualService) || (has(self.virtualServices) && size(self.virtualServices) > 0)`,
			message: "istio must set virtualService or virtualServices",
		},
		{
			kinds: rollout, path: routingPath + ".nginx", field: ".stableIngress",
			expr: `(has(self.stableIngress) && size(self.stableIngress) > 0)
				|| (has(self.stableIngresses) && size(self.stableIngresses) > 0)`,
			message: "nginx must set stableIngress or stableIngresses",
		},
		{
			kinds: rollout, path: routingPath + ".alb", field: ".ingress",
			expr: `(has(self.ingress) && size(self.ingress) > 0)
				|| (has(self.ingresses) && size(self.ingresses) > 0)`,
			message: "alb must set ingress or ingresses",
		},
		{
			kinds: rollout, path: routingPath + ".alb.stickinessConfig", field: ".durationSeconds",
			expr:    `!has(self.enabled) || !self.enabled || (has(self.durationSeconds) && self.durationSeconds >= 1 && self.durationSeconds <= 604800)`,
			message: "durationSeconds must be between 1 and 604800",
		},
	}
}

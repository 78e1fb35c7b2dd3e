// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
)

// metricPath is where metrics are in templates and runs.
const metricPath = ".spec.metrics[]"

// metricRules are the rules of templates and runs.
func metricRules() []rule {
	all := []rule{
		uniqueRule(analysis, ".spec.metrics"),
		{
			kinds: template, path: ".spec",
			expr:  `(has(self.metrics) && size(self.metrics) > 0) || (has(self.templates) && size(self.templates) > 0)`,
			field: ".metrics", tolerant: true,
			message: "metrics or templates must be given: there is nothing to measure",
		},
		{
			kinds: run, path: ".spec.metrics",
			expr:    `size(self) > 0`,
			message: "metrics must not be empty: there is nothing to measure",
		},
		numberRule(analysis, metricPath+".count", 0),
		numberRule(analysis, metricPath+".failureLimit", -1),
		numberRule(analysis, metricPath+".inconclusiveLimit", 0),
		numberRule(analysis, metricPath+".consecutiveErrorLimit", 0),
		numberRule(analysis, metricPath+".consecutiveSuccessLimit", 0),
		{
			kinds: analysis, path: metricPath, field: ".interval",
			expr:    number("count") + ` <= 1 || (has(self.interval) && size(self.interval) > 0)`,
			message: "interval is required when count is more than 1",
		},
		{
			kinds: analysis, path: metricPath, field: ".failureLimit",
			expr:    `!has(self.failureLimit) || [` + number("count") + `].all(c, c <= 0 || ` + number("failureLimit") + ` <= c)`,
			message: "failureLimit cannot be more than count: the metric could never fail",
		},
		{
			kinds: analysis, path: metricPath, field: ".inconclusiveLimit",
			expr:    `!has(self.inconclusiveLimit) || [` + number("count") + `].all(c, c <= 0 || ` + number("inconclusiveLimit") + ` <= c)`,
			message: "inconclusiveLimit cannot be more than count: it could never be reached",
		},
		{
			kinds: analysis, path: ".spec.args[]", field: ".valueFrom",
			expr:    `!(has(self.value) && has(self.valueFrom))`,
			message: "an argument cannot have both value and valueFrom",
		},
	}
	for _, name := range durations() {
		all = append(all, durationRule(analysis, metricPath+"."+name))
	}
	return slices.Concat(all, providerRules(), datadogRules(), webRules())
}

// number is the value of a field that holds a whole number as a number or as a
// string, and 0 when it is not known.
func number(field string) string {
	f := "self." + field
	return fmt.Sprintf(`(!has(%[1]s) ? 0 : type(%[1]s) == int ? %[1]s : %[1]s.matches('^[0-9]{1,9}$') ? int(%[1]s) : 0)`, f)
}

// providerRules say that a metric has one provider.
func providerRules() []rule {
	names := []string{
		"prometheus", "kayenta", "web", "datadog", "wavefront", "newRelic",
		"job", "cloudWatch", "graphite", "influxdb", "skywalking", "plugin",
	}
	var count []string
	for _, n := range names {
		count = append(count, fmt.Sprintf(`(has(self.%s) ? 1 : 0)`, n))
	}
	sum := strings.Join(count, " + ")
	return []rule{{
		kinds: analysis, path: metricPath + ".provider",
		unless:  `[` + sum + `].exists(n, n == 1)`,
		expr:    sum + ` > 0`,
		message: "provider is empty: it must set one of " + strings.Join(names, ", "),
		also:    []clause{{`false`, "provider cannot set more than one of " + strings.Join(names, ", ")}},
	}}
}

func datadogRules() []rule {
	const (
		datadog = metricPath + ".provider.datadog"
		query   = `(has(self.query) && size(self.query) > 0)`
		queries = `(has(self.queries) && size(self.queries) > 0)`
		formula = `(has(self.formula) && size(self.formula) > 0)`
		v2      = `(has(self.apiVersion) && self.apiVersion == 'v2')`
	)
	return []rule{
		{
			kinds: analysis, path: datadog, field: ".query",
			expr:    query + ` != ` + queries,
			message: "datadog must set exactly one of query and queries",
		},
		{
			kinds: analysis, path: datadog, field: ".apiVersion",
			expr:    v2 + ` || !(` + queries + ` || ` + formula + ` || has(self.aggregator))`,
			message: "queries, formula and aggregator need apiVersion: v2",
		},
		{
			kinds: analysis, path: datadog, field: ".formula",
			expr:    `!` + formula + ` || ` + queries,
			message: "formula needs queries",
		},
		{
			kinds: analysis, path: datadog, field: ".formula",
			expr:    `!` + queries + ` || size(self.queries) == 1 || ` + formula,
			message: "formula is required with more than one of queries",
		},
		{
			kinds: analysis, path: datadog + ".requestTimeout",
			expr:    `size(self) == 0 || self.contains('{{') || self.matches('[1-9]')`,
			message: "requestTimeout must be more than zero",
		},
		{
			kinds: analysis, path: datadog + ".secretRef", field: ".name",
			expr:    `!has(self.namespaced) || !self.namespaced || (has(self.name) && size(self.name) > 0)`,
			message: "name is required when namespaced is true",
		},
		{
			kinds: analysis, path: datadog + ".secretRef", field: ".vault",
			expr:    `!has(self.vault) || (!has(self.name) || size(self.name) == 0) && (!has(self.namespaced) || !self.namespaced)`,
			message: "vault cannot be set together with name or namespaced: the keys are in one place",
		},
		{
			kinds: analysis, path: datadog + ".secretRef.vault.path",
			expr:    `self.contains('{{') || self.matches('^[A-Za-z0-9_.@=-]+(/[A-Za-z0-9_.@=-]+)*/data(/[A-Za-z0-9_.@=-]+)+$')`,
			message: "path must be MOUNT/data/NAME, as in Vault's policies",
		},
		{
			kinds: analysis, path: datadog + ".secretRef.vault.keys",
			expr:    `self.all(k, k in ['address', 'apiKey', 'appKey'])`,
			message: "keys can name address, apiKey and appKey",
		},
	}
}

func webRules() []rule {
	const (
		web  = metricPath + ".provider.web"
		body = `(has(self.body) && size(self.body) > 0)`
	)
	return []rule{
		{
			kinds: analysis, path: web, field: ".jsonBody",
			expr:    `!` + body + ` || !has(self.jsonBody)`,
			message: "web cannot set both body and jsonBody",
		},
		{
			kinds: analysis, path: web, field: ".method",
			expr:    `!(` + body + ` || has(self.jsonBody)) || (has(self.method) && size(self.method) > 0 && self.method != 'GET')`,
			message: "a body needs method POST or PUT",
		},
	}
}

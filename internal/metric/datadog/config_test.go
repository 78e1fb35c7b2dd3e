// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog_test

import (
	"errors"
	"strings"
	"testing"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/metric/datadog"
)

func TestMistakesAreFoundWhenTheSourceIsOpened(t *testing.T) {
	t.Parallel()
	type c = v1alpha1.DatadogMetric
	two := map[string]string{"a": "avg:x{*}", "b": "avg:y{*}"}
	for name, tc := range map[string]struct {
		in   c
		want string
	}{
		"nothing to ask":             {c{}, "one of query and queries is required"},
		"query and queries":          {c{APIVersion: "v2", Query: "avg:x{*}", Queries: two}, "query and queries exclude each other"},
		"an unknown version":         {c{APIVersion: "v3", Query: "avg:x{*}"}, "apiVersion must be v1 or v2"},
		"queries without v2":         {c{Queries: two, Formula: "a / b"}, "queries and formula need apiVersion: v2"},
		"formula without v2":         {c{APIVersion: "v1", Query: "avg:x{*}", Formula: "a"}, "queries and formula need apiVersion: v2"},
		"aggregator without v2":      {c{Query: "avg:x{*}", Aggregator: "sum"}, "aggregator needs apiVersion: v2"},
		"an unknown aggregator":      {c{APIVersion: "v2", Query: "avg:x{*}", Aggregator: "median"}, "aggregator must be one of"},
		"formula without queries":    {c{APIVersion: "v2", Query: "avg:x{*}", Formula: "a"}, "formula needs queries"},
		"queries without formula":    {c{APIVersion: "v2", Queries: two}, "needs a formula"},
		"formula of an unknown name": {c{APIVersion: "v2", Queries: two, Formula: "a / hits"}, `formula "a / hits" refers to "hits", which is not in queries; they are a, b`},
		"a blank query":              {c{Query: " \n "}, "query is empty"},
		"a blank query among others": {c{APIVersion: "v2", Queries: map[string]string{"a": " "}, Formula: "a"}, `queries["a"] is empty`},
		"a bad interval":             {c{Query: "avg:x{*}", Interval: "5 minutes"}, `interval "5 minutes" is not a duration`},
		"no interval":                {c{Query: "avg:x{*}", Interval: "0s"}, "interval must be more than 0"},
		"a bad time-out":             {c{Query: "avg:x{*}", RequestTimeout: "x"}, `requestTimeout "x" is not a duration`},
		"a negative time-out":        {c{Query: "avg:x{*}", RequestTimeout: "-1s"}, "requestTimeout must be more than 0"},
		"namespaced without a name":  {c{Query: "avg:x{*}", SecretRef: v1alpha1.SecretRef{Namespaced: true}}, "secretRef.namespaced needs secretRef.name"},
		"a tag whose argument was empty": {
			c{Query: "sum:hits{service:checkout,\n hash:}.as_count()"},
			`query filters by "hash:" with no value`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := metric.NewRegistry(datadog.Provider).Open(metric.Env{}, "datadog", &tc.in)
			var e *metric.Error
			if !errors.As(err, &e) || e.Class != metric.Misconfigured || !strings.Contains(e.Message, tc.want) {
				t.Errorf("got %v, want Misconfigured with %q", err, tc.want)
			}
		})
	}
}

func TestWhatWorksIsAccepted(t *testing.T) {
	t.Parallel()
	type c = v1alpha1.DatadogMetric
	for name, in := range map[string]c{
		"v1 by default":         {Query: "avg:x{*}"},
		"v1 in full":            {APIVersion: "v1", Query: "avg:x{*}", Interval: "1h", RequestTimeout: "1m"},
		"v2 with a query":       {APIVersion: "v2", Query: "avg:x{*}", Aggregator: "percentile"},
		"one query, no formula": {APIVersion: "v2", Queries: map[string]string{"a": "avg:x{*}"}},
		"functions of Datadog's own": {
			APIVersion: "v2", Queries: map[string]string{"a": "avg:x{*}"}, Formula: "clamp_min(moving_rollup(a, 60, 'sum'), 0)",
		},
		"the guide's": errorRate(),
	} {
		if _, err := metric.NewRegistry(datadog.Provider).Open(metric.Env{}, "datadog", &in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

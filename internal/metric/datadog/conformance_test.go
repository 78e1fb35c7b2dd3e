// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/metric/datadog"
	"sluice.dev/sluice/internal/metric/metrictest"
)

const (
	apiKey = "0123456789abcdef0123456789abcdef"
	appKey = "fedcba9876543210fedcba9876543210fedcba98"
)

func open(t testing.TB, env metric.Env, config v1alpha1.DatadogMetric) metric.Source {
	t.Helper()
	source, err := metric.NewRegistry(datadog.Provider).Open(env, "datadog", &config)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// holding is an Env whose Secret argo-rollouts/datadog holds data.
func holding(data map[string]string) metric.Env {
	return metric.Env{
		ControllerNamespace: "argo-rollouts",
		RunNamespace:        "payments",
		Secrets: func(_ context.Context, namespace, name string) (map[string][]byte, error) {
			if namespace != "argo-rollouts" || name != "datadog" {
				return nil, notFound(name)
			}
			bytes := map[string][]byte{}
			for k, v := range data {
				bytes[k] = []byte(v)
			}
			return bytes, nil
		},
	}
}

func keys(address string) metric.Env {
	return holding(map[string]string{"address": address, "api-key": apiKey, "app-key": appKey})
}

func harness(config v1alpha1.DatadogMetric) metrictest.Harness {
	return metrictest.Harness{
		Secrets: []string{apiKey, appKey},
		Open: func(t testing.TB, url string, timeout time.Duration) metric.Source {
			c := config
			c.RequestTimeout = v1alpha1.DurationString(timeout.String())
			return open(t, keys(url), c)
		},
	}
}

func TestConformanceV1(t *testing.T) {
	t.Parallel()
	h := harness(v1alpha1.DatadogMetric{Query: "avg:cpu{*}"})
	series := func(value string) string {
		return `{"status":"ok","series":[{"scope":"*","pointlist":[[1700000000000,9],[1700000060000,` + value + `]]}]}`
	}
	h.Value = func(v float64) string { return series(fmt.Sprint(v)) }
	h.Empty = `{"status":"ok","series":[]}`
	h.Null = series("null")
	h.NaN = series(`"NaN"`)
	metrictest.Run(t, h)
}

func TestConformanceV2(t *testing.T) {
	t.Parallel()
	h := harness(v1alpha1.DatadogMetric{APIVersion: "v2", Query: "avg:cpu{*} by {host}"})
	columns := func(text string) string {
		return `{"data":{"type":"scalar_response","attributes":{"columns":[` + text + `]}}}`
	}
	number := func(values string) string { return `{"name":"query","type":"number","values":` + values + `}` }
	h.Value = func(v float64) string { return columns(number(fmt.Sprintf("[%v]", v))) }
	h.Vector = func(vs []float64) string {
		values, _ := json.Marshal(vs)
		var hosts [][]string
		for i := range vs {
			hosts = append(hosts, []string{fmt.Sprint("host", i)})
		}
		tags, _ := json.Marshal(hosts)
		return columns(`{"name":"host","type":"group","values":` + string(tags) + `},` + number(string(values)))
	}
	h.Empty = columns(number("[]"))
	h.Null = columns(number("[null]"))
	h.NaN = columns(number(`["NaN"]`))
	metrictest.Run(t, h)
}

func TestConformanceFormula(t *testing.T) {
	t.Parallel()
	h := harness(v1alpha1.DatadogMetric{APIVersion: "v2", Formula: "a", Queries: map[string]string{"a": "avg:cpu{*}"}})
	columns := func(v string) string {
		return `{"data":{"attributes":{"columns":[{"name":"a","type":"number","values":[` + v + `]}]}}}`
	}
	h.Value = func(v float64) string { return columns(fmt.Sprint(v)) }
	h.Empty = columns("")
	h.Null = columns("null")
	metrictest.Run(t, h)
}

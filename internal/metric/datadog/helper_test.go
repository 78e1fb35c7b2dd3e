// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog_test

import (
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

// now is when measurements are taken.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const hashTag = "kube_pod_label_rollouts_pod_template_hash"

func notFound(name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
}

// serve starts a server that keeps three weeks and whose buckets are whole
// windows.
func serve(t testing.TB) *datadogtest.Server {
	t.Helper()
	s, err := datadogtest.New(datadogtest.Options{Buckets: 1, Retention: 21 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func tags(service, hash string) map[string]string {
	m := map[string]string{"service": service}
	if hash != "" {
		m[hashTag] = hash
	}
	return m
}

// errorRate is the guide's first gate, as it is after substitution.
func errorRate() v1alpha1.DatadogMetric {
	return v1alpha1.DatadogMetric{
		APIVersion: "v2",
		Interval:   "5m",
		Formula:    "errors / hits",
		Queries: map[string]string{
			"errors": "sum:trace.http.request.errors{service:checkout,\nkube_pod_label_rollouts_pod_template_hash:bbb}.as_count()\n",
			"hits":   "sum:trace.http.request.hits{service:checkout,\nkube_pod_label_rollouts_pod_template_hash:bbb}.as_count()\n",
		},
	}
}

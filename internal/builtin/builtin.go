// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package builtin lists what ships in the binary. Adding a metric provider or
// a traffic router is one folder and one line here.
package builtin

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/metric/datadog"
	"sluice.dev/sluice/internal/traffic"
	"sluice.dev/sluice/internal/traffic/istio"
)

// Metrics returns every built-in metric provider.
func Metrics() *metric.Registry {
	return metric.NewRegistry(
		datadog.Provider,
	)
}

// Router returns the traffic router that ro names. version answers which
// version of a kind the API server has.
func Router(ro *v1alpha1.Rollout, version func(schema.GroupKind) (string, error)) (traffic.Router, error) {
	canary := ro.Spec.Strategy.Canary
	if canary == nil || canary.TrafficRouting == nil || canary.TrafficRouting.Istio == nil {
		return nil, &traffic.Problem{Message: "names no router of this version", Field: "spec.strategy.canary.trafficRouting"}
	}
	v, err := version(schema.GroupKind{Group: "networking.istio.io", Kind: "VirtualService"})
	if err != nil {
		return nil, err
	}
	config := istio.Config{
		Routing: canary.TrafficRouting.Istio, Namespace: ro.Namespace, Version: v,
		StableService: canary.StableService, CanaryService: canary.CanaryService,
	}
	for _, route := range canary.TrafficRouting.ManagedRoutes {
		config.Managed = append(config.Managed, route.Name)
	}
	router, err := istio.New(config)
	if err != nil {
		return nil, fmt.Errorf("istio: %w", err)
	}
	return router, nil
}

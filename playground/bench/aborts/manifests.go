// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package aborts

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// canaryWeight is what the canary has when it is aborted.
const canaryWeight = 20

// template is what every Rollout's gate measures: one reading, which is over the
// limit.
const template = `
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: gate, namespace: bench}
spec:
  args: [{name: case}]
  metrics:
    - name: errors
      count: 1
      successCondition: result < 10
      failureCondition: result >= 50
      failureLimit: 0
      provider:
        datadog:
          apiVersion: v2
          interval: 5m
          query: "sum:errors{case:{{args.case}}}.as_count()"
`

// objects are one Rollout and what it names; what is missing is its name.
const objects = `
apiVersion: v1
kind: Service
metadata: {name: %[1]s-stable, namespace: bench}
spec: {selector: {app: %[1]s}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s-canary, namespace: bench}
spec: {selector: {app: %[1]s}, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: %[1]s, namespace: bench}
spec:
  hosts: [%[1]s]
  http:
    - name: primary
      route:
        - {destination: {host: %[1]s-stable}, weight: 100}
        - {destination: {host: %[1]s-canary}, weight: 0}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: %[1]s, namespace: bench}
spec:
  replicas: 2
  revisionHistoryLimit: 1
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers: [{name: app, image: "registry.internal/app:1"}]
  strategy:
    canary:
      stableService: %[1]s-stable
      canaryService: %[1]s-canary
      trafficRouting:
        istio: {virtualService: {name: %[1]s, routes: [primary]}}
      steps:
        - setWeight: 20
        - analysis:
            templates: [{templateName: gate}]
            args: [{name: case, value: %[1]s}]
        - setWeight: 60
        - pause: {}
`

const change = `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.internal/app:%d"}]}}}}`

func decode(text string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for doc := range strings.SplitSeq(text, "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &o.Object); err != nil {
			return nil, fmt.Errorf("read a manifest: %w", err)
		}
		out = append(out, o)
	}
	return out, nil
}

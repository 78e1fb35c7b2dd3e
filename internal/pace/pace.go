// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pace shortens the waiting times of manifests: the durations of pauses,
// the first delay and the interval of metrics, and the stretch of time that a
// Datadog query looks back on. It changes nothing else, and with a factor of 1
// nothing at all.
package pace

import (
	"fmt"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A Change is one time that was shortened.
type Change struct {
	// Field is its path, as in spec.metrics[0].interval.
	Field string
	// From and To are the time as it was written and as it is now.
	From, To string
}

// Apply divides the waiting times of obj by factor and returns what it changed.
// Objects without any are left as they are.
func Apply(obj *unstructured.Unstructured, factor float64) ([]Change, error) {
	if factor == 1 {
		return nil, nil
	}
	p := &pacer{factor: factor}
	switch obj.GetKind() {
	case "Rollout":
		steps, _, _ := unstructured.NestedSlice(obj.Object, "spec", "strategy", "canary", "steps")
		for i, s := range steps {
			p.shorten(s, fmt.Sprintf("spec.strategy.canary.steps[%d]", i), "pause", "duration")
		}
		p.store(obj, steps, "spec", "strategy", "canary", "steps")
	case "AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun":
		metrics, _, _ := unstructured.NestedSlice(obj.Object, "spec", "metrics")
		for i, m := range metrics {
			at := fmt.Sprintf("spec.metrics[%d]", i)
			p.shorten(m, at, "initialDelay")
			p.shorten(m, at, "interval")
			p.shorten(m, at, "provider", "datadog", "interval")
		}
		p.store(obj, metrics, "spec", "metrics")
	}
	if p.err != nil {
		return nil, fmt.Errorf("shorten the times of %s %s: %w", obj.GetKind(), obj.GetName(), p.err)
	}
	return p.changes, nil
}

// Duration divides d by factor, to a millisecond.
func Duration(d time.Duration, factor float64) time.Duration {
	return time.Duration(math.Round(float64(d)/factor/float64(time.Millisecond))) * time.Millisecond
}

// A pacer shortens times and remembers which.
type pacer struct {
	factor  float64
	changes []Change
	err     error
}

// shorten divides the time at a path under item, if it is there.
func (p *pacer) shorten(item any, at string, path ...string) {
	m, ok := item.(map[string]any)
	if !ok {
		return
	}
	old, found, err := unstructured.NestedFieldNoCopy(m, path...)
	if err != nil || !found || p.err != nil {
		return
	}
	d, err := parse(old)
	for _, f := range path {
		at += "." + f
	}
	if err != nil {
		p.err = fmt.Errorf("%s: %w", at, err)
		return
	}
	to := Duration(d, p.factor).String()
	p.err = unstructured.SetNestedField(m, to, path...)
	p.changes = append(p.changes, Change{Field: at, From: fmt.Sprint(old), To: to})
}

// store puts the changed list back.
func (p *pacer) store(obj *unstructured.Unstructured, list []any, path ...string) {
	if p.err == nil && len(p.changes) > 0 {
		p.err = unstructured.SetNestedSlice(obj.Object, list, path...)
	}
}

// parse reads a time as the API writes it: a duration, or seconds.
func parse(v any) (time.Duration, error) {
	switch v := v.(type) {
	case string:
		return time.ParseDuration(v)
	case int64:
		return time.Duration(v) * time.Second, nil
	case float64:
		return time.Duration(v * float64(time.Second)), nil
	}
	return 0, fmt.Errorf("%v is not a duration", v)
}

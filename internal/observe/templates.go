// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"fmt"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/analysistemplate"
)

// Background is the key of the background analysis in World.Analyses; a step's
// is its index.
const Background = -1

// templates finds what each analysis of a release is made of, before it
// starts: a gate that cannot be built holds the release at its beginning, not
// half-way.
func (o *Observer) templates(ctx context.Context, w *World) error {
	canary := w.Rollout.Spec.Strategy.Canary
	if canary == nil || !w.releasing() || w.initial() {
		return nil
	}
	w.Analyses = map[int]*v1alpha1.AnalysisRunSpec{}
	if canary.Analysis != nil {
		if err := o.analysis(ctx, w, Background, &canary.Analysis.RolloutAnalysis); err != nil {
			return err
		}
	}
	for i := range canary.Steps {
		if a := canary.Steps[i].Analysis; a != nil {
			if err := o.analysis(ctx, w, i, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// analysis resolves one analysis. What is wrong with it is a problem of the
// rollout.
func (o *Observer) analysis(ctx context.Context, w *World, key int, a *v1alpha1.RolloutAnalysis) error {
	at := "spec.strategy.canary.analysis"
	if key != Background {
		at = fmt.Sprintf("spec.strategy.canary.steps[%d].analysis", key)
	}
	var failed error
	flat, err := analysistemplate.Flatten(a.Templates, func(ref v1alpha1.AnalysisTemplateRef) (*v1alpha1.AnalysisTemplateSpec, error) {
		if ref.ClusterScope && o.Namespaced {
			// A look would wait for ever for a cache that may not be filled.
			return nil, fmt.Errorf("%s is the whole cluster's, and this controller (--namespaced) reads its own namespace only: "+
				"use an AnalysisTemplate there, without clusterScope", analysistemplate.Name(ref))
		}
		t, err := o.template(ctx, w.Rollout.Namespace, ref)
		if missing(err) {
			return nil, fmt.Errorf("%s not found: create it and the rollout goes on", analysistemplate.Name(ref))
		}
		if err != nil {
			failed = fmt.Errorf("get %s: %w", analysistemplate.Name(ref), err)
		}
		return t, err
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		w.problem(at + ".templates: " + err.Error())
		return nil
	}
	passed, err := w.arguments(a.Args)
	if err != nil {
		w.problem(at + "." + err.Error())
		return nil
	}
	args, err := analysistemplate.Fill(flat.Args, passed)
	if err != nil {
		w.problem(at + ".args: " + err.Error())
		return nil
	}
	w.Analyses[key] = &v1alpha1.AnalysisRunSpec{
		Metrics: flat.Metrics, Args: args,
		DryRun:               append(flat.DryRun, a.DryRun...),
		MeasurementRetention: append(flat.MeasurementRetention, a.MeasurementRetention...),
	}
	return nil
}

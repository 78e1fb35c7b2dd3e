// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/api/v1alpha1"
	judge "sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/analysistemplate"
	"sluice.dev/sluice/internal/metric"
)

// A prepared run has its arguments filled in, its conditions compiled and its
// sources open. It is made once, and again when a Secret among its arguments
// changes.
type prepared struct {
	spec   *v1alpha1.AnalysisRunSpec
	values analysistemplate.Values
	// unresolved is why arguments have no value. Measurements are errors until
	// they have.
	unresolved error
	// invalid is why the run can never be judged.
	invalid   string
	rule      judge.Run
	sources   map[string]probe
	retention map[string]int
}

// A probe measures one metric, or says why it cannot.
type probe struct {
	metric.Source
	rule judge.Metric
	err  error
}

// prepare returns what is needed to run run.
func (r *Reconciler) prepare(ctx context.Context, s *session, run *v1alpha1.AnalysisRun) (*prepared, error) {
	s.mu.Lock()
	old := s.prepared
	s.mu.Unlock()
	same := old != nil && sameBut(old.spec, run.Spec)
	if same && !secretive(run) {
		return old, nil
	}
	values, err := analysistemplate.Resolve(run.Spec.Args, func(ref v1alpha1.SecretKeyRef) (string, error) {
		return secret(ctx, r.Env.Secrets, run.Namespace, ref)
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if same && err == nil && old.unresolved == nil && old.values.Equal(values) {
		return old, nil
	}
	p := &prepared{spec: &run.Spec, values: values, unresolved: err}
	p.build(r, run)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prepared = p
	return p, nil
}

// sameBut reports whether two specs differ in nothing but what ends a run.
func sameBut(old *v1alpha1.AnalysisRunSpec, spec v1alpha1.AnalysisRunSpec) bool {
	spec.Terminate, spec.TTLStrategy = old.Terminate, old.TTLStrategy
	return equality.Semantic.DeepEqual(old, &spec)
}

// secretive reports whether an argument of run is kept in a Secret, which may
// change while it runs.
func secretive(run *v1alpha1.AnalysisRun) bool {
	for i := range run.Spec.Args {
		if from := run.Spec.Args[i].ValueFrom; from != nil && from.SecretKeyRef != nil && run.Spec.Args[i].Value == nil {
			return true
		}
	}
	return false
}

func secret(ctx context.Context, read metric.SecretReader, namespace string, ref v1alpha1.SecretKeyRef) (string, error) {
	if read == nil {
		return "", fmt.Errorf("the Secret %s/%s cannot be read by this controller", namespace, ref.Name)
	}
	data, err := read(ctx, namespace, ref.Name)
	if apierrors.IsNotFound(err) {
		return "", fmt.Errorf("there is no Secret %s/%s: create it and the run goes on", namespace, ref.Name)
	}
	if err != nil {
		return "", fmt.Errorf("read Secret %s/%s: %w", namespace, ref.Name, err)
	}
	value, ok := data[ref.Key]
	if !ok {
		return "", fmt.Errorf("the Secret %s/%s has no key %q: add it and the run goes on", namespace, ref.Name, ref.Key)
	}
	return string(value), nil
}

// build compiles the rules and opens the sources.
func (p *prepared) build(r *Reconciler, run *v1alpha1.AnalysisRun) {
	env := r.Env
	env.RunNamespace = run.Namespace
	env.PodTemplateHash = run.Labels[v1alpha1.LabelPodTemplateHash]
	filled := run.Spec.DeepCopy()
	var errs []error
	for i := range filled.Metrics {
		m, err := p.values.Substitute(filled.Metrics[i])
		switch {
		case err == nil:
			filled.Metrics[i] = m
		case p.unresolved == nil:
			errs = append(errs, fmt.Errorf("spec.metrics[%d]: %w", i, err))
		default:
			filled.Metrics[i] = bare(m) // until its arguments have values
		}
	}
	rules, err := analysistemplate.Rules(filled, r.Semantics)
	retention, badRetention := analysistemplate.Retention(filled)
	if err := errors.Join(append(errs, err, badRetention)...); err != nil {
		p.invalid = p.values.Redact("the run cannot be judged: " + err.Error())
	}
	p.retention = retention
	p.rule = judge.Run{
		UID: string(run.UID), Semantics: r.Semantics, Metrics: rules, Retry: r.Backoff,
		Background: run.Labels[v1alpha1.LabelRolloutType] == v1alpha1.RolloutTypeBackground,
	}
	p.sources = make(map[string]probe, len(rules))
	for i := range rules {
		src := probe{rule: rules[i], err: p.unresolved}
		if src.err == nil {
			src.Source, src.err = r.open(env, &filled.Metrics[i])
		}
		p.sources[rules[i].Name] = src
	}
}

// bare is a metric without what cannot be read while arguments have no value.
func bare(m v1alpha1.Metric) v1alpha1.Metric {
	out := v1alpha1.Metric{Name: m.Name, OnError: m.OnError, ConsecutiveErrorLimit: m.ConsecutiveErrorLimit, Interval: m.Interval, InitialDelay: m.InitialDelay, MaxHold: m.MaxHold}
	if _, err := analysistemplate.ToRule(&out, "", judge.Guide); err != nil {
		return v1alpha1.Metric{Name: m.Name, OnError: m.OnError}
	}
	return out
}

func (r *Reconciler) open(env metric.Env, m *v1alpha1.Metric) (metric.Source, error) {
	name, config, err := analysistemplate.Provider(m)
	if err != nil {
		return nil, metric.Errorf(metric.Misconfigured, "%w", err)
	}
	return r.Registry.Open(env, name, config)
}

// AnnotationTerminatedBy is on runs that the controller ends, with the value
// "controller", put there by the write that sets spec.terminate. A run that is
// terminated without it was ended by a person. AnnotationTerminatedReason says
// why.
const (
	AnnotationTerminatedBy     = v1alpha1.SluicePrefix + "terminated-by"
	AnnotationTerminatedReason = v1alpha1.SluicePrefix + "terminated-reason"
)

// ruleFor is the rule of run, which may have been terminated since it was
// prepared.
func (p *prepared) ruleFor(run *v1alpha1.AnalysisRun) judge.Run {
	rule := p.rule
	if !run.Spec.Terminate {
		return rule
	}
	rule.Terminate = judge.ByPerson
	if run.Annotations[AnnotationTerminatedBy] == string(judge.ByController) {
		rule.Terminate, rule.Reason = judge.ByController, run.Annotations[AnnotationTerminatedReason]
	}
	return rule
}

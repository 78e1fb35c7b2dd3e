// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package analysistemplate turns analysis templates and arguments into the
// spec of an AnalysisRun. It reads nothing: templates come in as arguments.
package analysistemplate

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"

	"sluice.dev/sluice/api/v1alpha1"
)

// A Lookup returns the template that ref names.
type Lookup func(ref v1alpha1.AnalysisTemplateRef) (*v1alpha1.AnalysisTemplateSpec, error)

// Flatten returns one template with everything in the templates that refs
// name, and in those that they name in turn; each counts once. It is an error
// when two hold a metric of the same name, or when they disagree on an
// argument's default.
func Flatten(refs []v1alpha1.AnalysisTemplateRef, lookup Lookup) (*v1alpha1.AnalysisTemplateSpec, error) {
	f := &flattening{lookup: lookup, seen: map[v1alpha1.AnalysisTemplateRef]bool{}, metrics: map[string]string{}, args: map[string]string{}}
	for _, ref := range refs {
		f.add(ref)
	}
	if err := errors.Join(f.errs...); err != nil {
		return nil, err
	}
	return &f.out, nil
}

type flattening struct {
	lookup Lookup
	seen   map[v1alpha1.AnalysisTemplateRef]bool
	// metrics and args say which template each came from.
	metrics, args map[string]string
	out           v1alpha1.AnalysisTemplateSpec
	errs          []error
}

func (f *flattening) add(ref v1alpha1.AnalysisTemplateRef) {
	if f.seen[ref] {
		return
	}
	f.seen[ref] = true
	t, err := f.lookup(ref)
	if err != nil {
		f.errs = append(f.errs, err)
		return
	}
	name := Name(ref)
	for i := range t.Metrics {
		m := &t.Metrics[i]
		if other, ok := f.metrics[m.Name]; ok {
			f.errs = append(f.errs, fmt.Errorf("metric %q is in %s and in %s: names of metrics must differ", m.Name, other, name))
			continue
		}
		f.metrics[m.Name] = name
		f.out.Metrics = append(f.out.Metrics, *m.DeepCopy())
	}
	for i := range t.Args {
		f.arg(&t.Args[i], name)
	}
	f.out.DryRun = append(f.out.DryRun, t.DryRun...)
	f.out.MeasurementRetention = append(f.out.MeasurementRetention, t.MeasurementRetention...)
	for _, nested := range t.Templates {
		f.add(nested)
	}
}

// arg takes in one declared argument. A default wins over none.
func (f *flattening) arg(arg *v1alpha1.Argument, from string) {
	for i := range f.out.Args {
		have := &f.out.Args[i]
		if have.Name != arg.Name {
			continue
		}
		switch {
		case !given(arg):
		case !given(have):
			*have = *arg.DeepCopy()
			f.args[arg.Name] = from
		case !equality.Semantic.DeepEqual(have, arg):
			f.errs = append(f.errs, fmt.Errorf("argument %q has different defaults in %s and in %s", arg.Name, f.args[arg.Name], from))
		}
		return
	}
	f.args[arg.Name] = from
	f.out.Args = append(f.out.Args, *arg.DeepCopy())
}

func given(arg *v1alpha1.Argument) bool { return arg.Value != nil || arg.ValueFrom != nil }

// Name is how people call the template that ref names.
func Name(ref v1alpha1.AnalysisTemplateRef) string {
	if ref.ClusterScope {
		return fmt.Sprintf("ClusterAnalysisTemplate %q", ref.TemplateName)
	}
	return fmt.Sprintf("AnalysisTemplate %q", ref.TemplateName)
}

// Fill gives the arguments that a template declares the values that its user
// passes. What the template does not declare is ignored. An argument that is
// left without a value is an error that names it.
func Fill(declared []v1alpha1.Argument, passed map[string]string) ([]v1alpha1.Argument, error) {
	out := make([]v1alpha1.Argument, 0, len(declared))
	var errs []error
	for i := range declared {
		arg := *declared[i].DeepCopy()
		if value, ok := passed[arg.Name]; ok {
			arg.Value, arg.ValueFrom = &value, nil
		}
		if !given(&arg) {
			errs = append(errs, fmt.Errorf("argument %q has no value: pass it in args, or give it a default in the template", arg.Name))
		}
		out = append(out, arg)
	}
	return out, errors.Join(errs...)
}

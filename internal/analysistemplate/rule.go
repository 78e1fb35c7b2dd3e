// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysistemplate

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/condition"
)

// Rules returns the rules of a run's metrics, whose arguments have been filled
// in. An error names every field that is wrong.
func Rules(spec *v1alpha1.AnalysisRunSpec, semantics analysis.Semantics) ([]analysis.Metric, error) {
	dry, err := DryRuns(spec)
	errs := []error{err}
	names := map[string]int{}
	rules := make([]analysis.Metric, len(spec.Metrics))
	for i := range spec.Metrics {
		m := &spec.Metrics[i]
		at := fmt.Sprintf("spec.metrics[%d]", i)
		if other, ok := names[m.Name]; ok {
			errs = append(errs, fmt.Errorf("%s.name: %q is the name of spec.metrics[%d] too", at, m.Name, other))
		}
		names[m.Name] = i
		rules[i], err = ToRule(m, at, semantics)
		rules[i].DryRun = dry[m.Name]
		errs = append(errs, err)
	}
	return rules, errors.Join(errs...)
}

// ToRule returns the rule of one metric, whose arguments have been filled in.
// at is its path, such as spec.metrics[0], for errors, which name every field
// that is wrong.
func ToRule(m *v1alpha1.Metric, at string, semantics analysis.Semantics) (analysis.Metric, error) {
	p := &parser{at: at, legacy: semantics == analysis.Argo}
	rule := analysis.Metric{
		Name:         m.Name,
		Interval:     p.duration("interval", m.Interval),
		InitialDelay: p.duration("initialDelay", m.InitialDelay),
		MaxHold:      p.duration("maxHold", m.MaxHold),
		Count:        p.number("count", m.Count, 0, 0),
		FailureLimit: p.number("failureLimit", m.FailureLimit, 0, -1),
		ErrorLimit:   p.number("consecutiveErrorLimit", m.ConsecutiveErrorLimit, analysis.DefaultErrorLimit, 0),
		SuccessLimit: p.number("consecutiveSuccessLimit", m.ConsecutiveSuccessLimit, 0, 0),
		Success:      p.condition("successCondition", m.SuccessCondition),
		Failure:      p.condition("failureCondition", m.FailureCondition),
		OnNoData:     string(m.OnNoData),
		AbortOnError: m.OnError == v1alpha1.ErrorAbort,
	}
	if !p.legacy {
		rule.Abort = p.condition("abortCondition", m.AbortCondition)
	}
	if m.InconclusiveLimit != nil {
		n := p.number("inconclusiveLimit", m.InconclusiveLimit, 0, 0)
		rule.InconclusiveLimit = &n
	}
	p.policies(m)
	return rule, errors.Join(p.errs...)
}

type parser struct {
	at     string
	legacy bool
	errs   []error
}

func (p *parser) fail(field, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s.%s: %w", p.at, field, fmt.Errorf(format, args...)))
}

func (p *parser) duration(field string, d v1alpha1.DurationString) time.Duration {
	got, err := d.Duration()
	switch {
	case err != nil:
		p.fail(field, "%q is no length of time: write it like 30s, 5m or 1h30m", string(d))
	case got < 0:
		p.fail(field, "%q is negative", string(d))
	}
	return got
}

// number reads n, which may be a string once its argument is filled in.
func (p *parser) number(field string, n *intstr.IntOrString, otherwise, least int) int {
	if n == nil {
		return otherwise
	}
	got := n.IntValue()
	if n.Type == intstr.String {
		var err error
		if got, err = strconv.Atoi(strings.TrimSpace(n.StrVal)); err != nil {
			p.fail(field, "%q is no whole number", n.StrVal)
			return otherwise
		}
	}
	if got < least {
		p.fail(field, "%d is below %d", got, least)
	}
	return got
}

func (p *parser) condition(field, expression string) *condition.Condition {
	if expression == "" {
		return nil
	}
	compile := condition.Compile
	if p.legacy {
		compile = condition.CompileLegacy
	}
	c, err := compile(expression)
	if err != nil {
		p.fail(field, "%w", err)
	}
	return c
}

func (p *parser) policies(m *v1alpha1.Metric) {
	switch m.OnNoData {
	case "", v1alpha1.NoDataInconclusive, v1alpha1.NoDataSuccess, v1alpha1.NoDataFailure, v1alpha1.NoDataError:
	default:
		p.fail("onNoData", "%q is none of inconclusive, success, failure and error", m.OnNoData)
	}
	switch m.OnError {
	case "", v1alpha1.ErrorHold, v1alpha1.ErrorAbort:
	default:
		p.fail("onError", "%q is none of hold and abort", m.OnError)
	}
}

// DryRuns returns the names of the metrics that spec.dryRun matches. A rule that
// matches none is an error: it is a slip of the pen that would let a metric
// decide that should not.
func DryRuns(spec *v1alpha1.AnalysisRunSpec) (map[string]bool, error) {
	out := map[string]bool{}
	var errs []error
	for i, d := range spec.DryRun {
		err := match(spec, fmt.Sprintf("spec.dryRun[%d]", i), d.MetricName, func(name string) { out[name] = true })
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// Retention returns how many measurements are kept of each metric that
// spec.measurementRetention matches; the first match counts.
func Retention(spec *v1alpha1.AnalysisRunSpec) (map[string]int, error) {
	out := map[string]int{}
	var errs []error
	for i, r := range spec.MeasurementRetention {
		err := match(spec, fmt.Sprintf("spec.measurementRetention[%d]", i), r.MetricName, func(name string) {
			if _, ok := out[name]; !ok && r.Limit > 0 {
				out[name] = int(r.Limit)
			}
		})
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// match calls found with each metric whose name matches pattern.
func match(spec *v1alpha1.AnalysisRunSpec, at, pattern string, found func(string)) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("%s.metricName: %q is no regular expression: %w", at, pattern, err)
	}
	matched := false
	for i := range spec.Metrics {
		if name := spec.Metrics[i].Name; re.MatchString(name) {
			found(name)
			matched = true
		}
	}
	if !matched {
		return fmt.Errorf("%s.metricName: %q matches no metric", at, pattern)
	}
	return nil
}

// Provider returns the name of the provider that m is measured by and a pointer
// to its settings. It is an error if m names none or several.
func Provider(m *v1alpha1.Metric) (name string, config any, err error) {
	p := reflect.ValueOf(m.Provider)
	var names []string
	for i := range p.NumField() {
		field := p.Field(i)
		if field.IsZero() {
			continue
		}
		name, _, _ = strings.Cut(p.Type().Field(i).Tag.Get("json"), ",")
		names = append(names, name)
		config = field.Interface()
		if field.Kind() != reflect.Pointer {
			block := reflect.New(field.Type())
			block.Elem().Set(field)
			config = block.Interface()
		}
	}
	switch len(names) {
	case 0:
		return "", nil, fmt.Errorf("metric %q names no provider", m.Name)
	case 1:
		return names[0], config, nil
	default:
		return "", nil, fmt.Errorf("metric %q names %d providers (%s): leave one", m.Name, len(names), strings.Join(names, ", "))
	}
}

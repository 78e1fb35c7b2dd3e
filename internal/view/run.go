// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/analysis"
)

// An AnalysisRun is what people are shown of an AnalysisRun.
type AnalysisRun struct {
	Namespace string                 `json:"namespace"`
	Name      string                 `json:"name"`
	Phase     v1alpha1.AnalysisPhase `json:"phase"`
	Message   string                 `json:"message,omitempty"`
	Age       time.Duration          `json:"age"`
	// Kind is Step, Background, PrePromotion or PostPromotion, or empty for a
	// run that no Rollout started. Step is the step's index, from 0, or -1.
	Kind string `json:"kind,omitempty"`
	Step int    `json:"step"`
	// Counts are the measurements of the metrics that decide.
	Counts  Counts   `json:"counts"`
	Metrics []Metric `json:"metrics,omitempty"`

	created time.Time
}

// Counts counts measurements by verdict.
type Counts struct {
	Successful   int32 `json:"successful"`
	Failed       int32 `json:"failed"`
	Inconclusive int32 `json:"inconclusive"`
	Error        int32 `json:"error"`
}

// A Metric is one metric of a run: its last value against its limits.
type Metric struct {
	Name   string                 `json:"name"`
	Phase  v1alpha1.AnalysisPhase `json:"phase"`
	DryRun bool                   `json:"dryRun,omitempty"`
	// Value is what was measured last, Last the verdict on it and Message the
	// reason. Last is empty before the first measurement.
	Value   string                 `json:"value,omitempty"`
	Last    v1alpha1.AnalysisPhase `json:"last,omitempty"`
	Message string                 `json:"message,omitempty"`
	// Pass, Fail and Abort are the conditions as people read them: "< 0.01".
	Pass  string `json:"pass,omitempty"`
	Fail  string `json:"fail,omitempty"`
	Abort string `json:"abort,omitempty"`

	Counts Counts `json:"counts"`
	// Failed is how many failures count against FailureLimit: in a background
	// analysis those in the window, elsewhere all of them. A negative
	// FailureLimit allows any number.
	Failed       int `json:"failed"`
	FailureLimit int `json:"failureLimit"`
	// Window is how many readings in a row were conclusive, and Want how many a
	// pass needs; Want is 0 when the metric has no count.
	Window int `json:"window"`
	Want   int `json:"want"`
	// Note is what has to be known besides, such as NoData.
	Note string `json:"note,omitempty"`
}

// RunOf is what people are shown of run at the time now.
func RunOf(run *v1alpha1.AnalysisRun, now time.Time) AnalysisRun {
	v := AnalysisRun{
		Namespace: run.Namespace,
		Name:      run.Name,
		Phase:     run.Status.Phase,
		Message:   run.Status.Message,
		Age:       since(run.CreationTimestamp.Time, now),
		Kind:      run.Labels[v1alpha1.LabelRolloutType],
		Step:      stepIndex(run.Labels[v1alpha1.LabelStepIndex]),
		created:   run.CreationTimestamp.Time,
	}
	if v.Phase == "" {
		v.Phase = v1alpha1.AnalysisPhasePending
	}
	fill := filler(run.Spec.Args)
	for i := range run.Spec.Metrics {
		m := metricOf(&run.Spec.Metrics[i], resultOf(run, run.Spec.Metrics[i].Name), fill, v.Kind == v1alpha1.RolloutTypeBackground)
		if !m.DryRun {
			v.Counts.add(m.Counts)
		}
		v.Metrics = append(v.Metrics, m)
	}
	return v
}

func (c *Counts) add(d Counts) {
	c.Successful += d.Successful
	c.Failed += d.Failed
	c.Inconclusive += d.Inconclusive
	c.Error += d.Error
}

func resultOf(run *v1alpha1.AnalysisRun, name string) *v1alpha1.MetricResult {
	for i := range run.Status.MetricResults {
		if run.Status.MetricResults[i].Name == name {
			return &run.Status.MetricResults[i]
		}
	}
	return nil
}

func metricOf(spec *v1alpha1.Metric, res *v1alpha1.MetricResult, fill func(string) string, background bool) Metric {
	m := Metric{
		Name:         spec.Name,
		Phase:        v1alpha1.AnalysisPhasePending,
		Pass:         condition(fill(spec.SuccessCondition)),
		Fail:         condition(fill(spec.FailureCondition)),
		Abort:        condition(fill(spec.AbortCondition)),
		FailureLimit: number(spec.FailureLimit, fill),
		Want:         number(spec.Count, fill),
	}
	if res == nil {
		return m
	}
	m.Phase, m.DryRun, m.Message = res.Phase, res.DryRun, res.Message
	m.Counts = Counts{res.Successful, res.Failed, res.Inconclusive, res.Error}
	memory := analysis.Decode(res.Metadata)
	m.Window = min(window(res, memory.Recent), m.Want)
	m.Failed = int(res.Failed)
	if background && m.Want > 0 && memory.Conclusive != "" {
		m.Failed = failures(memory.Conclusive, m.Want)
	}
	if n := len(res.Measurements); n > 0 {
		last := &res.Measurements[n-1]
		m.Last, m.Value = last.Phase, last.Value
		if last.Message != "" {
			m.Message = last.Message
		}
		m.Note = Reason(last)
	}
	return m
}

// window counts the conclusive readings since the last inconclusive one. An
// error is no reading. The letters that the judge remembers go further back
// than the measurements that are kept; another controller keeps none.
func window(res *v1alpha1.MetricResult, letters string) int {
	if letters != "" {
		return len(letters) - 1 - strings.LastIndexByte(letters, 'I')
	}
	n := 0
	for _, v := range slices.Backward(res.Measurements) {
		switch v.Phase {
		case v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseFailed:
			n++
		case v1alpha1.AnalysisPhaseInconclusive:
			return n
		case v1alpha1.AnalysisPhasePending, v1alpha1.AnalysisPhaseRunning, v1alpha1.AnalysisPhaseError:
		}
	}
	return n
}

// failures counts the failures among the last n letters.
func failures(letters string, n int) int {
	last := letters[max(0, len(letters)-n):]
	return strings.Count(last, "F") + strings.Count(last, "f")
}

// Reason is the reason that the judge noted for a measurement in one word, such
// as NoData, or empty.
func Reason(m *v1alpha1.Measurement) string {
	return m.Metadata[v1alpha1.SluicePrefix+"reason"]
}

func stepIndex(label string) int {
	n := number(&intstr.IntOrString{Type: intstr.String, StrVal: label}, func(s string) string { return s })
	if label == "" {
		return -1
	}
	return n
}

// number is v with arguments filled in; 0 when it is left out or is no number.
func number(v *intstr.IntOrString, fill func(string) string) int {
	if v == nil {
		return 0
	}
	filled := intstr.Parse(fill(v.String()))
	if filled.Type == intstr.Int {
		return int(filled.IntVal)
	}
	return 0
}

// filler fills arguments into text. A secret stays hidden.
func filler(args []v1alpha1.Argument) func(string) string {
	var pairs []string
	for _, a := range args {
		value := "*****"
		if a.Value != nil {
			value = *a.Value
		}
		for _, form := range []string{"{{args." + a.Name + "}}", "{{ args." + a.Name + " }}"} {
			pairs = append(pairs, form, value)
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

var simple = regexp.MustCompile(`^result(?:\[0\])?\s*(<=|>=|==|!=|<|>)\s*(\S+)$`)

// condition is an expression as people read it: a plain comparison without the
// word result, anything else as it stands on one line.
func condition(expr string) string {
	expr = strings.Join(strings.Fields(expr), " ")
	if m := simple.FindStringSubmatch(expr); m != nil {
		return m[1] + " " + m[2]
	}
	return expr
}

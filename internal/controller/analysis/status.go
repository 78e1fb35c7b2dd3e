// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"maps"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	judge "sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/evidence"
)

// The keys of metadata that this controller adds to those of the judge.
const (
	// KeyRun is on a run's first metric result: the UID of the run. A status
	// without it was not written by this controller for this run, and is not
	// trusted: a UID is not known before the API server gives it.
	KeyRun = v1alpha1.SluicePrefix + "run"
	// KeyQuery is on a metric result: the query as it was sent, without
	// secrets.
	KeyQuery = v1alpha1.SluicePrefix + "query"
	// KeyLimits is on a metric result: the limits it is judged by.
	KeyLimits = v1alpha1.SluicePrefix + "limits"
	// KeyReason is on a measurement: why it has its phase, in one word.
	KeyReason = v1alpha1.SluicePrefix + "reason"
	// KeyRange is on a measurement: the time that its value was computed over,
	// from/to.
	KeyRange = v1alpha1.SluicePrefix + "range"
)

// groupsPrefix is what the names of the notes that are kept on the latest
// measurement only begin with.
const groupsPrefix = "groups"

// Trusted reports whether run's status was written by this controller for this
// run, or is empty.
func Trusted(run *v1alpha1.AnalysisRun) bool {
	if len(run.Status.MetricResults) == 0 {
		return run.Status.Phase == ""
	}
	return run.Status.MetricResults[0].Metadata[KeyRun] == string(run.UID)
}

// stateOf reads what the judge knows of run. A status that was filled in by
// somebody else counts for nothing.
func stateOf(run *v1alpha1.AnalysisRun) judge.State {
	if !Trusted(run) {
		return judge.State{}
	}
	st := &run.Status
	s := judge.State{Phase: judge.Phase(st.Phase), Message: st.Message, Results: make([]judge.Result, len(st.MetricResults))}
	if st.StartedAt != nil {
		s.StartedAt = st.StartedAt.Time
	}
	if st.CompletedAt != nil {
		s.CompletedAt = st.CompletedAt.Time
	}
	for i := range st.MetricResults {
		r := &st.MetricResults[i]
		s.Results[i] = judge.Result{
			Name: r.Name, Phase: judge.Phase(r.Phase), Message: r.Message, DryRun: r.DryRun,
			Count: int(r.Count), Successful: int(r.Successful), Failed: int(r.Failed), Inconclusive: int(r.Inconclusive), Error: int(r.Error),
			ConsecutiveError: int(r.ConsecutiveError), ConsecutiveSuccess: int(r.ConsecutiveSuccess),
			Memory: judge.Decode(r.Metadata),
		}
	}
	return s
}

// statusOf is the status of run after next.
func statusOf(run *v1alpha1.AnalysisRun, next step) v1alpha1.AnalysisRunStatus {
	s := &next.state
	out := v1alpha1.AnalysisRunStatus{
		Phase: v1alpha1.AnalysisPhase(s.Phase), Message: next.prepared.values.Redact(s.Message), StartedAt: stamp(s.StartedAt), CompletedAt: stamp(s.CompletedAt),
	}
	if next.refused != "" && Trusted(run) {
		out.MetricResults = run.Status.MetricResults
		return out
	}
	dry := v1alpha1.RunSummary{}
	for i := range s.Results {
		if i == len(next.rule.Metrics) {
			break
		}
		result := resultOf(run, next, i)
		out.MetricResults = append(out.MetricResults, result)
		if result.DryRun {
			count(&dry, result.Phase)
			continue
		}
		count(&out.RunSummary, result.Phase)
	}
	if dry.Count > 0 {
		out.DryRunSummary = &dry
	}
	return out
}

// resultOf is the result of the i-th metric after next.
func resultOf(run *v1alpha1.AnalysisRun, next step, i int) v1alpha1.MetricResult {
	m, r := next.rule.Metrics[i], &next.state.Results[i]
	out := v1alpha1.MetricResult{
		Name: r.Name, Phase: v1alpha1.AnalysisPhase(r.Phase), Message: next.prepared.values.Redact(r.Message), DryRun: r.DryRun,
		Count: small(r.Count), Successful: small(r.Successful), Failed: small(r.Failed), Inconclusive: small(r.Inconclusive), Error: small(r.Error),
		ConsecutiveError: small(r.ConsecutiveError), ConsecutiveSuccess: small(r.ConsecutiveSuccess),
		Metadata: map[string]string{},
	}
	if Trusted(run) {
		for j := range run.Status.MetricResults {
			if old := &run.Status.MetricResults[j]; old.Name == r.Name {
				out.Measurements = old.DeepCopy().Measurements
				maps.Copy(out.Metadata, old.Metadata)
			}
		}
	}
	r.Encode(m, out.Metadata)
	out.Metadata[KeyLimits] = limits(m)
	if i == 0 {
		out.Metadata[KeyRun] = string(run.UID)
	}
	for j := range next.readings {
		in := &next.readings[j]
		if in.Metric != r.Name {
			continue
		}
		if in.query != "" {
			out.Metadata[KeyQuery] = in.query
		}
		forgetGroups(out.Measurements)
		out.Measurements = append(out.Measurements, measurementOf(in, r.Window()))
	}
	keep := int(v1alpha1.DefaultMeasurementRetention)
	if n := next.prepared.retention[r.Name]; n > 0 {
		keep = n
	}
	cut := max(0, len(out.Measurements)-keep)
	if past := evidence.Keep(out.Metadata[evidence.KeyPast], out.Measurements[:cut], evidence.PastBudget(len(next.rule.Metrics))); past != "" {
		out.Metadata[evidence.KeyPast] = past
	}
	out.Measurements = out.Measurements[cut:]
	return out
}

// measurementOf is what is stored of one reading, with the window that it was
// judged in.
func measurementOf(in *reading, window string) v1alpha1.Measurement {
	metadata := map[string]string{}
	maps.Copy(metadata, in.notes)
	if in.Reason != "" {
		metadata[KeyReason] = in.Reason
	}
	if !in.from.IsZero() || !in.to.IsZero() {
		metadata[KeyRange] = in.from.UTC().Format(time.RFC3339) + "/" + in.to.UTC().Format(time.RFC3339)
	}
	if window != "" {
		metadata[judge.KeyWindow] = window
	}
	if len(metadata) == 0 {
		metadata = nil
	}
	return v1alpha1.Measurement{
		Phase: v1alpha1.AnalysisPhase(in.Phase), Message: in.Message, Value: in.value,
		StartedAt: stamp(in.Started), FinishedAt: stamp(in.Finished), Metadata: metadata,
	}
}

// forgetGroups drops the groups of measurements that are not the latest.
func forgetGroups(measurements []v1alpha1.Measurement) {
	for i := range measurements {
		for k := range measurements[i].Metadata {
			if strings.HasPrefix(k, groupsPrefix) {
				delete(measurements[i].Metadata, k)
			}
		}
	}
}

// limits writes the limits of m in one line.
func limits(m judge.Metric) string {
	parts := []string{fmt.Sprintf("failureLimit=%d", m.FailureLimit), fmt.Sprintf("consecutiveErrorLimit=%d", m.ErrorLimit)}
	if m.Count > 0 {
		parts = append([]string{fmt.Sprintf("count=%d", m.Count)}, parts...)
	}
	if m.InconclusiveLimit != nil {
		parts = append(parts, fmt.Sprintf("inconclusiveLimit=%d", *m.InconclusiveLimit))
	}
	if m.SuccessLimit > 0 {
		parts = append(parts, fmt.Sprintf("consecutiveSuccessLimit=%d", m.SuccessLimit))
	}
	return strings.Join(parts, " ")
}

func count(s *v1alpha1.RunSummary, phase v1alpha1.AnalysisPhase) {
	s.Count++
	switch phase {
	case v1alpha1.AnalysisPhaseSuccessful:
		s.Successful++
	case v1alpha1.AnalysisPhaseFailed:
		s.Failed++
	case v1alpha1.AnalysisPhaseInconclusive:
		s.Inconclusive++
	case v1alpha1.AnalysisPhaseError:
		s.Error++
	case v1alpha1.AnalysisPhasePending, v1alpha1.AnalysisPhaseRunning:
	}
}

// stamp is t in whole seconds, as it is stored; nil for none.
func stamp(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return new(metav1.NewTime(t.Truncate(time.Second)))
}

func small(n int) int32 { return int32(n) }

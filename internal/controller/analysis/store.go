// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	judge "sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/codec"
)

// store writes the status of run after next, if it differs, on condition that
// run is what the API server holds. It returns the run as it is then.
func (r *Reconciler) store(ctx context.Context, run *v1alpha1.AnalysisRun, next step) (*v1alpha1.AnalysisRun, error) {
	status := statusOf(run, next)
	if equality.Semantic.DeepEqual(run.Status, status) {
		return run, nil
	}
	out := run.DeepCopy()
	out.Status = status
	patch := client.MergeFromWithOptions(run, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, out, patch); err != nil {
		return nil, err //nolint:wrapcheck // the caller looks at its kind and says what was written
	}
	return out, nil
}

// fromRecord ends a run as Failed that its Rollout has on record as failed. The
// record was written before the traffic moved; the run may not have been.
func (r *Reconciler) fromRecord(ctx context.Context, s *session, run *v1alpha1.AnalysisRun, next step) (step, error) {
	s.mu.Lock()
	ask := next.refused == "" && next.state.Phase != judge.Failed && (!s.done.asked || run.Spec.Terminate)
	s.done.asked = true
	s.mu.Unlock()
	owner := metav1.GetControllerOf(run)
	if !ask || owner == nil || owner.Kind != "Rollout" {
		return next, nil
	}
	ro := &v1alpha1.Rollout{}
	if err := r.Client.Get(ctx, client.ObjectKey{Namespace: run.Namespace, Name: owner.Name}, ro); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return next, nil
		}
		return next, fmt.Errorf("get Rollout %s/%s, which owns AnalysisRun %s: %w", run.Namespace, owner.Name, run.Name, err)
	}
	if ro.UID != owner.UID {
		return next, nil
	}
	metric, message, failed := onRecord(ro, run.Name)
	if !failed {
		return next, nil
	}
	s.mu.Lock()
	s.done.posted = true // the Rollout knows
	s.mu.Unlock()
	next.state, next.plan = judge.Convict(r.Clock.Now(), next.rule, next.state, metric, message), judge.Plan{}
	return next, nil
}

// onRecord returns what ro has on record of the failure of the run called name.
func onRecord(ro *v1alpha1.Rollout, name string) (metric, message string, failed bool) {
	if sl := ro.Status.Sluice; sl != nil && sl.Verdict != nil && sl.Verdict.Run == name {
		return sl.Verdict.Metric, sl.Verdict.Message, true
	}
	for _, ref := range []*v1alpha1.RolloutAnalysisRunStatus{ro.Status.Canary.CurrentStepAnalysisRunStatus, ro.Status.Canary.CurrentBackgroundAnalysisRunStatus} {
		if ref != nil && ref.Name == name && ref.Status == v1alpha1.AnalysisPhaseFailed {
			return "", ref.Message, true
		}
	}
	return "", "", false
}

// record records the events of what changed between two versions of a run: one
// for each metric that ended, and one for the run.
func (r *Reconciler) record(old, run *v1alpha1.AnalysisRun) {
	if r.Recorder == nil {
		return
	}
	before := map[string]v1alpha1.AnalysisPhase{}
	for i := range old.Status.MetricResults {
		before[old.Status.MetricResults[i].Name] = old.Status.MetricResults[i].Phase
	}
	for i := range run.Status.MetricResults {
		m := &run.Status.MetricResults[i]
		if !m.Phase.Completed() || before[m.Name] == m.Phase {
			continue
		}
		note := fmt.Sprintf("Metric %q is %s", m.Name, m.Phase)
		if m.Message != "" {
			note = m.Message
		}
		event(r.Recorder, run, v1alpha1.EventMetricPrefix, m.Phase, note)
	}
	if run.Status.Phase.Completed() && old.Status.Phase != run.Status.Phase {
		note := fmt.Sprintf("Analysis is %s", run.Status.Phase)
		if run.Status.Message != "" {
			note += ": " + run.Status.Message
		}
		event(r.Recorder, run, v1alpha1.EventAnalysisRunPrefix, run.Status.Phase, note)
	}
}

func event(recorder events.EventRecorder, run *v1alpha1.AnalysisRun, prefix string, phase v1alpha1.AnalysisPhase, note string) {
	kind := corev1.EventTypeNormal
	if phase == v1alpha1.AnalysisPhaseFailed || phase == v1alpha1.AnalysisPhaseError {
		kind = corev1.EventTypeWarning
	}
	reason := prefix + string(phase)
	recorder.Eventf(run, nil, kind, reason, reason, "%s", codec.Clip(note))
}

// complain says why the status of run does not change, to the people who look at
// it too, unless it is for an API server that does not answer at all.
func complain(recorder events.EventRecorder, run *v1alpha1.AnalysisRun, err error) error {
	err = fmt.Errorf("store the status of AnalysisRun %s/%s; measuring goes on, and a verdict is acted on all the same: %w", run.Namespace, run.Name, err)
	if answer := apierrors.APIStatus(nil); recorder != nil && errors.As(err, &answer) {
		const reason = v1alpha1.EventReconciliationError
		recorder.Eventf(run, nil, corev1.EventTypeWarning, reason, reason, "%s", codec.Clip(err.Error()))
	}
	return err
}

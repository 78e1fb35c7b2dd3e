// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	analysisrun "sluice.dev/sluice/internal/controller/analysis"
	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/rollout"
)

// runs writes analysis runs.
type runs struct{ *Applier }

// start makes the analysis run that the committed status names.
func (a runs) start(ctx context.Context, w *observe.World, plan *rollout.Plan, start rollout.StartRun) error {
	canary := w.Rollout.Spec.Strategy.Canary
	if canary == nil {
		return nil
	}
	key, analysis := observe.Background, (*v1alpha1.RolloutAnalysis)(nil)
	if start.Kind == rollout.RunKindStep {
		if start.Step >= len(canary.Steps) {
			return nil
		}
		key, analysis = start.Step, canary.Steps[start.Step].Analysis
	} else if canary.Analysis != nil {
		analysis = &canary.Analysis.RolloutAnalysis
	}
	spec := w.Analyses[key]
	if spec == nil || analysis == nil {
		return nil
	}
	run := newRun(w, plan, start, analysis)
	run.Spec = *spec.DeepCopy()
	// A name that is taken is found out by the next look: if it is not ours,
	// another name is chosen.
	err := a.Client.Create(ctx, run)
	if err == nil {
		a.Overlay.Created(run, w.Rollout.UID, a.Clock.Now())
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create AnalysisRun %s/%s: %w", run.Namespace, run.Name, err)
	}
	return nil
}

func newRun(w *observe.World, plan *rollout.Plan, start rollout.StartRun, analysis *v1alpha1.RolloutAnalysis) *v1alpha1.AnalysisRun {
	ro := w.Rollout
	labels := map[string]string{}
	if ro.Spec.Selector != nil {
		maps.Copy(labels, ro.Spec.Selector.MatchLabels)
	}
	maps.Copy(labels, analysis.AnalysisRunMetadata.Labels)
	labels[v1alpha1.LabelPodTemplateHash] = string(plan.Status.Current)
	labels[v1alpha1.LabelRolloutType] = string(start.Kind)
	if start.Kind == rollout.RunKindStep {
		labels[v1alpha1.LabelStepIndex] = strconv.Itoa(start.Step)
	}
	if id := ro.Labels[v1alpha1.LabelControllerInstanceID]; id != "" {
		labels[v1alpha1.LabelControllerInstanceID] = id
	}
	annotations := map[string]string{}
	maps.Copy(annotations, analysis.AnalysisRunMetadata.Annotations)
	annotations[v1alpha1.AnnotationRevision] = strconv.FormatInt(w.Snapshot.Pools[plan.Status.Current].Number, 10)
	annotations[observe.AnnotationAttempt] = strconv.Itoa(int(plan.Status.Attempt))
	return &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{
		Namespace: ro.Namespace, Name: start.Name, Labels: labels, Annotations: annotations,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(ro, v1alpha1.SchemeGroupVersion.WithKind("Rollout"))},
	}}
}

// stop ends a run that the rollout has moved on from. The annotations say so
// in the write that ends it: without them, a person did.
func (a runs) stop(ctx context.Context, w *observe.World, stop rollout.StopRun) error {
	run := w.Runs[stop.Name]
	if run == nil || run.Spec.Terminate || run.Status.Phase.Completed() {
		return nil
	}
	return a.merge(ctx, run, map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{
			analysisrun.AnnotationTerminatedBy: "controller", analysisrun.AnnotationTerminatedReason: stop.Why,
		}},
		"spec": map[string]any{"terminate": true},
	})
}

// prune deletes the oldest runs that ended, beyond the limits of the spec.
func (a runs) prune(ctx context.Context, w *observe.World, plan *rollout.Plan) error {
	if w.Rollout.Status.Phase != v1alpha1.RolloutPhaseHealthy && w.Rollout.Status.Phase != v1alpha1.RolloutPhaseDegraded {
		return nil
	}
	good, bad := historyLimits(w.Rollout)
	newest := slices.SortedFunc(maps.Values(w.Runs), func(a, b *v1alpha1.AnalysisRun) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(b.Name, a.Name))
	})
	var errs []error
	for _, run := range newest {
		if !run.Status.Phase.Completed() || named(plan.Status.StepRun, run) || named(plan.Status.Background, run) {
			continue
		}
		left := &bad
		if run.Status.Phase == v1alpha1.AnalysisPhaseSuccessful {
			left = &good
		}
		if *left--; *left >= 0 {
			continue
		}
		gone := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: run.Name}}
		if err := a.Client.Delete(ctx, gone, client.Preconditions{UID: &run.UID}); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("delete AnalysisRun %s/%s: %w", run.Namespace, run.Name, err))
		}
	}
	return errors.Join(errs...)
}

// historyLimits are how many runs that passed, and that did not, are kept.
func historyLimits(ro *v1alpha1.Rollout) (good, bad int32) {
	good, bad = v1alpha1.DefaultSuccessfulRunHistoryLimit, v1alpha1.DefaultUnsuccessfulRunHistoryLimit
	limits := ro.Spec.Analysis
	if limits == nil {
		return good, bad
	}
	if limits.SuccessfulRunHistoryLimit != nil {
		good = *limits.SuccessfulRunHistoryLimit
	}
	if limits.UnsuccessfulRunHistoryLimit != nil {
		bad = *limits.UnsuccessfulRunHistoryLimit
	}
	return good, bad
}

func named(ref *rollout.RunRef, run *v1alpha1.AnalysisRun) bool {
	return ref != nil && ref.Name == run.Name
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	analysisrun "sluice.dev/sluice/internal/controller/analysis"
	"sluice.dev/sluice/internal/evidence"
	"sluice.dev/sluice/internal/rollout"
)

// AnnotationAttempt is the annotation of an analysis run that says which
// attempt of its Rollout started it.
const AnnotationAttempt = evidence.KeyAttempt

// runs reads the analysis runs that the rollout owns.
func (o *Observer) runs(ctx context.Context, w *World) error {
	ro := w.Rollout
	var list v1alpha1.AnalysisRunList
	err := o.Cached.List(ctx, &list, client.InNamespace(ro.Namespace),
		client.MatchingFields{IndexOwner: string(ro.UID)}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("list the AnalysisRuns of Rollout %s/%s: %w", ro.Namespace, ro.Name, err)
	}
	w.Runs = make(map[string]*v1alpha1.AnalysisRun, len(list.Items))
	w.Snapshot.RunNames = make(map[string]bool, len(list.Items))
	seen := make(map[types.UID]bool, len(list.Items))
	for i := range list.Items {
		run := &list.Items[i]
		seen[run.UID] = true
		w.Runs[run.Name] = newer(o.Overlay, run, w.Snapshot.Now)
	}
	for _, run := range unseen[*v1alpha1.AnalysisRun](o.Overlay, ro.UID, seen, w.Snapshot.Now) {
		w.Runs[run.Name] = run
	}
	for name := range w.Runs {
		w.Snapshot.RunNames[name] = true
	}
	st := &w.Snapshot.Status
	if w.Snapshot.StepRun, err = o.run(ctx, w, st.StepRun); err != nil {
		return err
	}
	w.Snapshot.Background, err = o.run(ctx, w, st.Background)
	w.strays()
	return err
}

// strays finds the runs that still measure and that the status names no more.
func (w *World) strays() {
	st := &w.Snapshot.Status
	for _, name := range slices.Sorted(maps.Keys(w.Runs)) {
		run := w.Runs[name]
		if run.Spec.Terminate || run.Status.Phase.Completed() || !metav1.IsControlledBy(run, w.Rollout) ||
			st.StepRun != nil && st.StepRun.Name == name || st.Background != nil && st.Background.Name == name {
			continue
		}
		w.Snapshot.Strays = append(w.Snapshot.Strays, name)
	}
}

// run describes the run that ref names, if this attempt started it.
func (o *Observer) run(ctx context.Context, w *World, ref *rollout.RunRef) (*rollout.Run, error) {
	if ref == nil {
		return nil, nil
	}
	run, ok := w.Runs[ref.Name]
	if !ok {
		other := &v1alpha1.AnalysisRun{}
		err := o.Cached.Get(ctx, client.ObjectKey{Namespace: w.Rollout.Namespace, Name: ref.Name}, other)
		if err == nil { // somebody else's, in our way
			w.Snapshot.RunNames[ref.Name] = true
		}
		return nil, client.IgnoreNotFound(err)
	}
	if !w.started(run) {
		return nil, nil
	}
	return o.describe(run, w.Snapshot.Now), nil
}

// started reports whether this attempt of the rollout started run. A run of
// another controller has no attempt on it, and belongs to the first and to one
// that the other controller has worked on.
func (w *World) started(run *v1alpha1.AnalysisRun) bool {
	if !metav1.IsControlledBy(run, w.Rollout) {
		return false
	}
	attempt, ok := run.Annotations[AnnotationAttempt]
	if !ok {
		return w.Snapshot.Status.Attempt <= 1 || w.Snapshot.Status.Adopted
	}
	return attempt == strconv.Itoa(int(w.Snapshot.Status.Attempt))
}

// describe says of run what the rollout acts on.
func (o *Observer) describe(run *v1alpha1.AnalysisRun, now time.Time) *rollout.Run {
	facts := analysisrun.FactsOf(run, o.Semantics, now)
	if _, ours := run.Annotations[AnnotationAttempt]; ours && !facts.Trusted {
		// Somebody filled the status in before the run was started.
		return &rollout.Run{Name: run.Name, Phase: rollout.RunPending, GuardWhy: "its status was not written by the controller"}
	}
	out := &rollout.Run{
		Name: run.Name, Phase: rollout.RunPhase(facts.Phase), Message: facts.Message,
		GuardReady: facts.GuardReady, GuardWhy: facts.GuardWhy, Unfinished: unfinished(run),
	}
	if out.Phase == rollout.RunRecorded {
		out.Phase = rollout.RunPending
	}
	if facts.Hold != "" {
		out.Hold, out.HoldUntil = fmt.Sprintf("analysis run %s holds: %s", run.Name, facts.Hold), facts.HoldUntil
	}
	if out.Phase == rollout.RunFailed {
		out.Verdict = blame(run, facts, now)
	}
	return out
}

// blame is the judgement that run failed for.
func blame(run *v1alpha1.AnalysisRun, facts analysisrun.Facts, now time.Time) *rollout.Verdict {
	v := &rollout.Verdict{Run: run.Name, Message: run.Status.Message, At: now}
	r := facts.Failed
	if r == nil {
		return v
	}
	v.Metric, v.Failed, v.Limit = r.Name, r.Failed, facts.Limit
	if n := len(r.Measurements); n > 0 {
		v.Value = r.Measurements[n-1].Value
	}
	return v
}

// unfinished reports whether a background run ended although one of its metrics
// was to be measured for as long as the rollout lasts.
func unfinished(run *v1alpha1.AnalysisRun) bool {
	if run.Labels[v1alpha1.LabelRolloutType] != v1alpha1.RolloutTypeBackground || run.Spec.Terminate {
		return false
	}
	if _, ours := run.Annotations[AnnotationAttempt]; ours || run.Status.Phase != v1alpha1.AnalysisPhaseSuccessful {
		return false
	}
	for i := range run.Spec.Metrics {
		if run.Spec.Metrics[i].Interval != "" {
			return true
		}
	}
	return false
}

// template reads one analysis template.
func (o *Observer) template(ctx context.Context, ns string, ref v1alpha1.AnalysisTemplateRef) (*v1alpha1.AnalysisTemplateSpec, error) {
	if ref.ClusterScope {
		t := &v1alpha1.ClusterAnalysisTemplate{}
		err := o.Cached.Get(ctx, client.ObjectKey{Name: ref.TemplateName}, t)
		return &t.Spec, err
	}
	t := &v1alpha1.AnalysisTemplate{}
	err := o.Cached.Get(ctx, client.ObjectKey{Namespace: ns, Name: ref.TemplateName}, t)
	return &t.Spec, err
}

func missing(err error) bool { return apierrors.IsNotFound(err) }

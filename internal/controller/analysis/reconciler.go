// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package analysis runs AnalysisRuns: it takes the measurements that are due,
// has them judged by package internal/analysis, and stores what came out. It
// decides nothing itself, and it never waits for a provider: a measurement runs
// beside the passes, and its answer wakes one.
package analysis

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/api/v1alpha1"
	judge "sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/rollout"
)

// Deps is what a Reconciler works with.
type Deps struct {
	// Client reads from a cache and writes.
	Client client.Client
	// Live reads from the API server; it is asked after a conflict.
	Live client.Reader
	// Registry opens the sources of measurements, with Env.
	Registry *metric.Registry
	Env      metric.Env
	Clock    clock.PassiveClock
	// Recorder records events on runs.
	Recorder events.EventRecorder
	// Verdicts is where failing verdicts go; nil means nowhere.
	Verdicts Verdicts
	// Semantics is the set of rules; empty means the guide's.
	Semantics judge.Semantics
	// Backoff is the first wait after an error; 0 means 10 s.
	Backoff time.Duration
	// Instance is the instance ID whose runs are ours; empty for those without
	// one.
	Instance string
}

// Verdicts is told of runs that fail.
type Verdicts interface {
	// Post is called as soon as the reply that breaks the limit is judged, and
	// before anything is stored. owner is the Rollout.
	Post(ctx context.Context, owner types.NamespacedName, uid types.UID, v rollout.Verdict)
	// Yield waits, not for long, until the traffic of failed runs has moved. It
	// is called before a failed run is completed, which nobody waits for.
	Yield(ctx context.Context)
}

// A Reconciler runs AnalysisRuns.
type Reconciler struct {
	Deps
	sessions sessions
	// wake queues a pass for a run; urgent ones go first.
	wake func(name types.NamespacedName, after time.Duration, urgent bool)
}

// New returns a Reconciler that is not connected to a queue yet; see Setup.
func New(d Deps) *Reconciler {
	return &Reconciler{Deps: d, wake: func(types.NamespacedName, time.Duration, bool) {}}
}

// maxAttempts is how often a pass is decided again after a conflict.
const maxAttempts = 6

// Reconcile runs one pass for the AnalysisRun that req names.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	run := &v1alpha1.AnalysisRun{}
	if err := r.Client.Get(ctx, req.NamespacedName, run); err != nil {
		if apierrors.IsNotFound(err) {
			r.sessions.end(req.NamespacedName)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("get AnalysisRun %s: %w", req, err)
	}
	if run.DeletionTimestamp != nil || run.Labels[v1alpha1.LabelControllerInstanceID] != r.Instance {
		r.sessions.end(req.NamespacedName)
		return reconcile.Result{}, nil
	}
	s := r.sessions.of(run)
	run = s.newest(run)
	if run.Status.Phase.Completed() {
		r.sessions.end(req.NamespacedName)
		return r.expire(ctx, run)
	}
	return r.pass(ctx, s, run)
}

// pass brings run up to date. What is in hand is judged anew after a conflict,
// never measured anew.
func (r *Reconciler) pass(ctx context.Context, s *session, run *v1alpha1.AnalysisRun) (reconcile.Result, error) {
	for range maxAttempts {
		p, err := r.prepare(ctx, s, run)
		if err != nil {
			return reconcile.Result{}, err
		}
		next := s.advance(r.Clock.Now(), run, p)
		if p.invalid != "" {
			next = refused(run, p.invalid, r.Clock.Now())
		}
		if next, err = r.fromRecord(ctx, s, run, next); err != nil {
			return reconcile.Result{}, err
		}
		r.launch(ctx, s, next)
		tell(ctx, r, s, run, next)
		stored, err := r.store(ctx, run, next)
		switch {
		case err == nil:
			s.commit(stored, len(next.readings))
			r.record(run, stored)
			return r.after(s, next), nil
		case apierrors.IsNotFound(err):
			r.sessions.end(s.name)
			return reconcile.Result{}, nil
		case !apierrors.IsConflict(err):
			return reconcile.Result{}, complain(r.Recorder, run, err)
		}
		if run, err = r.again(ctx, s); run == nil {
			return reconcile.Result{}, err
		}
	}
	return reconcile.Result{RequeueAfter: time.Second}, nil
}

// tell puts up the verdict of a run that has failed, and lets the traffic of
// aborts go first.
func tell(ctx context.Context, r *Reconciler, s *session, run *v1alpha1.AnalysisRun, next step) {
	if v, owner := s.failed(run, next); v != nil {
		r.post(ctx, s, owner, *v)
	}
	if next.state.Phase == judge.Failed && r.Verdicts != nil {
		r.Verdicts.Yield(ctx)
	}
}

// again reads the run that we lost a race for. It returns nil when there is
// nothing left to do.
func (r *Reconciler) again(ctx context.Context, s *session) (*v1alpha1.AnalysisRun, error) {
	run := &v1alpha1.AnalysisRun{}
	if err := r.Live.Get(ctx, s.name, run); err != nil {
		if apierrors.IsNotFound(err) {
			r.sessions.end(s.name)
			return nil, nil
		}
		return nil, fmt.Errorf("get AnalysisRun %s: %w", s.name, err)
	}
	if run.UID != s.uid || run.Status.Phase.Completed() {
		r.sessions.end(s.name)
		return nil, nil
	}
	return run, nil
}

// after says when to look again. Answers wake a pass by themselves.
func (r *Reconciler) after(s *session, next step) reconcile.Result {
	if next.state.Phase.Completed() {
		r.sessions.end(s.name)
		return reconcile.Result{}
	}
	if next.plan.WakeAt.IsZero() {
		return reconcile.Result{}
	}
	// The margin keeps a timer that rings early from causing a pass for nothing.
	return reconcile.Result{RequeueAfter: max(next.plan.WakeAt.Sub(r.Clock.Now()), 0) + time.Millisecond}
}

// expire deletes a run that has ended once its time to live is over.
func (r *Reconciler) expire(ctx context.Context, run *v1alpha1.AnalysisRun) (reconcile.Result, error) {
	ttl := timeToLive(run)
	if ttl == nil || run.Status.CompletedAt == nil {
		return reconcile.Result{}, nil
	}
	left := run.Status.CompletedAt.Add(time.Duration(*ttl) * time.Second).Sub(r.Clock.Now())
	if left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	err := r.Client.Delete(ctx, run, client.Preconditions{UID: &run.UID}, client.PropagationPolicy("Background"))
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return reconcile.Result{}, fmt.Errorf("delete AnalysisRun %s/%s, whose ttlStrategy is over: %w", run.Namespace, run.Name, err)
	}
	return reconcile.Result{}, nil
}

// timeToLive is how many seconds run is kept after its end; nil means for ever.
func timeToLive(run *v1alpha1.AnalysisRun) *int32 {
	ttl := run.Spec.TTLStrategy
	if ttl == nil {
		return nil
	}
	specific := ttl.SecondsAfterFailure
	if run.Status.Phase == v1alpha1.AnalysisPhaseSuccessful {
		specific = ttl.SecondsAfterSuccess
	}
	if specific != nil {
		return specific
	}
	return ttl.SecondsAfterCompletion
}

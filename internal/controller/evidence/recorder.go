// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package evidence keeps a record of every attempt at a release that has ended:
// one ConfigMap beside the Rollout, written once, after the traffic has moved
// and from a queue of its own. What is in a record is package internal/evidence's
// business; nothing that decides about a release waits for this package.
package evidence

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/api/v1alpha1"
	record "sluice.dev/sluice/internal/evidence"
	"sluice.dev/sluice/internal/observe"
)

const (
	// settleTime is how long after its end an attempt is recorded: its traffic
	// has moved by then, and its runs have been told to stop.
	settleTime = 2 * time.Second
	// runPatience is how long the record waits for runs to end. One that does not
	// is recorded as it is.
	runPatience = time.Minute
	// standBack is when to look again while the traffic of aborts moves.
	standBack = 500 * time.Millisecond
	// forbiddenRetry is when to try again what the controller may not do.
	forbiddenRetry = 5 * time.Minute
)

// A Recorder records attempts.
type Recorder struct {
	// Cached reads what is watched; Client reads the rest and writes.
	Cached client.Reader
	Client client.Client
	Live   client.Reader
	Clock  clock.PassiveClock
	// Busy reports whether the traffic of aborts is being moved; the record
	// waits.
	Busy func() bool
	// Count asks how many events the queries of a metric have counted between two
	// times; nil asks nobody.
	Count func(ctx context.Context, run *v1alpha1.AnalysisRun, metric string, from, to time.Time) (map[string]float64, error)
	Limits
	// Exporter is given what was recorded; nil exports nothing.
	Exporter *Exporter

	memory memory
}

// Limits bound what is kept, and where.
type Limits struct {
	// History is how many records of a Rollout are kept.
	History int
	// MaxBytes is how large one may be.
	MaxBytes int
	// Namespace is the only one to look at; empty for all.
	Namespace string
	// Instance is the instance ID whose Rollouts are ours.
	Instance string
}

// Reconcile records what has ended of the Rollout that req names.
func (r *Recorder) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	ro := &v1alpha1.Rollout{}
	if err := r.Cached.Get(ctx, req.NamespacedName, ro); err != nil {
		if apierrors.IsNotFound(err) {
			r.memory.forget(req.NamespacedName)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("get Rollout %s: %w", req, err)
	}
	if len(attempts(ro)) == 0 || ro.DeletionTimestamp != nil || ro.Labels[v1alpha1.LabelControllerInstanceID] != r.Instance {
		return reconcile.Result{}, nil
	}
	o, err := r.objects(ctx, ro)
	if err != nil {
		return reconcile.Result{}, err
	}
	if r.Busy != nil && r.Busy() {
		return reconcile.Result{RequeueAfter: standBack}, nil
	}
	wait, err := r.all(ctx, o)
	if err != nil {
		return r.refused(ctx, err)
	}
	return reconcile.Result{RequeueAfter: wait}, nil
}

// all records what has ended, in order: while one waits, those after it do.
func (r *Recorder) all(ctx context.Context, o record.Objects) (wait time.Duration, err error) {
	if err := r.load(ctx); err != nil {
		return 0, err
	}
	all := attempts(o.Rollout)
	for i := range all {
		if !r.due(o.Rollout, &all[i]) || r.silent(o, &all[i]) {
			continue
		}
		if wait := r.early(o, &all[i]); wait > 0 {
			return wait, nil
		}
		if err := r.record(ctx, o, &all[i]); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// due reports whether an attempt is to be recorded. One without a revision
// number was replaced before it had a ReplicaSet: nothing happened in it.
func (r *Recorder) due(ro *v1alpha1.Rollout, a *v1alpha1.RolloutAttempt) bool {
	return a.EndedAt != nil && a.Revision > 0 && r.memory.due(ro.UID, a, r.History)
}

// silent reports whether an attempt has nothing to say beyond the Rollout's
// status: it was promoted, and nothing could judge it. One that is exported is
// recorded all the same.
func (r *Recorder) silent(o record.Objects, a *v1alpha1.RolloutAttempt) bool {
	return r.Exporter == nil && a.Outcome == v1alpha1.OutcomePromoted && !record.Gated(o.Rollout, o.Runs, a)
}

// early is how long to wait before an attempt that has ended is recorded.
func (r *Recorder) early(o record.Objects, a *v1alpha1.RolloutAttempt) time.Duration {
	age := r.Clock.Now().Sub(a.EndedAt.Time)
	if age < settleTime {
		return settleTime - age
	}
	for _, run := range record.RunsOf(o.Rollout, o.Runs, a) {
		if !run.Status.Phase.Completed() && age < runPatience {
			return settleTime
		}
	}
	return 0
}

// refused turns an error into the time of the next try. What the controller may
// not do does not change by trying soon.
func (r *Recorder) refused(ctx context.Context, err error) (reconcile.Result, error) {
	if !apierrors.IsForbidden(err) {
		return reconcile.Result{}, err
	}
	if r.memory.complain(r.Clock.Now(), forbiddenRetry) {
		ctrl.LoggerFrom(ctx).Error(err, "evidence is not kept: let the controller's role list, get, create, patch and delete configmaps, or set --evidence-history=0")
	}
	return reconcile.Result{RequeueAfter: forbiddenRetry}, nil
}

// objects are what the record of ro is made of, with the runs that were seen and
// are gone.
func (r *Recorder) objects(ctx context.Context, ro *v1alpha1.Rollout) (record.Objects, error) {
	o, runs, err := objects(ctx, r.Cached, ro)
	if err != nil {
		return o, err
	}
	o.Runs = r.memory.see(ro, runs)
	return o, nil
}

// objects are ro and its ReplicaSets, and apart from them its runs.
func objects(ctx context.Context, cached client.Reader, ro *v1alpha1.Rollout) (record.Objects, []v1alpha1.AnalysisRun, error) {
	owned := []client.ListOption{client.InNamespace(ro.Namespace), client.MatchingFields{observe.IndexOwner: string(ro.UID)}, client.UnsafeDisableDeepCopy}
	o := record.Objects{Rollout: ro}
	var runs v1alpha1.AnalysisRunList
	if err := cached.List(ctx, &runs, owned...); err != nil {
		return o, nil, fmt.Errorf("list the AnalysisRuns of Rollout %s/%s: %w", ro.Namespace, ro.Name, err)
	}
	var sets appsv1.ReplicaSetList
	if err := cached.List(ctx, &sets, owned...); err != nil {
		return o, nil, fmt.Errorf("list the ReplicaSets of Rollout %s/%s: %w", ro.Namespace, ro.Name, err)
	}
	for i := range sets.Items {
		o.ReplicaSets = append(o.ReplicaSets, &sets.Items[i])
	}
	return o, runs.Items, nil
}

// record records an attempt that has ended.
func (r *Recorder) record(ctx context.Context, o record.Objects, a *v1alpha1.RolloutAttempt) error {
	ro := o.Rollout
	rec := r.build(ctx, o, a)
	cm, err := record.ToConfigMap(&rec, r.MaxBytes)
	if err != nil {
		return err //nolint:wrapcheck // it says what of which Rollout
	}
	cm.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "Rollout", Name: ro.Name, UID: ro.UID,
	}}
	if err := r.create(ctx, cm); err != nil {
		return err
	}
	ctrl.LoggerFrom(ctx).Info("evidence recorded", "attempt", rec.Name(), "outcome", rec.Outcome, "configmap", cm.Name)
	kept, err := record.KeptOf(&cm.ObjectMeta)
	if err != nil {
		return err //nolint:wrapcheck // it says which ConfigMap
	}
	old := r.memory.keep(ro.UID, kept, r.History)
	if r.Exporter != nil {
		r.Exporter.add(client.ObjectKeyFromObject(cm), record.RunsOf(ro, o.Runs, a))
	}
	return r.prune(ctx, ro, old)
}

// build makes the record of a, with the requests that its canary served, if they
// can be counted: that takes one query.
func (r *Recorder) build(ctx context.Context, o record.Objects, a *v1alpha1.RolloutAttempt) record.Record {
	now := r.Clock.Now()
	rec := record.Build(o, a, now)
	countable := record.CountableOf(&rec)
	if r.Count == nil || len(countable) == 0 {
		return rec
	}
	c := countable[0]
	i := slices.IndexFunc(o.Runs, func(run *v1alpha1.AnalysisRun) bool { return run.Name == c.Run })
	if i < 0 {
		return rec
	}
	total := record.Total{Countable: c, From: a.StartedAt.Time, To: now}
	var err error
	if total.Counts, err = r.Count(ctx, o.Runs[i], c.Metric, total.From, total.To); err != nil {
		total.Problem = err.Error()
	}
	o.Totals = []record.Total{total}
	return record.Build(o, a, now)
}

// create writes cm. One of the same Rollout that is there is left as it is: it
// was written before, by us. One of an earlier Rollout of the same name is in
// the way, and is about to be deleted along with it.
func (r *Recorder) create(ctx context.Context, cm client.Object) error {
	err := r.Client.Create(ctx, cm)
	if err == nil || !apierrors.IsAlreadyExists(err) {
		if err != nil {
			return fmt.Errorf("keep the evidence of %s in ConfigMap %s/%s: %w", cm.GetOwnerReferences()[0].Name, cm.GetNamespace(), cm.GetName(), err)
		}
		return nil
	}
	there := &metav1.PartialObjectMetadata{}
	there.SetGroupVersionKind(configMaps)
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(cm), there); err != nil {
		return fmt.Errorf("read ConfigMap %s/%s, which is in the way: %w", cm.GetNamespace(), cm.GetName(), err)
	}
	if there.Labels[record.LabelOf] == cm.GetLabels()[record.LabelOf] {
		return nil
	}
	return fmt.Errorf("ConfigMap %s/%s is in the way and is not evidence of this Rollout: rename or delete it, and the evidence is kept", cm.GetNamespace(), cm.GetName())
}

// prune deletes records beyond the history.
func (r *Recorder) prune(ctx context.Context, ro *v1alpha1.Rollout, old []record.Kept) error {
	for _, k := range old {
		gone := &metav1.PartialObjectMetadata{}
		gone.SetGroupVersionKind(configMaps)
		gone.SetNamespace(ro.Namespace)
		gone.SetName(k.Name)
		if err := r.Client.Delete(ctx, gone); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete ConfigMap %s/%s, which is beyond --evidence-history: %w", ro.Namespace, k.Name, err)
		}
	}
	return nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apply carries out a rollout's Plan: first the status, as the fence,
// then the rest; of an abort, first the traffic. Every write carries the
// resourceVersion that was observed, so that a decision made on a stale look
// changes nothing. It decides nothing.
package apply

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/codec"
	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/rollout"
)

// An Applier carries out Plans.
type Applier struct {
	// Client writes; its reads are not used.
	Client client.Client
	// Live reads what a refused abort needs to know.
	Live client.Reader
	// Routes writes router objects.
	Routes *observe.RouteReader
	Events events.EventRecorder
	// Overlay is told what was written; Clock dates it.
	Overlay *observe.Overlay
	Clock   clock.PassiveClock
	// Refusals is told which evictions were refused.
	Refusals *observe.Refusals

	// Wanted says whether anybody wants to be told that reason happened to ro.
	// It is nil when nobody is told anything.
	Wanted func(ro *v1alpha1.Rollout, reason string) bool

	settler settler
}

// Commit stores the plan's status if it says something new, and proves that
// the Rollout is as observed before anything that raises the canary's share or
// evicts a pod.
// A conflict means: observe again.
func (a *Applier) Commit(ctx context.Context, w *observe.World, plan *rollout.Plan) error {
	changed := *w.Rollout // nothing but the status is written below
	next := &changed
	next.Status = *w.Rollout.Status.DeepCopy()
	codec.SetStatus(next, plan.Status, &w.Snapshot)
	notices(a, w, next, plan)
	if equality.Semantic.DeepEqual(&next.Status, &w.Rollout.Status) && !fenced(w, plan) {
		return nil
	}
	if countsOnly(&w.Rollout.Status, &next.Status) && !fenced(w, plan) {
		if due := a.settler.due(next.UID, w.Snapshot.Now); !due.IsZero() {
			plan.Wake(due)
			return nil
		}
	}
	codec.Chronicle(next, plan, &w.Snapshot, w.Moved)
	began := a.Clock.Now()
	if err := store(ctx, a.Client, w.Rollout, next); err != nil {
		return fmt.Errorf("commit the status of Rollout %s/%s: %w", next.Namespace, next.Name, err)
	}
	now := a.Clock.Now()
	a.Overlay.Changed(next, w.Rollout.ResourceVersion, now)
	a.settler.wrote(next.UID, w.Snapshot.Now, now.Sub(began))
	w.Rollout = next
	return nil
}

// fenced reports whether plan may be carried out only by who knows the newest
// Rollout: it gives traffic to somebody who has none, or takes pods away.
func fenced(w *observe.World, plan *rollout.Plan) bool {
	if len(plan.Evict) > 0 || plan.Services != (rollout.Services{}) {
		return true
	}
	return plan.Weights != nil && w.Snapshot.Router != nil && plan.Weights.Canary > w.Snapshot.Router.Weights.Canary
}

// Recommit stores an abort again after a conflict, on a live read, if the
// Rollout is still at the aborted revision. It reports whether it still is.
func (a *Applier) Recommit(ctx context.Context, w *observe.World, plan *rollout.Plan) (same bool, err error) {
	live := &v1alpha1.Rollout{}
	if err := a.Live.Get(ctx, client.ObjectKeyFromObject(w.Rollout), live); err != nil {
		return !apierrors.IsNotFound(err), fmt.Errorf("read Rollout %s/%s after a conflict: %w", w.Rollout.Namespace, w.Rollout.Name, err)
	}
	if live.UID != w.Rollout.UID || live.Status.CurrentPodHash != string(plan.Status.Current) {
		return false, nil
	}
	if attempt(live) != plan.Status.Attempt {
		return false, nil
	}
	before := w.Rollout
	// What was decided is decided on the generation that was observed. A spec
	// that came meanwhile is still to be looked at, and must not count as seen.
	live.Generation = before.Generation
	w.Rollout = live
	if err := a.Commit(ctx, w, plan); err != nil {
		w.Rollout = before
		return true, err
	}
	return true, nil
}

func attempt(ro *v1alpha1.Rollout) int32 {
	if ro.Status.Sluice == nil {
		return 0
	}
	return ro.Status.Sluice.Attempt
}

// announce sends the plan's events.
func announce(a *Applier, w *observe.World, plan *rollout.Plan) {
	for _, e := range plan.Events {
		kind := corev1.EventTypeNormal
		if e.Warning {
			kind = corev1.EventTypeWarning
		}
		a.event(w, kind, e.Reason, e.Message)
	}
}

// Complain tells the people who look at the Rollout what could not be written:
// its status may be what could not.
func (a *Applier) Complain(w *observe.World, err error) {
	a.event(w, corev1.EventTypeWarning, v1alpha1.EventReconciliationError, err.Error())
}

// event sends one event about the Rollout.
func (a *Applier) event(w *observe.World, kind, reason, message string) {
	if a.Events != nil {
		a.Events.Eventf(w.Rollout, nil, kind, reason, reason, "%s", codec.Clip(message))
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package outbox runs the loop that tells people what is in the outboxes of
// Rollouts. What is due, in which order and for how long is decided in
// internal/outbox; who is told what, in internal/notify.
//
// A message is sent first and recorded then, so a crash between the two sends it
// again: services that can tell open nothing twice.
package outbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	core "sluice.dev/sluice/internal/outbox"
)

// A SecretReader reads the data of a Secret.
type SecretReader func(ctx context.Context, namespace, name string) (map[string][]byte, error)

// Evidence gathers what goes with a notice: for an abort, why.
type Evidence func(ctx context.Context, ro *v1alpha1.Rollout, n v1alpha1.Notice) ([]notify.File, error)

// Options are the choices of a Reconciler.
type Options struct {
	// MaxAge is how long a notice is tried to be told.
	MaxAge time.Duration
	// Random returns numbers from 0 to 1.
	Random func() float64
	// Evidence goes with aborts, beside the AnalysisRun that decided; nil adds
	// nothing.
	Evidence Evidence
	// Revert makes the reverts that Rollouts ask for.
	Revert Revert
	// Busy reports whether aborts are moving traffic, which goes first. It may
	// be nil.
	Busy func() bool
	// Instance is the instance ID whose objects are ours.
	Instance string
}

// A Reconciler empties outboxes.
type Reconciler struct {
	Cached  client.Reader
	Live    client.Reader
	Client  client.Client
	Secrets SecretReader
	Book    *Book
	Events  events.EventRecorder
	Clock   clock.PassiveClock
	Options

	mu     sync.Mutex
	memory map[types.NamespacedName]*memory
}

// A memory is what is known of a Rollout's deliveries and not stored.
type memory struct {
	uid   types.UID
	tries map[string]core.Try
	// certain are lanes whose last failure left no doubt that nothing arrived.
	certain map[string]bool
	// unsaved is what is to be recorded.
	unsaved []func(*v1alpha1.Outbox)
	// told are the problems that people were told.
	told map[string]bool
}

// Setup adds the controller to mgr.
func (r *Reconciler) Setup(mgr ctrl.Manager, threads int) error {
	waits := predicate.NewPredicateFuncs(func(obj client.Object) bool {
		ro, ok := obj.(*v1alpha1.Rollout)
		return ok && pending(ro)
	})
	err := ctrl.NewControllerManagedBy(mgr).
		Named("outbox").
		For(&v1alpha1.Rollout{}).
		WithEventFilter(waits).
		WithOptions(controller.Options{MaxConcurrentReconciles: threads}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the outbox controller: %w", err)
	}
	return nil
}

func pending(ro *v1alpha1.Rollout) bool {
	return ro.Status.Sluice != nil && ro.Status.Sluice.Outbox != nil && len(ro.Status.Sluice.Outbox.Notices) > 0
}

const (
	// standBack is when it is tried again while aborts move traffic.
	standBack = 25 * time.Millisecond
	// unknown is when it is tried again while the configuration is not known.
	unknown = time.Second
	// maxRounds is how many rounds of messages one pass sends.
	maxRounds = 100
)

// Reconcile tells what waits in the outbox of the Rollout that req names.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	ro := &v1alpha1.Rollout{}
	if err := r.Live.Get(ctx, req.NamespacedName, ro); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("read Rollout %s: %w", req, err)
	}
	if !pending(ro) || ro.Labels[v1alpha1.LabelControllerInstanceID] != r.Instance {
		r.forget(req.NamespacedName)
		return reconcile.Result{}, nil
	}
	if r.Busy != nil && r.Busy() {
		return reconcile.Result{RequeueAfter: standBack}, nil
	}
	configs, ok := r.Book.For(ro.Namespace)
	if !ok {
		return reconcile.Result{RequeueAfter: unknown}, nil
	}
	return r.empty(ctx, &pass{Reconciler: r, ro: ro, configs: configs, memory: r.remember(req.NamespacedName, ro.UID)})
}

// empty sends what is due until nothing is.
func (r *Reconciler) empty(ctx context.Context, p *pass) (reconcile.Result, error) {
	for range maxRounds {
		wake, err := p.round(ctx)
		if err != nil || !wake.IsZero() {
			return after(r.Clock.Now(), wake), err
		}
		if !pending(p.ro) {
			r.forget(client.ObjectKeyFromObject(p.ro))
			return reconcile.Result{}, nil
		}
	}
	return reconcile.Result{RequeueAfter: standBack}, nil
}

func after(now, wake time.Time) reconcile.Result {
	if wake.IsZero() {
		return reconcile.Result{}
	}
	return reconcile.Result{RequeueAfter: max(wake.Sub(now), 0) + 2*time.Millisecond}
}

func (r *Reconciler) remember(name types.NamespacedName, uid types.UID) *memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memory == nil {
		r.memory = map[types.NamespacedName]*memory{}
	}
	m := r.memory[name]
	if m == nil || m.uid != uid {
		m = &memory{uid: uid, tries: map[string]core.Try{}, certain: map[string]bool{}, told: map[string]bool{}}
		r.memory[name] = m
	}
	return m
}

func (r *Reconciler) forget(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.memory, name)
}

// record stores what is unsaved, on the newest version of the Rollout.
func (p *pass) record(ctx context.Context) error {
	const tries = 10
	var err error
	for range tries {
		next := p.ro.DeepCopy()
		box := next.Status.Sluice.Outbox
		for _, change := range p.memory.unsaved {
			change(box)
		}
		core.Settle(box, plain(p.deliveries(ctx, next)), next.Status.CurrentPodHash)
		patch := client.MergeFromWithOptions(p.ro, client.MergeFromWithOptimisticLock{})
		if err = p.Client.Status().Patch(ctx, next, patch); err == nil {
			p.ro, p.memory.unsaved = next, nil
			return nil
		}
		if !apierrors.IsConflict(err) {
			break
		}
		live := &v1alpha1.Rollout{}
		if err := p.Live.Get(ctx, client.ObjectKeyFromObject(p.ro), live); err != nil {
			return fmt.Errorf("read Rollout %s/%s again: %w", p.ro.Namespace, p.ro.Name, err)
		}
		if live.UID != p.ro.UID || live.Status.Sluice == nil || live.Status.Sluice.Outbox == nil {
			return fmt.Errorf("the outbox of Rollout %s/%s is gone", p.ro.Namespace, p.ro.Name)
		}
		p.ro = live
	}
	return fmt.Errorf("record in Rollout %s/%s what was sent: %w", p.ro.Namespace, p.ro.Name, err)
}

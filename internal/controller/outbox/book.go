// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
)

// A Book holds the notification ConfigMaps as they are now: the one in the
// controller's namespace, and with self-service those of the Rollouts' own.
type Book struct {
	// Namespace is the controller's.
	Namespace string
	// SelfService says that a Rollout's namespace may have a ConfigMap too.
	SelfService bool
	Kinds       []notify.Kind
	Events      events.EventRecorder
	Clock       clock.PassiveClock

	mu     sync.RWMutex
	books  map[string]*notify.Config
	synced func() bool
	began  time.Time
}

// Watch follows the ConfigMaps. It has a cache of its own: a right that is
// missing here must not keep the controller from its work. namespace is the only
// one that is watched, empty for all.
func (b *Book) Watch(ctx context.Context, mgr ctrl.Manager, namespace string) error {
	name := cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", notify.ConfigMapName)}
	switch {
	case !b.SelfService:
		name.Namespaces = map[string]cache.Config{b.Namespace: {}}
	case namespace != "":
		name.Namespaces = map[string]cache.Config{b.Namespace: {}, namespace: {}}
	}
	c, err := cache.New(mgr.GetConfig(), cache.Options{Scheme: mgr.GetScheme(), ByObject: map[client.Object]cache.ByObject{&corev1.ConfigMap{}: name}})
	if err != nil {
		return fmt.Errorf("watch notification ConfigMaps: %w", err)
	}
	informer, err := c.GetInformer(ctx, &corev1.ConfigMap{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch notification ConfigMaps: %w", err)
	}
	handler, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { b.read(obj) },
		UpdateFunc: func(_, obj any) { b.read(obj) },
		DeleteFunc: func(obj any) { b.forget(obj) },
	})
	if err != nil {
		return fmt.Errorf("watch notification ConfigMaps: %w", err)
	}
	b.synced, b.began = handler.HasSynced, b.Clock.Now()
	if err := mgr.Add(c); err != nil {
		return fmt.Errorf("watch notification ConfigMaps: %w", err)
	}
	return nil
}

// read takes in a ConfigMap, and says what is wrong in it.
func (b *Book) read(obj any) {
	cm, ok := obj.(*corev1.ConfigMap)
	if !ok {
		return
	}
	config := notify.Parse(cm.Namespace, cm.Data, b.Kinds)
	b.mu.Lock()
	was := b.books[cm.Namespace]
	if b.books == nil {
		b.books = map[string]*notify.Config{}
	}
	b.books[cm.Namespace] = config
	b.mu.Unlock()
	known := map[notify.Problem]bool{}
	if was != nil {
		for _, p := range was.Problems {
			known[p] = true
		}
	}
	for _, p := range config.Problems {
		if known[p] {
			continue
		}
		ctrl.Log.WithName("notifications").Error(errors.New(p.Text), "part of a notification ConfigMap is not used", "configMap", p.ConfigMap, "key", p.Key, "line", p.Line)
		if b.Events != nil {
			b.Events.Eventf(cm, nil, corev1.EventTypeWarning, "NotificationConfigInvalid", "Read", "%s", p.String())
		}
	}
}

func (b *Book) forget(obj any) {
	if gone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	if cm, ok := obj.(*corev1.ConfigMap); ok {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.books, cm.Namespace)
	}
}

// For returns the configurations that a Rollout in namespace goes by: its own
// first, then the controller's. ok is false when they are not known yet.
func (b *Book) For(namespace string) (configs []*notify.Config, ok bool) {
	if b.synced != nil && !b.synced() {
		return nil, false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if c := b.books[namespace]; c != nil && b.SelfService && namespace != b.Namespace {
		configs = append(configs, c)
	}
	if c := b.books[b.Namespace]; c != nil {
		configs = append(configs, c)
	}
	return configs, true
}

// patient is how long everything is kept for ConfigMaps that are not read yet.
const patient = time.Minute

// Wanted reports whether anybody wants to be told that reason happened to ro.
// While the ConfigMaps are being read everything is wanted; when they cannot be,
// what an annotation of the Rollout's asks for.
func (b *Book) Wanted(ro *v1alpha1.Rollout, reason string) bool {
	if reverts(ro, reason) {
		return true
	}
	configs, ok := b.For(ro.Namespace)
	if ok {
		return notify.Wanted(configs, ro.Labels, ro.Annotations, reason)
	}
	return b.Clock.Since(b.began) < patient || notify.Subscribes(ro.Annotations)
}

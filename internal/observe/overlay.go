// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// overlayAge is how long an answer stands in for what the cache has not shown
// yet. A watch that is behind for longer is believed again.
const overlayAge = 30 * time.Second

// An Overlay lets a pass read what an earlier pass wrote. A watch shows a write
// some milliseconds after it was answered; a pass in between would decide on
// the state before it, and its writes would be refused as stale. The overlay
// holds the answers to writes until the cache has them. It is a shortcut:
// losing it costs a conflict, and never makes anything newer look older.
type Overlay struct {
	mu       sync.Mutex
	answers  map[types.UID]*answer
	children map[types.UID][]types.UID // by owner
}

// An answer is the newest state of an object that a write of ours led to, and
// the versions that it is known to follow.
type answer struct {
	obj     client.Object
	follows map[string]bool
	owner   types.UID
	at      time.Time
}

// NewOverlay returns an empty Overlay.
func NewOverlay() *Overlay {
	return &Overlay{answers: map[types.UID]*answer{}, children: map[types.UID][]types.UID{}}
}

// Changed records that a write turned version base of an object into obj.
func (o *Overlay) Changed(obj client.Object, base string, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.answers[obj.GetUID()]
	next := &answer{obj: obj, follows: map[string]bool{base: true}, at: now}
	if was != nil {
		next.owner = was.owner
		if was.obj.GetResourceVersion() == base {
			maps.Copy(next.follows, was.follows)
		}
	}
	o.answers[obj.GetUID()] = next
}

// Created records that a write made obj, which owner controls.
func (o *Overlay) Created(obj client.Object, owner types.UID, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers[obj.GetUID()] = &answer{obj: obj, owner: owner, at: now}
	o.children[owner] = append(o.children[owner], obj.GetUID())
}

// Forget drops what is known of an object, such as one that was deleted.
func (o *Overlay) Forget(uid types.UID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(uid)
}

func (o *Overlay) drop(uid types.UID) {
	a := o.answers[uid]
	if a == nil {
		return
	}
	delete(o.answers, uid)
	if a.owner == "" {
		return
	}
	rest := slices.DeleteFunc(o.children[a.owner], func(u types.UID) bool { return u == uid })
	if len(rest) == 0 {
		delete(o.children, a.owner)
		return
	}
	o.children[a.owner] = rest
}

// newer returns what is known to follow the cached object, or the cached
// object itself.
func newer[T client.Object](o *Overlay, cached T, now time.Time) T {
	if o == nil {
		return cached
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.answers[cached.GetUID()]
	if a == nil {
		return cached
	}
	obj, ok := a.obj.(T)
	if !ok || !a.follows[cached.GetResourceVersion()] || now.Sub(a.at) > overlayAge {
		o.drop(cached.GetUID())
		return cached
	}
	return obj
}

// unseen returns what owner has made and the cache does not show yet.
func unseen[T client.Object](o *Overlay, owner types.UID, seen map[types.UID]bool, now time.Time) []T {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []T
	for _, uid := range slices.Clone(o.children[owner]) {
		a := o.answers[uid]
		if a == nil {
			continue
		}
		obj, ok := a.obj.(T)
		switch {
		case !ok:
		case seen[uid]:
			a.owner = ""
			o.children[owner] = slices.DeleteFunc(o.children[owner], func(u types.UID) bool { return u == uid })
		case now.Sub(a.at) > overlayAge:
			o.drop(uid)
		default:
			out = append(out, obj)
		}
	}
	return out
}

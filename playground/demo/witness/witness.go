// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package witness follows one Rollout and what belongs to it, remembers what
// passed by, and waits for things to happen. It changes nothing.
package witness

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/view"
)

// A State is what the Rollout was like from one moment on.
type State struct {
	At      time.Time
	Phase   v1alpha1.RolloutPhase
	Message string
	// Step is the index of the current step.
	Step int32
	// Hash is the newest revision, Stable the stable one.
	Hash, Stable string
	Aborted      bool
}

// A Reading is one measurement, as soon as it was seen.
type Reading struct {
	Seen time.Time
	// Run is the AnalysisRun's name, Kind its rollout-type label and Hash its
	// revision.
	Run, Kind, Hash string
	Metric          string
	v1alpha1.Measurement
}

// A Witness follows a Rollout. It is safe for concurrent use.
type Witness struct {
	namespace, name string

	mu       sync.Mutex
	objects  map[key]client.Object
	states   []State
	readings []Reading
	counted  map[string]int32 // measurements seen, by run and metric
	runs     map[string]*v1alpha1.AnalysisRun
	ends     map[string]uint64 // resourceVersion at which a run was over
	changed  chan struct{}
}

// key identifies an object.
type key struct{ kind, name string }

// New returns a Witness that has seen nothing.
func New(namespace, name string) *Witness {
	return &Witness{
		namespace: namespace, name: name,
		objects: map[key]client.Object{},
		counted: map[string]int32{},
		runs:    map[string]*v1alpha1.AnalysisRun{},
		ends:    map[string]uint64{},
		changed: make(chan struct{}),
	}
}

// Follow watches the namespace until ctx ends. It returns when everything there
// is has been seen.
func (w *Witness) Follow(ctx context.Context, config *rest.Config) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("make the witness's scheme: %w", err)
		}
	}
	c, err := cache.New(config, cache.Options{
		Scheme: scheme, DefaultNamespaces: map[string]cache.Config{w.namespace: {}},
	})
	if err != nil {
		return fmt.Errorf("make the witness's cache: %w", err)
	}
	go func() { _ = c.Start(ctx) }()
	for _, o := range []client.Object{&v1alpha1.Rollout{}, &v1alpha1.AnalysisRun{}, &appsv1.ReplicaSet{}, &corev1.Pod{}} {
		i, err := c.GetInformer(ctx, o)
		if err != nil {
			return fmt.Errorf("watch %T: %w", o, err)
		}
		reg, err := i.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { w.See(o, false) },
			UpdateFunc: func(_, o any) { w.See(o, false) },
			DeleteFunc: func(o any) { w.See(o, true) },
		})
		if err != nil {
			return fmt.Errorf("watch %T: %w", o, err)
		}
		if !toolscache.WaitForCacheSync(ctx.Done(), reg.HasSynced) {
			return fmt.Errorf("read the namespace %s: %w", w.namespace, context.Cause(ctx))
		}
	}
	return nil
}

// See takes in an object that is new, has changed or is gone.
func (w *Witness) See(obj any, gone bool) {
	if last, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = last.Obj
	}
	o, ok := obj.(client.Object)
	if !ok {
		return
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	k := key{fmt.Sprintf("%T", o), o.GetName()}
	if gone {
		delete(w.objects, k)
	} else {
		w.objects[k] = o
		w.remember(o, now)
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// remember notes what is new about o. The lock is held.
func (w *Witness) remember(o client.Object, now time.Time) {
	switch o := o.(type) {
	case *v1alpha1.Rollout:
		if o.Name == w.name {
			w.rememberState(o, now)
		}
	case *v1alpha1.AnalysisRun:
		w.runs[o.Name] = o
		if n, err := strconv.ParseUint(o.ResourceVersion, 10, 64); err == nil && o.Status.Phase.Completed() && w.ends[o.Name] == 0 {
			w.ends[o.Name] = n
		}
		for i := range o.Status.MetricResults {
			w.rememberReadings(o, &o.Status.MetricResults[i], now)
		}
	}
}

func (w *Witness) rememberState(ro *v1alpha1.Rollout, now time.Time) {
	s := State{
		At: now, Phase: ro.Status.Phase, Message: ro.Status.Message,
		Hash: ro.Status.CurrentPodHash, Stable: ro.Status.StableRS, Aborted: ro.Status.Abort,
	}
	if i := ro.Status.CurrentStepIndex; i != nil {
		s.Step = *i
	}
	if n := len(w.states); n > 0 {
		last := w.states[n-1]
		last.At = now
		if last == s {
			return
		}
	}
	w.states = append(w.states, s)
}

// rememberReadings notes the measurements of a metric that were not seen yet.
// The run keeps only the last few, but its counters count all.
func (w *Witness) rememberReadings(run *v1alpha1.AnalysisRun, r *v1alpha1.MetricResult, now time.Time) {
	id := run.Name + "/" + r.Name
	total := r.Count + r.Error
	fresh := int(total - w.counted[id])
	w.counted[id] = total
	done := slices.DeleteFunc(slices.Clone(r.Measurements), func(m v1alpha1.Measurement) bool { return !m.Phase.Completed() })
	for _, m := range done[max(0, len(done)-max(fresh, 0)):] {
		w.readings = append(w.readings, Reading{
			Seen: now, Run: run.Name, Metric: r.Name, Measurement: m,
			Kind: run.Labels[v1alpha1.LabelRolloutType], Hash: run.Labels[v1alpha1.LabelPodTemplateHash],
		})
	}
}

// Rollout is the Rollout as it was seen last, nil before it was. It must not be
// changed.
func (w *Witness) Rollout() *v1alpha1.Rollout {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rollout()
}

func (w *Witness) rollout() *v1alpha1.Rollout {
	ro, _ := w.objects[key{fmt.Sprintf("%T", &v1alpha1.Rollout{}), w.name}].(*v1alpha1.Rollout)
	return ro
}

// Objects is everything there is, for package view. The Rollout is nil before it
// was seen.
func (w *Witness) Objects() view.Objects {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := view.Objects{Rollout: w.rollout()}
	for _, o := range w.objects {
		switch o := o.(type) {
		case *appsv1.ReplicaSet:
			out.ReplicaSets = append(out.ReplicaSets, *o)
		case *corev1.Pod:
			out.Pods = append(out.Pods, *o)
		case *v1alpha1.AnalysisRun:
			out.AnalysisRuns = append(out.AnalysisRuns, *o)
		}
	}
	return out
}

// States is what the Rollout was like since the moment, oldest first.
func (w *Witness) States(since time.Time) []State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.states), func(s State) bool { return s.At.Before(since) })
}

// Readings are the measurements seen since the moment, oldest first.
func (w *Witness) Readings(since time.Time) []Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.readings), func(r Reading) bool { return r.Seen.Before(since) })
}

// Runs are the AnalysisRuns of a revision as they were seen last, by name, also
// those that are gone. They must not be changed.
func (w *Witness) Runs(hash string) []*v1alpha1.AnalysisRun {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []*v1alpha1.AnalysisRun
	for _, r := range w.runs {
		if r.Labels[v1alpha1.LabelPodTemplateHash] == hash {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *v1alpha1.AnalysisRun) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Run is the AnalysisRun of a name as it was seen last, nil if it never was.
func (w *Witness) Run(name string) *v1alpha1.AnalysisRun {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.runs[name]
}

// Ended is the resourceVersion with which a run was over, which orders that
// among the changes of all objects; 0 when it was not seen.
func (w *Witness) Ended(run string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ends[run]
}

// Changed returns a channel that is closed at the next change.
func (w *Witness) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// A TimeoutError says that something did not happen in time.
type TimeoutError struct {
	// What should have happened, and Limit how long it was waited for.
	What  string
	Limit time.Duration
	// Instead is what the Rollout was like.
	Instead string
}

// Error says what did not happen.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("after %s it was still not seen that %s; %s", e.Limit, e.What, e.Instead)
}

// Await waits until ok holds, for at most limit. What says what ok is about.
func (w *Witness) Await(ctx context.Context, what string, limit time.Duration, ok func() bool) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	// What is waited for may be outside Kubernetes, so look now and then.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		changed := w.Changed()
		if ok() {
			return nil
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-timer.C:
			return &TimeoutError{What: what, Limit: limit, Instead: sketch(w.Rollout())}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sketch says in one line what a Rollout is like.
func sketch(ro *v1alpha1.Rollout) string {
	if ro == nil {
		return "there is no Rollout"
	}
	s := fmt.Sprintf("the Rollout is %q", ro.Status.Phase)
	if ro.Status.Message != "" {
		s += fmt.Sprintf(" (%s)", ro.Status.Message)
	}
	if i := ro.Status.CurrentStepIndex; i != nil {
		s += fmt.Sprintf(" at step %d", *i)
	}
	return s
}

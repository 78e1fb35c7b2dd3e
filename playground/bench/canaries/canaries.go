// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package canaries measures what many canaries at once cost: time, the
// controller's CPU time and memory, and requests to the API server; and what it
// asks for when nothing happens.
package canaries

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/playground/bench/audit"
	"sluice.dev/sluice/playground/bench/rig"
)

// manifest is one of the Rollouts; what is missing is its name.
const manifest = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: %[1]s, namespace: bench}
spec:
  replicas: 2
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers: [{name: app, image: "registry.internal/app:1"}]
  strategy:
    canary:
      steps:
        - setWeight: 20
        - pause: {duration: 1}
        - setWeight: 60
`

const change = `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.internal/app:2"}]}}}}`

const (
	// writers is how many Rollouts are created or changed at the same time.
	writers = 16
	// tail is how long requests and CPU time are counted after the last canary
	// is Healthy: what comes late was caused by the canaries too.
	tail = 3 * time.Second
	// patience bounds a wait, for controllers that do not get there.
	patience = 15 * time.Minute
)

// A Cost is what N canaries cost.
type Cost struct {
	N int
	// Wall is the time from the first change to the last Healthy.
	Wall time.Duration
	// CPU is the controller's from the first change until nothing follows.
	CPU time.Duration
	// Peak is the most memory that the controller had since it started, Memory
	// what it has at the end, in MB.
	Peak, Memory float64
	Tally        audit.Tally
}

// An Idle is what a controller asks for while nothing happens.
type Idle struct {
	N     int
	For   time.Duration
	CPU   time.Duration
	Tally audit.Tally
}

// A Run is one contender on one rig.
type Run struct {
	Rig     *rig.Rig
	Process *rig.Process
	N       int
	// Profile is called when the canaries begin, if it is set, and its result
	// when they are over.
	Profile func(ctx context.Context) (stop func() error)
}

// Prepare creates the Rollouts and waits until their first revisions are
// Healthy.
func (r *Run) Prepare(ctx context.Context) error {
	f, err := follow(ctx, r.Rig.Client)
	if err != nil {
		return err
	}
	defer f.stop()
	err = r.each(func(name string) error {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(fmt.Appendf(nil, manifest, name), &obj.Object); err != nil {
			return fmt.Errorf("read the manifest: %w", err)
		}
		return r.Rig.Client.Create(ctx, obj)
	})
	if err != nil {
		return fmt.Errorf("create %d Rollouts: %w", r.N, err)
	}
	if _, err = f.until(ctx, r, nil); err != nil {
		return fmt.Errorf("wait for the first revisions: %w", err)
	}
	return rig.Pause(ctx, tail)
}

// Measure changes all templates and waits until all new revisions are Healthy.
func (r *Run) Measure(ctx context.Context) (*Cost, error) {
	f, err := follow(ctx, r.Rig.Client)
	if err != nil {
		return nil, err
	}
	defer f.stop()
	before, err := f.until(ctx, r, nil)
	if err != nil {
		return nil, fmt.Errorf("read the first revisions: %w", err)
	}
	stop := func() error { return nil }
	if r.Profile != nil {
		stop = r.Profile(ctx)
	}
	cpu, err := r.Process.CPU()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	err = r.each(func(name string) error {
		obj := &unstructured.Unstructured{}
		obj.SetAPIVersion("argoproj.io/v1alpha1")
		obj.SetKind("Rollout")
		obj.SetNamespace(rig.Namespace)
		obj.SetName(name)
		return r.Rig.Client.Patch(ctx, obj, client.RawPatch(types.MergePatchType, []byte(change)))
	})
	if err != nil {
		return nil, fmt.Errorf("change %d templates: %w", r.N, err)
	}
	if _, err := f.until(ctx, r, before); err != nil {
		return nil, fmt.Errorf("wait for the new revisions: %w", err)
	}
	c := &Cost{N: r.N, Wall: time.Since(began)}
	return c, errors.Join(r.finish(ctx, c, began, cpu), stop())
}

// finish fills in what is known only when nothing follows.
func (r *Run) finish(ctx context.Context, c *Cost, began time.Time, before time.Duration) error {
	if err := rig.Pause(ctx, tail); err != nil {
		return err
	}
	after, err := r.Process.CPU()
	if err != nil {
		return err
	}
	c.CPU = after - before
	if c.Memory, c.Peak, err = r.Process.Memory(); err != nil {
		return err
	}
	entries, err := audit.Read(r.Rig.Cluster.AuditLog(), rig.User, began)
	if err != nil {
		return err
	}
	c.Tally = audit.Count(entries)
	return nil
}

// Idle counts what the controller asks for during a time in which nothing
// happens.
func (r *Run) Idle(ctx context.Context, d time.Duration) (*Idle, error) {
	before, err := r.Process.CPU()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := rig.Pause(ctx, d); err != nil {
		return nil, err
	}
	after, err := r.Process.CPU()
	if err != nil {
		return nil, err
	}
	entries, err := audit.Read(r.Rig.Cluster.AuditLog(), rig.User, began)
	if err != nil {
		return nil, err
	}
	return &Idle{N: r.N, For: d, CPU: after - before, Tally: audit.Count(entries)}, nil
}

// each calls do for every Rollout's name, some at the same time.
func (r *Run) each(do func(name string) error) error {
	names := make(chan string)
	errs := make(chan error, writers)
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			var failed error
			for name := range names {
				if failed == nil {
					failed = do(name)
				}
			}
			errs <- failed
		})
	}
	for i := range r.N {
		names <- fmt.Sprintf("app-%03d", i)
	}
	close(names)
	all.Wait()
	close(errs)
	var joined error
	for err := range errs {
		joined = errors.Join(joined, err)
	}
	return joined
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kill

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
)

// outage is how long the API server is away: longer than a leader tries to
// renew its lease, so that the controller ends and has to be started again.
const outage = 30 * time.Second

// supervise keeps the controller running, as a Deployment does, and returns how
// often it had to start it.
func supervise(ctx context.Context, b *bed.Bed, log string) func() int {
	b.Helper()
	var mu sync.Mutex
	starts := 0
	p := b.Process(log)
	go func() {
		for backoff := time.Second; ; backoff *= 2 {
			mu.Lock()
			starts++
			mu.Unlock()
			select {
			case <-ctx.Done():
				return
			case <-p.Ended():
			}
			wait(ctx, backoff)
			if ctx.Err() != nil {
				return
			}
			p = b.Process(log)
		}
	}()
	return func() int { mu.Lock(); defer mu.Unlock(); return starts }
}

// at waits until a release has come to a step and, from there on, ok.
func (u *user) at(step int32, what string, ok func(*v1alpha1.Rollout) bool) {
	u.Helper()
	u.Eventually(fmt.Sprintf("%s is at step %d, %s", u.name, step, what), func() error {
		ro := u.Rollout(namespace, u.name)
		if i := ro.Status.CurrentStepIndex; i == nil || *i != step || !ok(ro) {
			return fmt.Errorf("it is at step %v: %s %s", *i, ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
}

func TestTheAPIServerIsAwayForHalfAMinute(t *testing.T) {
	b := bed.New(t, cluster.Options{})
	b.Namespace(namespace)
	s := newSite(b)
	names := []string{"measured", "paused", "failing"}
	for _, name := range names {
		s.create(name, true)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := filepath.Join(t.TempDir(), "controller.log")
	starts := supervise(ctx, b, log)
	users := map[string]*user{}
	for _, name := range names {
		b.Phase(namespace, name, v1alpha1.RolloutPhaseHealthy)
		users[name] = &user{site: s, name: name}
	}
	ends := make(chan error, len(names))
	for name, st := range map[string]story{"measured": good, "paused": good} {
		go func() { ends <- users[name].release(ctx, st) }()
	}
	users["paused"].at(4, "paused", func(ro *v1alpha1.Rollout) bool { return len(ro.Status.PauseConditions) > 0 })
	go func() { ends <- users["failing"].release(ctx, bad) }()
	users["failing"].at(2, "measured", func(ro *v1alpha1.Rollout) bool { return ro.Status.Canary.CurrentStepAnalysisRunStatus != nil })

	before := map[string]string{}
	for _, name := range names {
		before[name] = s.split(name)
	}
	if err := b.Cluster.KillAPIServer(); err != nil {
		t.Fatal(err)
	}
	wait(ctx, outage)
	if err := b.Cluster.StartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	// The first look, before a controller can have the lease again.
	for _, name := range names {
		if now := s.split(name); now != before[name] {
			t.Errorf("the traffic of %s moved from %s to %s while the API server was away", name, before[name], now)
		}
		if ro := s.Rollout(namespace, name); ro.Status.Abort {
			t.Errorf("%s was aborted: %s", name, ro.Status.Message)
		}
	}
	for range names {
		select {
		case err := <-ends:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(bed.Patience):
			t.Fatalf("the releases have not ended; measured is %s", s.Rollout(namespace, "measured").Status.Message)
		}
	}
	var runs v1alpha1.AnalysisRunList
	if err := s.Client.List(ctx, &runs, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for i := range runs.Items {
		run := &runs.Items[i]
		if phase := run.Status.Phase; phase == v1alpha1.AnalysisPhaseError || phase == v1alpha1.AnalysisPhaseInconclusive && !run.Spec.Terminate {
			t.Errorf("run %s ended %s: %s", run.Name, phase, run.Status.Message)
		}
	}
	if n := starts(); n > 8 {
		t.Errorf("the controller was started %d times for one outage", n)
	}
}

// split is a VirtualService's weights.
func (s *site) split(name string) string {
	s.Helper()
	vs := &unstructured.Unstructured{}
	vs.SetAPIVersion("networking.istio.io/v1beta1")
	vs.SetKind("VirtualService")
	if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: name}, vs); err != nil {
		s.Fatal(err)
	}
	stable, canary := weights(vs)
	return fmt.Sprintf("%d/%d", stable, canary)
}

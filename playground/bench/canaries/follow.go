// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package canaries

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sluice.dev/sluice/api/v1alpha1"

	"sluice.dev/sluice/playground/bench/rig"
)

// A follower sees the Rollouts as they change.
type follower struct {
	client  client.WithWatch
	watch   watch.Interface
	healthy map[string]string // the stable revision of those that are Healthy
	last    map[string]string // what the others are, for a person who waits in vain
}

// follow starts watching, from what is there.
func follow(ctx context.Context, c client.WithWatch) (*follower, error) {
	f := &follower{client: c, healthy: map[string]string{}, last: map[string]string{}}
	return f, f.begin(ctx)
}

// begin starts a watch. The API server ends those of clients that are slow; a
// new one begins with everything that is there.
func (f *follower) begin(ctx context.Context) (err error) {
	if f.watch, err = f.client.Watch(ctx, &v1alpha1.RolloutList{}, client.InNamespace(rig.Namespace)); err != nil {
		return fmt.Errorf("watch the Rollouts: %w", err)
	}
	return nil
}

func (f *follower) stop() { f.watch.Stop() }

// until waits until all Rollouts of r are Healthy on another revision than
// before, and returns the revisions. What was seen so far is forgotten.
func (f *follower) until(ctx context.Context, r *Run, before map[string]string) (map[string]string, error) {
	timeout := time.After(patience)
	health := time.NewTicker(time.Second)
	defer health.Stop()
	for len(f.healthy) < r.N {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-timeout:
			return nil, fmt.Errorf("%d of %d are Healthy after %s; the others are %v", len(f.healthy), r.N, patience, f.last)
		case <-health.C:
			if err := r.Process.Ended(); err != nil {
				return nil, err
			}
		case e, open := <-f.watch.ResultChan():
			if open {
				f.see(e, before)
			} else if err := f.begin(ctx); err != nil {
				return nil, err
			}
		}
	}
	found := f.healthy
	f.healthy = map[string]string{}
	return found, nil
}

func (f *follower) see(e watch.Event, before map[string]string) {
	ro, ok := e.Object.(*v1alpha1.Rollout)
	if !ok {
		return
	}
	st := &ro.Status
	if st.Phase == v1alpha1.RolloutPhaseHealthy && st.ObservedGeneration == strconv.FormatInt(ro.Generation, 10) &&
		st.StableRS == st.CurrentPodHash && st.StableRS != before[ro.Name] {
		f.healthy[ro.Name] = st.StableRS
		delete(f.last, ro.Name)
		return
	}
	delete(f.healthy, ro.Name)
	f.last[ro.Name] = fmt.Sprintf("%s: %s", st.Phase, st.Message)
}

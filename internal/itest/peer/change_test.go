// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package peer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
)

// A standing is what may not change when another controller takes a release.
type standing struct {
	Place    place
	Revision string // stable and newest
	Pods     []string
	Sets     []string
}

func (r *release) standing() standing {
	ro := r.rollout()
	out := standing{
		Place:    place{phase: ro.Status.Phase, step: -1, image: r.image(ro.Status.StableRS)},
		Revision: ro.Status.StableRS + " " + ro.Status.CurrentPodHash,
		Pods:     r.pods(),
	}
	if ro.Status.CurrentStepIndex != nil {
		out.Place.step = *ro.Status.CurrentStepIndex
	}
	if r.plan.file != plain {
		out.Place.weights = r.weights()
	}
	for _, rs := range r.replicaSets() {
		out.Sets = append(out.Sets, fmt.Sprintf("%s has %d", rs.Name, *rs.Spec.Replicas))
	}
	slices.Sort(out.Sets)
	return out
}

// A relay is releases, each in a state of its own, which pass from one controller
// to the next.
type relay struct {
	*stand
	cli      side
	states   []state
	releases []*release
}

// run lets the controller that leads bring each release to where do says.
func (y *relay) run(t *testing.T, leg string, do func(i int, r *release)) {
	t.Run(leg, func(t *testing.T) {
		for i, st := range y.states {
			t.Run(st.name, func(t *testing.T) {
				t.Parallel()
				if y.releases[i] == nil {
					t.Skip("an earlier leg has failed")
				}
				r := *y.releases[i]
				b := *r.Bed
				b.TB = t
				r.stand = &stand{Bed: &b, datadog: r.datadog}
				y.releases[i] = nil
				do(i, &r)
				if !t.Failed() {
					y.releases[i] = &r
				}
			})
		}
	})
}

// start makes the releases and brings each into its state.
func (y *relay) start(t *testing.T) {
	y.releases = make([]*release, len(y.states))
	for i, st := range y.states {
		y.releases[i] = y.prepare(t, fmt.Sprintf("state-%02d", i), y.cli, st.plan)
	}
	y.run(t, "reach", func(i int, r *release) {
		r.begin()
		y.states[i].reach(r)
	})
}

// change puts another controller in the place of the one that leads: it starts
// beside it and waits for the lease. It fails for each release that feels it by
// the time that the other controller has looked at it twice.
func (y *relay) change(t *testing.T, from *running, to side) *running {
	t.Helper()
	next := y.launch(to)
	witnesses, standings := make([]*witness, len(y.states)), make([]standing, len(y.states))
	var namespaces []string
	for i, r := range y.releases {
		if r != nil {
			r.TB = t
			witnesses[i], standings[i] = r.witness(), r.standing()
			namespaces = append(namespaces, r.ns)
		}
	}
	started := time.Now()
	from.stop()
	y.led(next)
	y.looked(next, nil, namespaces...)
	looks := next.looks()
	for _, r := range y.releases {
		if r != nil { // for another look, now that the first has been written down
			poke(r)
		}
	}
	y.looked(next, looks, namespaces...)
	for i, r := range y.releases {
		if r == nil {
			continue
		}
		if felt := y.states[i].felt(witnesses[i], standings[i]); felt != "" {
			t.Errorf("%s: the change to %s was felt: %s", y.states[i].name, to.name, felt)
		}
	}
	t.Logf("the change to %s took %v", to.name, time.Since(started).Round(time.Second))
	return next
}

// changes lets the first controller bring a release into each state, changes
// the controller, and lets the second one finish.
func changes(t *testing.T, first, second side) {
	ours, _ := sides(t)
	y := &relay{stand: newStand(t), cli: ours, states: states}
	leads := y.stand.run(first)
	y.start(t)
	y.change(t, leads, second)
	y.run(t, "finish", func(i int, r *release) { states[i].finish(r) })
}

// felt is what users and their pods have felt since the witness began to look,
// and what has become of the release.
func (st state) felt(w *witness, before standing) string {
	w.Helper()
	changes := w.seen()
	if st.flaps {
		changes = slices.DeleteFunc(changes, func(c string) bool { return strings.Contains(c, "Service checkout-canary") })
	}
	diff := cmp.Diff(before, w.standing(), cmp.AllowUnexported(place{}))
	if len(changes) == 0 && diff == "" {
		return ""
	}
	return fmt.Sprintf("%q; it stands (-before +after):\n%s", changes, diff)
}

// poke changes nothing about a Rollout but its version.
func poke(r *release) {
	r.Helper()
	body := []byte(`{"metadata":{"labels":{"poked":"yes"}}}`)
	if err := r.Client.Patch(r.Context(), r.rollout(), client.RawPatch(types.MergePatchType, body)); err != nil {
		r.Fatal(err)
	}
}

func TestTakeOver(t *testing.T) {
	ours, theirs := sides(t)
	changes(t, theirs, ours)
}

func TestHandBack(t *testing.T) {
	ours, theirs := sides(t)
	changes(t, ours, theirs)
}

func TestThereAndBack(t *testing.T) {
	ours, theirs := sides(t)
	y := &relay{stand: newStand(t), cli: ours}
	for _, j := range journeys {
		y.states = append(y.states, j.state)
	}
	leads := y.stand.run(ours)
	y.start(t)
	leads = y.change(t, leads, theirs)
	y.run(t, "there", func(i int, r *release) { journeys[i].there(r) })
	y.change(t, leads, ours)
	y.run(t, "back", func(i int, r *release) { journeys[i].finish(r) })
}

// A gate that holds is a state that the peer does not have.
func TestHandBackOfAHold(t *testing.T) {
	ours, theirs := sides(t)
	s := newStand(t)
	leads := s.run(ours)
	r := s.prepare(t, "hold", ours, plan{
		steps: judged, metric: "count: 3\n      successCondition: result < 10\n      failureCondition: result > 30",
	})
	r.begin()
	r.errors(15)
	r.deploy("1.1.0")
	r.Eventually("the gate holds", func() error {
		if ro := r.rollout(); ro.Status.Sluice == nil || !strings.Contains(ro.Status.Sluice.Hold, "errors") {
			return fmt.Errorf("%s: %s", ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
	w := r.witness()
	leads.stop()
	s.run(theirs)
	r.Eventually("it is paused", func() error {
		if ro := r.rollout(); ro.Status.Message != string(v1alpha1.PauseReasonInconclusiveAnalysis) {
			return fmt.Errorf("%s: %s", ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
	if felt := w.seen(); len(felt) > 0 {
		t.Errorf("it was felt: %q", felt)
	}
	r.climb()
}

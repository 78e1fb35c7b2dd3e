// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package itest_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/gitops/scripts"
)

// TestArgoCDSeesTheStateOfARelease judges every state that releases pass through by
// Argo CD's own scripts, and takes the actions of its UI.
func TestArgoCDSeesTheStateOfARelease(t *testing.T) {
	s := newStand(t)
	t.Run("one that climbs", func(t *testing.T) {
		t.Parallel()
		own := s.service(t, "climbs", guide(t, "climbs", quick...))
		w := own.witness()
		own.apply()
		before := own.Phase(own.ns, "checkout", v1alpha1.RolloutPhaseHealthy)
		own.apply("checkout:1.0.0", "checkout:1.1.0")
		own.Eventually("the new revision is stable", func() error {
			ro := own.Rollout(own.ns, "checkout")
			if ro.Status.StableRS == before.Status.StableRS || ro.Status.Phase != v1alpha1.RolloutPhaseHealthy {
				return fmt.Errorf("%s: %s", ro.Status.Phase, ro.Status.Message)
			}
			return nil
		})
		w.neverHealthyTooEarly(before)
		w.passedThrough(climb...)
		w.judgedRuns("Progressing", "Healthy")
	})
	t.Run("one that dies, and goes back", func(t *testing.T) {
		t.Parallel()
		own := s.service(t, "dies", guide(t, "dies", quick...))
		w := own.witness()
		own.apply()
		before := own.Phase(own.ns, "checkout", v1alpha1.RolloutPhaseHealthy)
		own.apply("checkout:1.0.0", "checkout:1.1.0"+bad)
		own.Phase(own.ns, "checkout", v1alpha1.RolloutPhaseDegraded)
		w.neverHealthyTooEarly(before)
		w.condemned()
		own.apply()
		own.Phase(own.ns, "checkout", v1alpha1.RolloutPhaseHealthy)
		w.passedThrough("Progressing", "Healthy", "Progressing", "Suspended", "Progressing", "Degraded", "Progressing", "Healthy")
	})
	t.Run("one that a person leads", func(t *testing.T) {
		t.Parallel()
		own := s.service(t, "led", held(t, "led"))
		own.apply()
		own.Phase(own.ns, "checkout", v1alpha1.RolloutPhaseHealthy)
		own.apply("checkout:1.0.0", "checkout:1.1.0")
		own.stands("90/10", "Paused")
		own.everyAction(func(health string) {
			if h, err := scripts.JudgeHealth(own.live(rollouts, "checkout")); err != nil || h.Status != health {
				t.Errorf("the health is %+v, %v; want %s", h, err, health)
			}
		})
	})
}

// climb is the health that a Rollout of the guide goes through, from its creation to
// the end of a release that goes well.
var climb = []string{"Progressing", "Healthy", "Progressing", "Suspended", "Progressing", "Suspended", "Progressing", "Suspended", "Progressing", "Healthy"}

// released says whether a Rollout, as it was seen, has observed its newest spec and
// made a revision of it stable.
func released(ro *unstructured.Unstructured, before *v1alpha1.Rollout) bool {
	observed, _, _ := unstructured.NestedString(ro.Object, "status", "observedGeneration")
	stable, _, _ := unstructured.NestedString(ro.Object, "status", "stableRS")
	return observed == strconv.FormatInt(ro.GetGeneration(), 10) && stable != before.Status.StableRS
}

// neverHealthyTooEarly checks that the Rollout was not Healthy between a new spec and
// the end of its release.
func (w *witness) neverHealthyTooEarly(before *v1alpha1.Rollout) {
	w.Helper()
	n := 0
	for _, v := range w.health(w.seen(rollouts, "checkout")) {
		if v.of.GetGeneration() <= before.Generation {
			continue
		}
		n++
		if v.Status == "Healthy" && !released(v.of, before) {
			w.Errorf("the Rollout was Healthy during its release (%s)", v.Message)
		}
	}
	if n < 5 {
		w.Errorf("the witness saw %d states of the release", n)
	}
}

// passedThrough checks the health of the Rollout from its first state on.
func (w *witness) passedThrough(want ...string) {
	w.Helper()
	var got []string
	for _, v := range w.health(w.seen(rollouts, "checkout")) {
		got = append(got, v.Status)
	}
	got = slices.Compact(got)
	// Argo CD makes a Rollout before the VirtualService that it names.
	if len(got) > 3 && slices.Equal(got[:3], []string{"Progressing", "Degraded", "Progressing"}) {
		got = got[2:]
	}
	if !slices.Equal(got, want) {
		for _, ro := range w.seen(rollouts, "checkout") {
			phase, _, _ := unstructured.NestedString(ro.Object, "status", "phase")
			message, _, _ := unstructured.NestedString(ro.Object, "status", "message")
			observed, _, _ := unstructured.NestedString(ro.Object, "status", "observedGeneration")
			w.Logf("generation %d, observed %s, %s: %s", ro.GetGeneration(), observed, phase, message)
		}
		w.Errorf("the health of the Rollout went %v, want %v", got, want)
	}
}

// judgedRuns checks the health of every AnalysisRun of a release that went well.
func (w *witness) judgedRuns(want ...string) {
	w.Helper()
	if got := w.verdicts(); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		w.Errorf("the health of the AnalysisRuns was %v, want %v", got, want)
	}
}

// condemned checks the health of every AnalysisRun of a release that died: one has
// failed, and what the abort stopped before it had a verdict has none.
func (w *witness) condemned() {
	w.Helper()
	// A run is completed after the traffic has moved.
	w.Eventually("an AnalysisRun is Degraded", func() error {
		if got := w.verdicts(); !slices.Contains(got, "Progressing") || !slices.Contains(got, "Degraded") {
			return fmt.Errorf("their health was %v, want Progressing, then Degraded", got)
		}
		return nil
	})
	if got := w.verdicts(); slices.Contains(got, "Healthy") {
		w.Errorf("the health of the AnalysisRuns was %v, want none that is Healthy", got)
	}
}

// verdicts are the healths that the AnalysisRuns had, in the order of the alphabet.
func (w *witness) verdicts() []string {
	w.Helper()
	seen := map[string]bool{}
	for _, v := range w.health(w.all("AnalysisRun")) {
		seen[v.Status] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package itest_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
)

// ways are how Argo CD can apply and compare: itself, by server-side apply, and by
// comparing with what the API server would make of it, too.
var ways = map[string]change{
	"client": with(),
	"server": onItsOwn,
	"dry":    onTheServer,
}

// selectors is what docs/gitops.md adds for server-side apply: the API server
// holds a selector to be its last writer's as a whole.
var selectors = map[string]any{"kind": "Service", "jsonPointers": []any{"/spec/selector/rollouts-pod-template-hash"}}

func onItsOwn(app *unstructured.Unstructured) {
	with("ServerSideApply=true")(app)
	entries := specOf(app)["ignoreDifferences"].([]any)
	specOf(app)["ignoreDifferences"] = append(entries, selectors)
}

func onTheServer(app *unstructured.Unstructured) {
	onItsOwn(app)
	app.SetAnnotations(map[string]string{"argocd.argoproj.io/compare-options": "ServerSideDiff=true"})
}

func TestReleasesFromGit(t *testing.T) {
	s := newStand(t)
	startArgoCD(s.Bed)
	for name, way := range ways {
		t.Run("a good commit climbs, "+name, func(t *testing.T) {
			t.Parallel()
			s.climbs(t, "good-"+name, way)
		})
		t.Run("a bad commit dies and its revert is no release, "+name, func(t *testing.T) {
			t.Parallel()
			s.dies(t, "bad-"+name, way)
		})
		t.Run("the weights and nothing else are to be ignored, "+name, func(t *testing.T) {
			t.Parallel()
			s.differences(t, "held-"+name, way)
		})
	}
	t.Run("the actions of Argo CD's UI are obeyed", func(t *testing.T) {
		t.Parallel()
		s.healed(t, "actions")
	})
	t.Run("a route is changed in Git", func(t *testing.T) {
		t.Parallel()
		s.routes(t, "routes")
	})
}

// climbs is a release that goes well.
func (s *stand) climbs(t *testing.T, ns string, way change) {
	a := s.deploy(t, ns, guide(t, ns, quick...), way)
	w := a.witness()
	first := a.repo.git("rev-parse", "HEAD")
	a.reaches(first, "Synced", "Healthy")
	before := a.Rollout(ns, "checkout")
	if runs, _ := w.born("AnalysisRun"); len(runs) != 0 || before.Status.StableRS != before.Status.CurrentPodHash {
		t.Errorf("the first revision was judged by %v", runs)
	}

	second := a.repo.commit("checkout 1.1.0", bump(a.files, "1.1.0"))
	a.compare()
	a.Eventually("the release has begun", func() error {
		if ro := a.Rollout(ns, "checkout"); ro.Generation == before.Generation {
			return fmt.Errorf("it is %v", a.state())
		}
		return nil
	})
	syncs := 0
	a.Eventually("the new revision is stable", func() error {
		a.sync()
		syncs++
		ro := a.Rollout(ns, "checkout")
		if ro.Status.StableRS == before.Status.StableRS || ro.Status.Phase != v1alpha1.RolloutPhaseHealthy {
			return fmt.Errorf("%s: %s; %v", ro.Status.Phase, ro.Status.Message, a.state())
		}
		return nil
	})
	if syncs < 2 {
		t.Errorf("Argo CD synced %d times during the release, want at least 2", syncs)
	}
	a.reaches(second, "Synced", "Healthy")

	want := []string{"100/0", "90/10", "75/25", "50/50", "0/100", "100/0"}
	if got := w.splits(); !slices.Equal(got, want) {
		t.Errorf("the weights went %v, want %v", got, want)
	}
	after := a.Rollout(ns, "checkout")
	old, now := before.Status.StableRS, after.Status.StableRS
	for name, want := range map[string][]string{"checkout-stable": {"", old, now}, "checkout-canary": {"", old, now}} {
		if got := w.selected(name); !slices.Equal(got, want) && !slices.Equal(got, want[1:]) {
			t.Errorf("%s selected %v, want %v", name, got, want)
		}
	}
	w.neverHealthyTooEarly(before)
	w.passedThrough(climb...)
	w.judgedRuns("Progressing", "Healthy")
	if differ := w.differed(second); len(differ) != 0 {
		t.Errorf("during the release Argo CD said that these differ: %v", differ)
	}
}

// dies is a release that fails, and its revert.
func (s *stand) dies(t *testing.T, ns string, way change) {
	a := s.deploy(t, ns, guide(t, ns, quick...), way)
	first := a.repo.git("rev-parse", "HEAD")
	a.reaches(first, "Synced", "Healthy")
	before := a.Rollout(ns, "checkout")
	w := a.witness()
	second := a.repo.commit("checkout 1.1.0", bump(a.files, "1.1.0"+bad))
	a.compare()
	a.reaches(second, "Synced", "Degraded")
	died := a.Rollout(ns, "checkout")
	if !died.Status.Abort || a.weights() != "100/0" {
		t.Errorf("aborted: %v, weights %s; want an abort at 100/0", died.Status.Abort, a.weights())
	}
	runs, _ := w.born("AnalysisRun")

	for range 4 {
		a.sync()
	}
	a.compare()
	a.reaches(second, "Synced", "Degraded")
	now := a.Rollout(ns, "checkout")
	if more, _ := w.born("AnalysisRun"); !now.Status.Abort || now.Status.CurrentPodHash != died.Status.CurrentPodHash || len(more) != len(runs) {
		t.Errorf("syncs after the abort began the release again: abort %v, %v became %v", now.Status.Abort, runs, more)
	}
	if got, want := w.splits(), []string{"100/0", "90/10", "100/0"}; !slices.Equal(got, want) {
		t.Errorf("the weights went %v, want %v", got, want)
	}
	w.neverHealthyTooEarly(before)
	w.condemned()
	for _, app := range w.seen(applications, ns) {
		if s := stateOf(app); s.revision == second && s.sync == "Synced" && s.health == "Healthy" {
			t.Errorf("Argo CD said that the application was well although its release died: %v", s)
		}
	}

	// Each state from here on is one after the revert.
	a.Eventually("the pods of the canary are gone", func() error {
		var pods corev1.PodList
		if err := a.Client.List(t.Context(), &pods, client.InNamespace(ns)); err != nil || len(pods.Items) != int(*before.Spec.Replicas) {
			return fmt.Errorf("%d pods are there, %w", len(pods.Items), err)
		}
		return nil
	})
	a.reverted(before, second)
}

// reverted undoes a commit whose release died.
func (a *application) reverted(before *v1alpha1.Rollout, undone string) {
	a.Helper()
	w := a.witness()
	w.splits()
	var sets []string
	a.Eventually("both revisions are seen", func() error {
		if sets, _ = w.born("ReplicaSet"); len(sets) != 2 {
			return fmt.Errorf("seen are %v", sets)
		}
		return nil
	})
	third := a.repo.revert()
	a.compare()
	a.reaches(third, "Synced", "Healthy")
	a.sync()
	a.reaches(third, "Synced", "Healthy")
	after := a.Rollout(a.ns, "checkout")
	if after.Status.StableRS != before.Status.StableRS || after.Status.CurrentPodHash != before.Status.StableRS || after.Status.Abort {
		a.Errorf("stable was %s; it is %s, current is %s, abort %v", before.Status.StableRS, after.Status.StableRS, after.Status.CurrentPodHash, after.Status.Abort)
	}
	if got := w.splits(); !slices.Equal(got, []string{"100/0"}) {
		a.Errorf("the weights went %v after the revert of %.7s, want none", got, undone)
	}
	if now, gone := w.born("ReplicaSet"); !slices.Equal(now, sets) || len(gone) != 0 {
		a.Errorf("ReplicaSets were %v, are %v without %v", sets, now, gone)
	}
	if pods, gone := w.born("Pod"); len(pods) != int(*after.Spec.Replicas) || len(gone) != 0 {
		a.Errorf("the revert touched pods: %v were there, %v went", pods, gone)
	}
	if runs, _ := w.born("AnalysisRun"); slices.ContainsFunc(w.all("AnalysisRun"), unfinished) {
		a.Errorf("the revert was judged by one of %v", runs)
	}
}

func unfinished(run *unstructured.Unstructured) bool {
	phase, _, _ := unstructured.NestedString(run.Object, "status", "phase")
	return phase == "" || phase == "Pending" || phase == "Running"
}

// differed are the states in which Argo CD compared the cluster with the commit and
// found them different after it had applied it.
func (w *witness) differed(revision string) []string {
	w.Helper()
	var out []string
	synced := false
	for _, app := range w.seen(applications, w.ns) {
		s := stateOf(app)
		if s.revision != revision {
			continue
		}
		synced = synced || s.sync == "Synced"
		if synced && s.sync != "Synced" {
			out = append(out, s.String())
		}
	}
	return out
}

// healed takes each action of Argo CD's UI while Argo CD heals what differs from Git.
func (s *stand) healed(t *testing.T, ns string) {
	a := s.deploy(t, ns, held(t, ns))
	a.reaches(a.repo.git("rev-parse", "HEAD"), "Synced", "Healthy")
	second := a.repo.commit("checkout 1.1.0", bump(a.files, "1.1.0"))
	a.compare()
	a.stands("90/10", "Paused")
	a.everyAction(func(health string) {
		a.reaches(second, "Synced", health)
		a.sync()
		a.reaches(second, "Synced", health)
	})
}

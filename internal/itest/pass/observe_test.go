// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package pass

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/internal/observe"
	"sluice.dev/sluice/internal/rollout"
)

// set is a ReplicaSet as another controller left it; %[1]s is its name, %[2]s
// its hash, %[3]s its image, %[4]s the owner's UID.
const set = `
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: %[1]s
  labels: {app: web, rollouts-pod-template-hash: %[2]s}
  annotations: {rollout.argoproj.io/revision: "7"}
  ownerReferences: [{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web, uid: %[4]s, controller: true}]
spec:
  replicas: 3
  selector: {matchLabels: {app: web, rollouts-pod-template-hash: %[2]s}}
  template:
    metadata: {labels: {app: web, rollouts-pod-template-hash: %[2]s}}
    spec:
      containers: [{name: web, image: "%[3]s"}]
`

// run is an AnalysisRun; %[1]s is its name, %[2]s the owner's UID, %[3]s its
// annotations, %[4]s its status, if it has one.
const run = `
apiVersion: argoproj.io/v1alpha1
kind: AnalysisRun
metadata:
  name: %[1]s
  annotations: %[3]s
  ownerReferences: [{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web, uid: %[2]s, controller: true}]
spec:
  metrics: [{name: m, count: 1, provider: {datadog: {apiVersion: v2, query: "sum:x{*}"}}}]
%[4]s
`

func (s *stand) uid() types.UID { return s.Rollout(s.ns, "web").UID }

func TestObserve(t *testing.T) {
	all := newStand(t)

	t.Run("a ReplicaSet with the template asked for is adopted under its own hash", func(t *testing.T) {
		s := all.in(t)
		// The API server fills in what the Rollout's template leaves out.
		s.put(fmt.Sprintf(set, "web-older", "1a2b3c", "web:1", s.uid()))
		w := s.observe(func(w *observe.World) error {
			if len(w.ReplicaSets) != 1 {
				return fmt.Errorf("%d ReplicaSets", len(w.ReplicaSets))
			}
			return whole(w)
		})
		if w.Hash != "1a2b3c" || w.Snapshot.Spec.Revision != "1a2b3c" || w.Snapshot.Pools["1a2b3c"].Number != 7 {
			t.Errorf("hash %s, revision %s, pools %v", w.Hash, w.Snapshot.Spec.Revision, w.Snapshot.Pools)
		}
	})

	t.Run("a ReplicaSet with another template is not", func(t *testing.T) {
		s := all.in(t)
		s.put(fmt.Sprintf(set, "web-older", "1a2b3c", "web:0", s.uid()))
		w := s.observe(func(w *observe.World) error {
			if len(w.ReplicaSets) != 1 {
				return fmt.Errorf("%d ReplicaSets", len(w.ReplicaSets))
			}
			return whole(w)
		})
		if w.Hash == "1a2b3c" || w.Snapshot.Pools["1a2b3c"].Desired != 3 {
			t.Errorf("hash %s, pools %v", w.Hash, w.Snapshot.Pools)
		}
	})

	t.Run("what another Rollout of this name has left is nobody's", func(t *testing.T) {
		s := all.in(t)
		s.put(fmt.Sprintf(set, "web-older", "1a2b3c", "web:1", "00000000-0000-0000-0000-000000000001"))
		s.put(fmt.Sprintf(run, "web-run", "00000000-0000-0000-0000-000000000001", "{}", ""))
		s.status(`{"status":{"canary":{"currentStepAnalysisRunStatus":{"name":"web-run","status":"Running"}}}}`)
		w := s.observe(func(w *observe.World) error {
			if !w.Snapshot.RunNames["web-run"] {
				return fmt.Errorf("the name is not seen as taken")
			}
			return whole(w)
		})
		if len(w.ReplicaSets) != 0 || len(w.Runs) != 0 || w.Snapshot.StepRun != nil {
			t.Errorf("%d ReplicaSets, %d runs, step run %v", len(w.ReplicaSets), len(w.Runs), w.Snapshot.StepRun)
		}
	})

	t.Run("a release whose first look found something missing is still a release", func(t *testing.T) {
		s := all.in(t)
		s.put(fmt.Sprintf(set, "web-older", "1a2b3c", "web:0", s.uid()))
		generation := s.Rollout(s.ns, "web").Generation
		s.status(fmt.Sprintf(`{"status":{"currentPodHash":"1a2b3c","stableRS":"1a2b3c","observedGeneration":"%d",
			"conditions":[{"type":"InvalidSpec","status":"True","reason":"InvalidSpec","message":"x",
				"lastUpdateTime":"2026-01-01T00:00:00Z","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`, generation))
		w := s.observe(func(w *observe.World) error {
			if len(w.ReplicaSets) != 1 {
				return fmt.Errorf("%d ReplicaSets", len(w.ReplicaSets))
			}
			return whole(w)
		})
		if w.Snapshot.Spec.Revision == "1a2b3c" {
			t.Error("the new template is taken for the old revision")
		}
	})

	t.Run("runs are those that this attempt started", func(t *testing.T) {
		s := all.in(t)
		uid := s.uid()
		s.put(fmt.Sprintf(run, "old", uid, `{sluice.dev/attempt: "1"}`, ""))
		s.put(fmt.Sprintf(run, "new", uid, `{sluice.dev/attempt: "2"}`, ""))
		s.put(fmt.Sprintf(run, "filled-in", uid, `{sluice.dev/attempt: "2"}`, `status: {phase: Successful, metricResults: [{name: m, phase: Successful, successful: 1, count: 1}]}`))
		seen := func(w *observe.World) error {
			if len(w.Runs) != 3 {
				return fmt.Errorf("%d runs", len(w.Runs))
			}
			return whole(w)
		}
		for _, tc := range []struct {
			name   string
			phase  rollout.RunPhase // "" for none
			strays []string
		}{
			{"new", rollout.RunPending, []string{"old"}},
			{"filled-in", rollout.RunPending, []string{"new", "old"}},
			{"old", "", []string{"new"}},
		} {
			s.status(fmt.Sprintf(`{"status":{"sluice":{"attempt":2},"canary":{"currentStepAnalysisRunStatus":{"name":"%s","status":"Running"}}}}`, tc.name))
			w := s.observe(seen)
			got := w.Snapshot.StepRun
			if got == nil && tc.phase != "" || got != nil && got.Phase != tc.phase {
				t.Errorf("%s: the step's run is %+v, want phase %q", tc.name, got, tc.phase)
			}
			if !slices.Equal(w.Snapshot.Strays, tc.strays) {
				t.Errorf("%s: strays are %v, want %v", tc.name, w.Snapshot.Strays, tc.strays)
			}
		}
	})

	t.Run("a look lists no namespace and reads nothing twice", func(t *testing.T) {
		s := all.in(t)
		s.observe(whole)
		ro := s.Rollout(s.ns, "web")
		s.requests.take()
		for range 10 {
			if _, err := s.observer.Observe(t.Context(), ro, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.requests.take(); len(got) != 0 {
			t.Errorf("ten looks asked for %v", got)
		}
	})
}

// Each is wrong in one way, and the message says what, where and what to do.
func TestProblems(t *testing.T) {
	all := newStand(t)
	for name, tc := range map[string]struct {
		change []string
		after  func(s *stand)
		want   string
	}{
		"a Service that selects other pods": {
			change: []string{"metadata: {name: canary}\nspec: {selector: {app: web}", "metadata: {name: canary}\nspec: {selector: {app: web, tier: front}"},
			want:   "spec.strategy.canary.canaryService: the selector of Service NS/canary does not match spec.template: its tier=front is not among the template's labels",
		},
		"a Service of another Rollout": {
			change: []string{"metadata: {name: stable}", "metadata: {name: stable, annotations: {argo-rollouts.argoproj.io/managed-by-rollouts: other}}"},
			want:   `spec.strategy.canary.stableService: Service NS/stable is managed by Rollout "other" already; a Service belongs to one Rollout`,
		},
		"no such VirtualService": {
			change: []string{"virtualService: {name: routes,", "virtualService: {name: nothing,"},
			want:   "VirtualService NS/nothing not found: spec.strategy.canary.trafficRouting.istio.virtualService.name",
		},
		"no such route": {
			change: []string{"routes: [primary]", "routes: [second]"},
			want:   `VirtualService NS/routes has no route "second" in spec.http; it has "admin", "primary", "delegated": spec.strategy.canary.trafficRouting.istio.virtualService.routes[0]`,
		},
		"a route without the canary": {
			change: []string{"{destination: {host: canary}, weight: 0}", "{destination: {host: other}, weight: 0}"},
			want:   `VirtualService NS/routes route "primary" has no destination for the canary Service "canary"; it has "stable", "other": spec.strategy.canary.canaryService`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := all.in(t, tc.change...)
			want := strings.ReplaceAll(tc.want, "NS", s.ns)
			s.observe(func(w *observe.World) error {
				if !slices.Contains(w.Snapshot.Problems, want) {
					return fmt.Errorf("problems are\n%s\nwant\n%s", strings.Join(w.Snapshot.Problems, "\n"), want)
				}
				return nil
			})
		})
	}
}

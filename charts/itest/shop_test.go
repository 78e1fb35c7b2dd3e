// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package itest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

// A shop is a namespace with releases that make use of every right that the
// controller has.
type shop struct {
	*stand
	t       *testing.T
	ns      string
	datadog *datadogtest.Server
	images  int
}

// newShop opens one, whose Datadog keys are where the controller looks.
func newShop(t *testing.T, s *stand, ns, controller string) *shop {
	t.Helper()
	dd, err := datadogtest.New(datadogtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dd.Close() })
	sh := &shop{stand: s, t: t, ns: ns, datadog: dd}
	sh.secret(controller, "datadog", map[string]string{"address": dd.URL(), "apiKey": "api", "appKey": "app"})
	sh.secret(ns, "token", map[string]string{"token": "t"})
	return sh
}

func (s *shop) secret(ns, name string, data map[string]string) {
	s.t.Helper()
	if err := s.Client.Create(s.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, StringData: data}); err != nil {
		s.t.Fatal(err)
	}
}

const goods = `
apiVersion: v1
kind: Service
metadata: {namespace: NS, name: stable}
spec: {selector: {app: checkout}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: NS, name: canary}
spec: {selector: {app: checkout}, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: NS, name: routes}
spec:
  hosts: [checkout]
  http:
    - name: primary
      route:
        - {destination: {host: stable}, weight: 100}
        - {destination: {host: canary}, weight: 0}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {namespace: NS, name: gate}
spec:
  args:
    - name: hash
    - name: token
      valueFrom: {secretKeyRef: {name: token, key: token}}
  metrics:
    - name: errors
      interval: 1s
      count: 1
      successCondition: result < 10
      failureCondition: result >= 50
      provider:
        datadog:
          apiVersion: v2
          query: "sum:errors{hash:{{args.hash}}}.as_count()"
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {namespace: NS, name: checkout}
spec:
  replicas: 2
  revisionHistoryLimit: 1
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers: [{name: checkout, image: "checkout:1", securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]
  analysis: {successfulRunHistoryLimit: 1, unsuccessfulRunHistoryLimit: 1}
  strategy:
    canary:
      scaleDownDelaySeconds: 1
      stableService: stable
      canaryService: canary
      trafficRouting: {istio: {virtualService: {name: routes, routes: [primary]}}}
      steps:
        - setWeight: 20
        - analysis:
            templates: [{templateName: gate}]
            args: [{name: hash, valueFrom: {podTemplateHashValue: Latest}}]
        - setWeight: 60
`

// release puts another image into the Rollout, and waits for its end.
func (s *shop) release(errors float64, phase v1alpha1.RolloutPhase) *v1alpha1.Rollout {
	s.t.Helper()
	before := s.Rollout(s.ns, "checkout")
	s.images++
	image := fmt.Sprintf("checkout:1.%d", s.images)
	s.Apply(goods, "NS", s.ns, "checkout:1", image)
	var ro *v1alpha1.Rollout
	s.Eventually(image+" is "+string(phase), func() error {
		ro = s.Rollout(s.ns, "checkout")
		s.datadog.Count("errors", map[string]string{"hash": ro.Status.CurrentPodHash}, time.Now(), errors)
		if ro.Status.CurrentPodHash == before.Status.CurrentPodHash || ro.Status.Phase != phase {
			return fmt.Errorf("it is %s at %s: %s", ro.Status.Phase, ro.Status.CurrentPodHash, ro.Status.Message)
		}
		return nil
	})
	return ro
}

// play is a life of releases: good ones, a bad one, what is too old, what is in
// the way, a lost race, and the end.
func (s *shop) play() {
	s.t.Helper()
	s.Apply(goods, "NS", s.ns)
	s.Phase(s.ns, "checkout", v1alpha1.RolloutPhaseHealthy)
	for range 3 {
		s.release(0.001, v1alpha1.RolloutPhaseHealthy)
	}
	s.release(1000, v1alpha1.RolloutPhaseDegraded)
	s.release(0.001, v1alpha1.RolloutPhaseHealthy)
	s.Eventually("old ReplicaSets are deleted", func() error {
		var list appsv1.ReplicaSetList
		if err := s.Client.List(s.t.Context(), &list, client.InNamespace(s.ns), client.HasLabels{v1alpha1.LabelPodTemplateHash}); err != nil {
			return err
		}
		if n := len(list.Items); n > 2 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	s.collide()
	s.race()
	s.end()
}

// collide has somebody else's ReplicaSet in the way, with the name that a
// Rollout with the same template needs.
func (s *shop) collide() {
	s.t.Helper()
	hash := s.Rollout(s.ns, "checkout").Status.CurrentPodHash
	image := fmt.Sprintf("checkout:1.%d", s.images)
	s.Apply(`
apiVersion: apps/v1
kind: ReplicaSet
metadata: {namespace: NS, name: twin-HASH}
spec:
  replicas: 0
  selector: {matchLabels: {app: other}}
  template:
    metadata: {labels: {app: other}}
    spec: {containers: [{name: other, image: other}]}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {namespace: NS, name: twin}
spec:
  replicas: 1
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers: [{name: checkout, image: "IMAGE", securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]
  strategy: {canary: {}}
`, "NS", s.ns, "HASH", hash, "IMAGE", image)
	ro := s.Phase(s.ns, "twin", v1alpha1.RolloutPhaseHealthy)
	if ro.Status.CollisionCount == nil || *ro.Status.CollisionCount != 1 {
		s.t.Errorf("the collision count is %v, want 1: nothing was in the way of %s", ro.Status.CollisionCount, hash)
	}
}

// race writes to a run while it is measured, so that the controller loses a
// race and reads it again.
func (s *shop) race() {
	s.t.Helper()
	s.Apply(`
apiVersion: argoproj.io/v1alpha1
kind: AnalysisRun
metadata: {namespace: NS, name: raced}
spec:
  metrics:
    - name: errors
      interval: 100ms
      count: 3
      successCondition: result < 10
      provider: {datadog: {apiVersion: v2, query: "sum:errors{case:raced}.as_count()"}}
`, "NS", s.ns)
	ctx, stop := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "raced"}}
		for n := 0; n < 300 && ctx.Err() == nil; n++ {
			_ = s.Client.Patch(ctx, run.DeepCopy(), client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{"n":"%d"}}}`, n)))
		}
	}()
	s.Eventually("the run has ended", func() error {
		s.datadog.Count("errors", map[string]string{"case": "raced"}, time.Now(), 0.01)
		run := &v1alpha1.AnalysisRun{}
		if err := s.get(run, s.ns, "raced"); err != nil {
			return err
		}
		if !run.Status.Phase.Completed() {
			return fmt.Errorf("it is %s: %s", run.Status.Phase, run.Status.Message)
		}
		return nil
	})
	stop()
	<-done
}

// end deletes the Rollouts; the Services are given back.
func (s *shop) end() {
	s.t.Helper()
	for _, name := range []string{"checkout", "twin"} {
		if err := s.Client.Delete(s.t.Context(), s.Rollout(s.ns, name), client.PropagationPolicy("Background")); err != nil {
			s.t.Fatal(err)
		}
	}
	s.Eventually("the Services are given back", func() error {
		svc := &corev1.Service{}
		if err := s.get(svc, s.ns, "stable"); err != nil {
			return err
		}
		if hash := svc.Spec.Selector[v1alpha1.LabelPodTemplateHash]; hash != "" {
			return fmt.Errorf("the selector holds %s", hash)
		}
		return nil
	})
	s.Eventually("their ReplicaSets are gone", func() error {
		var list appsv1.ReplicaSetList
		err := s.Client.List(s.t.Context(), &list, client.InNamespace(s.ns), client.HasLabels{v1alpha1.LabelPodTemplateHash})
		if n := len(list.Items); err == nil && n > 0 {
			err = errors.New(strings.Repeat("one more ", n))
		}
		return err
	})
	run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "raced"}}
	if err := s.Client.Delete(s.t.Context(), run); err != nil {
		s.t.Fatal(err)
	}
}

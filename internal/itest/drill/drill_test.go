// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package drill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/app"
	"sluice.dev/sluice/internal/cli"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/drill"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

const shop = `
apiVersion: v1
kind: Service
metadata: {name: NAME-stable, namespace: payments}
spec: {selector: {app: NAME}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: NAME-canary, namespace: payments}
spec: {selector: {app: NAME}, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: NAME, namespace: payments}
spec:
  hosts: [NAME]
  http:
    - name: primary
      route:
        - {destination: {host: NAME-stable}, weight: 100}
        - {destination: {host: NAME-canary}, weight: 0}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: NAME, namespace: payments}
spec:
  args: [{name: hash}]
  metrics:
    - name: error-rate
      interval: 1s
      count: 3
      failureLimit: 1
      successCondition: result < 0.01
      failureCondition: result >= LIMIT
      provider:
        datadog:
          apiVersion: v2
          formula: errors / hits
          queries:
            errors: "sum:errors{TAG:{{args.hash}}}.as_count()"
            hits: "sum:hits{TAG:{{args.hash}}}.as_count()"
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: NAME, namespace: payments}
spec:
  replicas: 4
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      containers:
        - name: NAME
          image: registry.example.com/shop:1
          env: [{name: MODE, value: calm}]
  strategy:
    canary:
      stableService: NAME-stable
      canaryService: NAME-canary
      trafficRouting: {istio: {virtualService: {name: NAME, routes: [primary]}}}
      steps:
        - setWeight: 25
        - pause: {duration: 1s}
        - analysis:
            templates: [{templateName: NAME}]
            args: [{name: hash, valueFrom: {podTemplateHashValue: Latest}}]
        - setWeight: 50
        - pause: {duration: 1s}
`

// A stand is a control plane with the controller and a Datadog that is told
// what the pods of every revision would do.
type stand struct {
	*bed.Bed
	datadog *datadogtest.Server
}

func newStand(t *testing.T) *stand {
	t.Helper()
	dd, err := datadogtest.New(datadogtest.Options{Keys: []datadogtest.Keys{{API: "api", App: "app"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dd.Close() })
	s := &stand{Bed: bed.New(t, cluster.Options{}), datadog: dd}
	s.Namespace("payments")
	s.Datadog(dd.URL())
	s.Controller(func(c *app.Config) { c.ErrorBackoff = time.Second })
	return s
}

// rollout makes a healthy Rollout; pairs replace parts of its manifest.
func (s *stand) rollout(name string, pairs ...string) *v1alpha1.Rollout {
	s.Helper()
	s.Apply(shop, append([]string{"NAME", name}, pairs...)...)
	return s.Phase("payments", name, v1alpha1.RolloutPhaseHealthy)
}

// traffic plays the users until the test ends: a fifth of the requests to
// drilled revisions fail, and none of those to others.
func (s *stand) traffic(ctx context.Context) {
	for ctx.Err() == nil {
		var sets appsv1.ReplicaSetList
		if s.Client.List(ctx, &sets, client.InNamespace("payments")) == nil {
			for i := range sets.Items {
				rs := &sets.Items[i]
				tags := map[string]string{"hash": rs.Labels[v1alpha1.LabelPodTemplateHash]}
				if rs.Status.ReadyReplicas == 0 {
					continue
				}
				s.datadog.Count("hits", tags, time.Now(), 100)
				failed := 0.001
				if rs.Spec.Template.Annotations[v1alpha1.AnnotationDrill] != "" {
					failed = 20
				}
				s.datadog.Count("errors", tags, time.Now(), failed)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// A buffer may be written and read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (s *stand) args(line string) []string {
	return append([]string{"--kubeconfig", s.Cluster.Kubeconfig(), "-n", "payments"}, strings.Fields(line)...)
}

func (s *stand) sluice(ctx context.Context, line string) (code int, out, errOut string) {
	var o, e buffer
	code = cli.Main(ctx, cli.Options{Program: "sluice", Out: &o, Err: &e}, s.args(line))
	return code, o.String(), e.String()
}

// spec is the spec of a Rollout as the server holds it.
func (s *stand) spec(name string) any {
	s.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("Rollout"))
	if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: "payments", Name: name}, u); err != nil {
		s.Fatal(err)
	}
	return u.Object["spec"]
}

// asBefore checks that nothing of the drill is left.
func (s *stand) asBefore(t *testing.T, was *v1alpha1.Rollout, spec any) {
	t.Helper()
	if diff := cmp.Diff(spec, s.spec(was.Name)); diff != "" {
		t.Errorf("the spec is not as it was (-was +is):\n%s", diff)
	}
	now := s.Phase("payments", was.Name, v1alpha1.RolloutPhaseHealthy)
	if now.Status.StableRS != was.Status.StableRS || now.Status.CurrentPodHash != was.Status.StableRS || now.Annotations[drill.AnnotationRecord] != "" {
		t.Errorf("stable is %s, was %s; annotations %v", now.Status.StableRS, was.Status.StableRS, now.Annotations)
	}
}

func condition(ro *v1alpha1.Rollout) v1alpha1.RolloutCondition {
	for _, c := range ro.Status.Conditions {
		if c.Type == v1alpha1.RolloutGateProven {
			return c
		}
	}
	return v1alpha1.RolloutCondition{}
}

func (s *stand) claims(name, reason string) {
	s.Helper()
	s.Eventually("GateProven of "+name+" is "+reason, func() error {
		if c := condition(s.Rollout("payments", name)); c.Reason != reason {
			return fmt.Errorf("it is %+v", c)
		}
		return nil
	})
}

func TestDrills(t *testing.T) {
	s := newStand(t)
	go s.traffic(t.Context())
	t.Run("a good gate aborts it", s.good)
	t.Run("a gate whose query never matches is found", s.silent)
	t.Run("a gate that cannot fail is found", s.lenient)
	t.Run("a drill that is killed is cleaned up", s.killed)
	t.Run("Ctrl-C cleans up", s.interrupted)
}

func (s *stand) good(t *testing.T) {
	was := s.rollout("good", "TAG", "hash", "LIMIT", "0.05")
	spec := s.spec("good")
	if _, out, _ := s.sluice(t.Context(), "get rollout good"); !strings.Contains(out, "never proven") {
		t.Errorf("before: %s", out)
	}
	if code, _, err := s.sluice(t.Context(), "drill good --set-env ERROR_RATE=0.2"); code != 2 || !strings.Contains(err, "--yes") {
		t.Errorf("without a terminal: %d, %s", code, err)
	}
	code, out, _ := s.sluice(t.Context(), "drill good --set-env ERROR_RATE=0.2 --dry-run")
	if code != 0 || !strings.Contains(out, "weight 25, 1 of 4 pods") || s.Rollout("payments", "good").Generation != was.Generation {
		t.Errorf("dry run: %d, %s", code, out)
	}
	code, out, errOut := s.sluice(t.Context(), "drill good --set-env ERROR_RATE=0.2 --expect error-rate=0.2 --yes -o json")
	var report drill.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 {
		t.Fatalf("%d, %v, %s, %s", code, err, out, errOut)
	}
	if report.Outcome != drill.Proven || len(report.Gates) != 1 || report.Gates[0].Verdict != drill.Caught || !report.CleanedUp || !strings.Contains(report.Truth, "they agree") {
		t.Errorf("report is %+v", report)
	}
	s.asBefore(t, was, spec)
	s.claims("good", drill.ReasonProven)
	if _, out, _ := s.sluice(t.Context(), "get rollout good"); !strings.Contains(out, "Gate:            proven") {
		t.Errorf("after: %s", out)
	}
	if code, _, err := s.sluice(t.Context(), "undo good"); code != 1 || !strings.Contains(err, "no earlier revision") {
		t.Errorf("an undo goes back to the drill: %d, %s", code, err)
	}
	s.Apply(shop, "NAME", "good", "TAG", "hash", "LIMIT", "0.06")
	s.claims("good", drill.ReasonChanged)
}

func (s *stand) silent(t *testing.T) {
	was := s.rollout("silent", "TAG", "pod_hash", "LIMIT", "0.05")
	spec := s.spec("silent")
	code, out, err := s.sluice(t.Context(), "drill silent --set-env ERROR_RATE=0.2 --yes --time-limit 25s")
	if code != 1 || !strings.Contains(out, "analysis of step 3: blind: saw no data") || !strings.Contains(err, "gate was blind") {
		t.Errorf("%d, %s, %s", code, out, err)
	}
	s.asBefore(t, was, spec)
	s.claims("silent", drill.ReasonBlind)
}

func (s *stand) lenient(t *testing.T) {
	was := s.rollout("lenient", "TAG", "hash", "successCondition: result < 0.01", "successCondition: result < 1", "LIMIT", "1")
	spec := s.spec("lenient")
	code, out, err := s.sluice(t.Context(), "drill lenient --image registry.example.com/shop:bad --yes")
	if code != 1 || !strings.Contains(out, "analysis of step 3: blind: let it pass") || !strings.Contains(err, "got past weight 50") {
		t.Errorf("%d, %s, %s", code, out, err)
	}
	s.asBefore(t, was, spec)
	s.claims("lenient", drill.ReasonBlind)
}

// killed kills the command in the middle of a drill of a blind gate: nothing is
// promoted all the same, and a second command finishes.
func (s *stand) killed(t *testing.T) {
	was := s.rollout("killed", "TAG", "hash", "successCondition: result < 0.01", "successCondition: result < 1", "LIMIT", "1")
	spec := s.spec("killed")
	var out buffer
	cmd := exec.Command(os.Getenv("SLUICE_BIN"), s.args("drill killed --set-env ERROR_RATE=0.2 --yes")...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.Eventually("the drill has begun", func() error {
		if s.Rollout("payments", "killed").Annotations[drill.AnnotationRecord] == "" {
			return errors.New(out.String())
		}
		return nil
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	s.Eventually("the guard takes the traffic back", func() error {
		st := s.Rollout("payments", "killed").Status
		if st.CurrentStepIndex == nil || *st.CurrentStepIndex != 6 || st.Canary.Weights == nil || st.Canary.Weights.Canary.Weight != 0 {
			return fmt.Errorf("it is at step %v, weights %+v, %s: %s", st.CurrentStepIndex, st.Canary.Weights, st.Phase, st.Message)
		}
		return nil
	})
	if code, _, err := s.sluice(t.Context(), "drill killed --set-env ERROR_RATE=0.2 --yes"); code != 2 || !strings.Contains(err, "--clean-up") {
		t.Errorf("a second drill: %d, %s", code, err)
	}
	if code, out, err := s.sluice(t.Context(), "drill killed --clean-up"); code != 0 || !strings.Contains(out, "was cleaned up; blind") {
		t.Errorf("clean-up: %d, %s, %s", code, out, err)
	}
	s.asBefore(t, was, spec)
	if code, out, err := s.sluice(t.Context(), "drill killed --clean-up"); code != 0 || !strings.Contains(out, "no drill to clean up") {
		t.Errorf("twice: %d, %s, %s", code, out, err)
	}
}

func (s *stand) interrupted(t *testing.T) {
	was := s.rollout("stopped", "TAG", "pod_hash", "LIMIT", "0.05")
	spec := s.spec("stopped")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type result struct {
		code     int
		out, err string
	}
	done := make(chan result, 1)
	go func() {
		code, out, err := s.sluice(ctx, "drill stopped --set-arg --fail --yes")
		done <- result{code, out, err}
	}()
	s.Eventually("the bad version has traffic", func() error {
		w := s.Rollout("payments", "stopped").Status.Canary.Weights
		if w == nil || w.Canary.Weight != 25 {
			return fmt.Errorf("weights are %+v", w)
		}
		return nil
	})
	cancel()
	if r := <-done; r.code != 2 || !strings.Contains(r.err, "interrupted; everything was put back") {
		t.Errorf("%+v", r)
	}
	s.asBefore(t, was, spec)
	if c := condition(s.Rollout("payments", "stopped")); c.Reason != "" {
		t.Errorf("it proved something: %+v", c)
	}
}

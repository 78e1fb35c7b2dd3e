// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package analysis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/app"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

const namespace = "payments"

// A stand is a control plane with the controller and a Datadog.
type stand struct {
	*bed.Bed
	datadog *datadogtest.Server
}

func fast(c *app.Config) { c.ErrorBackoff = time.Second }

func newStand(t *testing.T) *stand {
	t.Helper()
	server, err := datadogtest.New(datadogtest.Options{Keys: []datadogtest.Keys{{API: "api", App: "app"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	b := bed.New(t, cluster.Options{})
	b.Namespace(namespace)
	b.Namespace("argo-rollouts")
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "argo-rollouts", Name: "datadog"},
		StringData: map[string]string{"address": server.URL(), "apiKey": "api", "appKey": "app"},
	}
	if err := b.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	b.Controller(fast)
	return &stand{Bed: b, datadog: server}
}

// run starts a run with one metric, which reads how often errors were counted
// under the tag case:name.
func (s *stand) run(name, more string) {
	s.Helper()
	s.Apply(fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: AnalysisRun
metadata: {namespace: payments, name: %s}
spec:
  args: [{name: case, value: %s}]
  metrics:
    - name: errors
      interval: 1s
      count: 5
      failureLimit: 2
      successCondition: result < 10
      failureCondition: result >= 50
      provider:
        datadog: {apiVersion: v2, query: "sum:errors{case:{{args.case}}}.as_count()"}
%s`, name, name, more))
}

func (s *stand) get(name string) *v1alpha1.AnalysisRun {
	s.Helper()
	run := &v1alpha1.AnalysisRun{}
	if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: name}, run); err != nil {
		s.Fatal(err)
	}
	return run
}

func (s *stand) until(name, what string, ok func(*v1alpha1.AnalysisRun) bool) *v1alpha1.AnalysisRun {
	s.Helper()
	var run *v1alpha1.AnalysisRun
	s.Eventually(fmt.Sprintf("run %s %s", name, what), func() error {
		if run = s.get(name); !ok(run) {
			return fmt.Errorf("it is %s: %s %+v", run.Status.Phase, run.Status.Message, run.Status.MetricResults)
		}
		return nil
	})
	return run
}

func (s *stand) ends(name string) *v1alpha1.AnalysisRun {
	s.Helper()
	return s.until(name, "ends", func(run *v1alpha1.AnalysisRun) bool { return run.Status.Phase.Completed() })
}

func measured(n int32) func(*v1alpha1.AnalysisRun) bool {
	return func(run *v1alpha1.AnalysisRun) bool {
		return len(run.Status.MetricResults) == 1 && run.Status.MetricResults[0].Count >= n
	}
}

// queries is how often Datadog was asked for the case name.
func (s *stand) queries(name string) int {
	n := 0
	for _, r := range s.datadog.Requests() {
		for _, v := range r.TagValues("case") {
			if v == name {
				n++
			}
		}
	}
	return n
}

func (s *stand) count(name string, n float64) {
	s.datadog.Count("errors", map[string]string{"case": name}, time.Now(), n)
}

func TestRuns(t *testing.T) {
	s := newStand(t)

	t.Run("a good one passes", func(t *testing.T) {
		s.count("good", 1)
		s.run("good", "")
		run := s.ends("good")
		result := run.Status.MetricResults[0]
		if run.Status.Phase != v1alpha1.AnalysisPhaseSuccessful || result.Successful != 5 || len(result.Measurements) != 5 || run.Status.RunSummary.Successful != 1 {
			t.Errorf("acceptance 4: status is %+v", run.Status)
		}
		if n := s.queries("good"); n != 5 {
			t.Errorf("asked %d times", n)
		}
		if took := run.Status.CompletedAt.Sub(run.Status.StartedAt.Time); took < 3*time.Second || took > 30*time.Second {
			t.Errorf("five readings a second apart took %s", took)
		}
	})

	t.Run("a bad one fails on the third reading", func(t *testing.T) {
		s.count("bad", 100)
		s.run("bad", "")
		run := s.ends("bad")
		want := `Metric "errors" assessed Failed due to failed (3) > failureLimit (2)`
		if run.Status.Phase != v1alpha1.AnalysisPhaseFailed || run.Status.Message != want || run.Status.MetricResults[0].Failed != 3 {
			t.Errorf("acceptance 6: %s, %q", run.Status.Phase, run.Status.Message)
		}
	})

	t.Run("a silent one holds, and passes when it is heard", func(t *testing.T) {
		s.run("silent", "")
		run := s.until("silent", "has three readings", measured(3))
		if run.Status.Phase != v1alpha1.AnalysisPhaseRunning || !strings.Contains(run.Status.Message, "no data") {
			t.Errorf("acceptance 10: %s, %q", run.Status.Phase, run.Status.Message)
		}
		s.count("silent", 1)
		if run = s.ends("silent"); run.Status.Phase != v1alpha1.AnalysisPhaseSuccessful {
			t.Errorf("acceptance 10: %s, %q", run.Status.Phase, run.Status.Message)
		}
	})

	t.Run("somebody who keeps writing to the run does not make it measure twice", func(t *testing.T) {
		s.count("busy", 1)
		s.run("busy", "")
		for i := 0; !s.get("busy").Status.Phase.Completed(); i++ {
			patch := fmt.Sprintf(`{"metadata":{"annotations":{"touched":"%d"}}}`, i)
			run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "busy"}}
			if err := s.Client.Patch(t.Context(), run, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
				t.Fatal(err)
			}
		}
		run := s.get("busy")
		if n := s.queries("busy"); n != 5 || run.Status.MetricResults[0].Count != 5 || run.Annotations["touched"] == "" {
			t.Errorf("rule 7: asked %d times for %d readings", n, run.Status.MetricResults[0].Count)
		}
	})

	t.Run("a person ends one", func(t *testing.T) {
		s.count("ended", 1)
		s.run("ended", "")
		s.until("ended", "has a reading", measured(1))
		run := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "ended"}}
		if err := s.Client.Patch(t.Context(), run, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"terminate":true}}`))); err != nil {
			t.Fatal(err)
		}
		if run = s.ends("ended"); run.Status.Phase != v1alpha1.AnalysisPhaseInconclusive {
			t.Errorf("rule 22: %s, %q", run.Status.Phase, run.Status.Message)
		}
	})

	t.Run("one that is over is deleted in time", func(t *testing.T) {
		s.count("short", 1)
		s.run("short", "  ttlStrategy: {secondsAfterSuccess: 1}\n")
		s.Eventually("run short is gone", func() error {
			return client.IgnoreNotFound(s.gone("short"))
		})
	})
}

// gone is nil, or not found, once the run is gone.
func (s *stand) gone(name string) error {
	err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &v1alpha1.AnalysisRun{})
	if err == nil {
		return errors.New("it is there")
	}
	return err
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package rollout_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
)

const ratio = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: plain, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: plain}}
  template:
    metadata: {labels: {app: plain}}
    spec:
      containers: [{name: plain, image: "plain:1"}]
  strategy:
    canary:
      steps: [{setWeight: 20}, {pause: {duration: 1}}, {setWeight: 60}]
`

func TestACanaryWithoutARouterShiftsPods(t *testing.T) {
	b := bed.New(t, cluster.Options{Audit: "Metadata"})
	b.Controller()
	b.Namespace("shop")
	b.Apply(ratio)
	first := b.Phase("shop", "plain", v1alpha1.RolloutPhaseHealthy)
	before := writes(t, b, "plain")
	b.Apply(ratio, "plain:1", "plain:2")
	b.Eventually("the new revision is stable", func() error {
		ro := b.Rollout("shop", "plain")
		if ro.Status.StableRS == first.Status.StableRS || ro.Status.Phase != v1alpha1.RolloutPhaseHealthy {
			return fmt.Errorf("stable is %s, %s: %s, step %d", ro.Status.StableRS, ro.Status.Phase, ro.Status.Message, *ro.Status.CurrentStepIndex)
		}
		return nil
	})
	b.Eventually("the Rollout carries the number of its revision", func() error {
		if n := b.Rollout("shop", "plain").Annotations[v1alpha1.AnnotationRevision]; n != "2" {
			return fmt.Errorf("it carries %q", n)
		}
		return nil
	})
	// Speed is a feature: the requests are counted, not timed. Ten are needed;
	// one more is written when pods take longer than their counts wait.
	if n := writes(t, b, "plain") - before; n > 11 {
		t.Errorf("one canary cost %d requests besides Events, want at most 11", n)
	}
}

// writes counts what the controller has asked of the API server for objects
// whose name begins with prefix, Events apart.
func writes(t *testing.T, b *bed.Bed, prefix string) int {
	t.Helper()
	text, err := os.ReadFile(b.Cluster.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		var e struct {
			Stage, Verb, UserAgent string
			RequestURI             string
			ObjectRef              struct{ Resource, Subresource, Name string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Stage != "ResponseComplete" {
			continue
		}
		ours := e.ObjectRef.Resource == "replicasets" && e.ObjectRef.Subresource == "" ||
			e.ObjectRef.Resource == "rollouts" && !strings.Contains(e.RequestURI, "fieldManager=bed") || e.ObjectRef.Resource == "analysisruns"
		reads := e.Verb == "get" || e.Verb == "list" || e.Verb == "watch"
		if ours && !reads && strings.HasPrefix(e.ObjectRef.Name, prefix) && strings.Contains(e.UserAgent, ".test") {
			n++
		}
	}
	return n
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package gitops_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/view"
	"sluice.dev/sluice/internal/view/text"
)

const synced = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "web:1"}]
  strategy:
    canary: {maxUnavailable: 1, maxSurge: 0}
`

// sync applies a manifest as Argo CD does with server-side apply.
func sync(b *bed.Bed, manifest string) {
	b.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &obj.Object); err != nil {
		b.Fatal(err)
	}
	if err := b.Client.Apply(b.Context(), client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("argocd-controller"), client.ForceOwnership); err != nil {
		b.Fatal(err)
	}
}

func edit(b *bed.Bed, manager, patch string) {
	b.Helper()
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	if err := b.Client.Patch(b.Context(), ro, client.RawPatch(types.MergePatchType, []byte(patch)), client.FieldOwner(manager)); err != nil {
		b.Fatal(err)
	}
}

// told are the events about changes by hand, and how often each was sent.
func told(b *bed.Bed) []string {
	b.Helper()
	var list eventsv1.EventList
	if err := b.Client.List(b.Context(), &list, client.InNamespace("shop")); err != nil {
		b.Fatal(err)
	}
	var out []string
	for i := range list.Items {
		if e := &list.Items[i]; e.Reason == v1alpha1.EventChangedByHand {
			out = append(out, e.Note)
			if e.Series != nil {
				b.Errorf("told %d times: %s", e.Series.Count, e.Note)
			}
		}
	}
	return out
}

func shown(b *bed.Bed) string {
	b.Helper()
	return text.Rollout(view.Of(view.Objects{Rollout: b.Rollout("shop", "web")}, time.Now()), text.Options{})
}

func TestAChangeByHandIsToldUntilASyncTakesItBack(t *testing.T) {
	b := bed.New(t, cluster.Options{})
	b.Controller()
	b.Namespace("shop")
	sync(b, synced)
	b.Phase("shop", "web", v1alpha1.RolloutPhaseHealthy)
	if strings.Contains(shown(b), "By hand:") || len(told(b)) > 0 {
		t.Fatalf("before anybody has changed anything: %v\n%s", told(b), shown(b))
	}

	edit(b, "kubectl-edit", `{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"web:2"}]}}}}`)
	b.Eventually("people are told", func() error {
		events, screen := told(b), shown(b)
		if len(events) != 1 || !strings.Contains(events[0], "with kubectl edit (kubectl-edit), at ") || !strings.Contains(events[0], ": spec.template.spec.containers. Argo CD had written it before") {
			return fmt.Errorf("events: %q", events)
		}
		if !strings.Contains(screen, "By hand:         kubectl edit (kubectl-edit) changed spec.template.spec.containers") {
			return fmt.Errorf("shown:\n%s", screen)
		}
		return nil
	})
	// The release of the edit itself goes through many passes: nobody is told again.
	b.Phase("shop", "web", v1alpha1.RolloutPhaseHealthy)
	if events := told(b); len(events) != 1 {
		t.Errorf("events: %q", events)
	}

	sync(b, synced)
	b.Eventually("the line goes away", func() error {
		if screen := shown(b); strings.Contains(screen, "By hand:") {
			return fmt.Errorf("shown:\n%s", screen)
		}
		return nil
	})
	ro := b.Phase("shop", "web", v1alpha1.RolloutPhaseHealthy)
	if got := ro.Spec.Template.Spec.Containers[0].Image; got != "web:1" {
		t.Errorf("the image is %s", got)
	}

	// A pause is a command, and the status is the controller's.
	edit(b, "kubectl-argo-rollouts", `{"spec":{"paused":true}}`)
	b.Eventually("the pause is seen", func() error {
		if ro := b.Rollout("shop", "web"); ro.Status.ObservedGeneration != fmt.Sprint(ro.Generation) {
			return fmt.Errorf("observed %s of %d", ro.Status.ObservedGeneration, ro.Generation)
		}
		return nil
	})
	if events := told(b); len(events) != 1 || strings.Contains(shown(b), "By hand:") {
		t.Errorf("events: %q\n%s", events, shown(b))
	}
}

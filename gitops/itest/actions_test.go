// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package itest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/gitops/scripts"
)

// live is an object as Argo CD reads it.
func (s *service) live(kind schema.GroupVersionKind, name string) *unstructured.Unstructured {
	s.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, obj); err != nil {
		s.Fatal(err)
	}
	return obj
}

// take takes an action for the Rollout.
func (s *service) take(action string) {
	s.Helper()
	s.act(s.live(rollouts, "checkout"), action)
}

// act takes an action: Argo CD's script changes the object, and the difference is
// sent as Argo CD's API server sends it, the status by way of its subresource where
// the kind has one.
func (s *service) act(obj *unstructured.Unstructured, action string) {
	s.Helper()
	changed, err := scripts.Act(obj, action)
	if err != nil {
		s.Fatal(err)
	}
	patch, err := jsonpatch.CreateMergePatch(text(s, obj), text(s, changed))
	if err != nil {
		s.Fatal(err)
	}
	var parts map[string]any
	if err := json.Unmarshal(patch, &parts); err != nil || len(parts) == 0 {
		s.Fatalf("the action %s changes nothing: %s, %v", action, patch, err)
	}
	if _, ok := parts["status"]; ok {
		if err := s.Client.Status().Patch(s.Context(), obj, client.RawPatch(types.MergePatchType, patch)); err != nil {
			s.Fatalf("%s: %v", action, err)
		}
		delete(parts, "status")
	}
	if len(parts) == 0 {
		return
	}
	if patch, err = json.Marshal(parts); err != nil {
		s.Fatal(err)
	}
	if err := s.Client.Patch(s.Context(), obj, client.RawPatch(types.MergePatchType, patch)); err != nil {
		s.Fatalf("%s: %v", action, err)
	}
}

func text(s *service, obj *unstructured.Unstructured) []byte {
	s.Helper()
	out, err := obj.MarshalJSON()
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// offers checks which actions Argo CD's UI offers.
func (s *service) offers(want ...string) {
	s.Helper()
	got, err := scripts.Actions(s.live(rollouts, "checkout"))
	if slices.Sort(want); err != nil || !slices.Equal(got, want) {
		s.Errorf("Argo CD offers %v, %v; want %v", got, err, want)
	}
}

// everyAction takes each of the actions of Argo CD's UI, from a release that waits at
// 10 % on. Whenever the release has come to rest, is is called with the health that
// it is to be in.
func (s *service) everyAction(is func(health string)) {
	s.Helper()
	is("Suspended")
	s.offers("abort", "pause", "promote-full", "restart", "resume", "skip-current-step")
	s.take("resume")
	s.stands("75/25", "Paused")
	s.take("skip-current-step")
	s.stands("50/50", "Paused")
	s.take("abort")
	s.stands("100/0", "Degraded")
	is("Degraded")

	s.take("retry")
	s.stands("90/10", "Paused")
	s.take("pause")
	s.Eventually("a person's pause is seen", func() error {
		if ro := s.Rollout(s.ns, "checkout"); !ro.Spec.Paused || ro.Status.ObservedGeneration != fmt.Sprint(ro.Generation) {
			return fmt.Errorf("paused %v, %s: %s", ro.Spec.Paused, ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
	is("Suspended")
	if !s.Rollout(s.ns, "checkout").Spec.Paused {
		s.Error("the pause that a person asked for has ended")
	}
	s.take("resume")
	s.stands("75/25", "Paused")
	s.take("promote-full")
	s.stands("100/0", "Healthy")
	is("Healthy")
	s.restarted(is)
}

// restarted takes the action that replaces every pod.
func (s *service) restarted(is func(health string)) {
	s.Helper()
	stable := s.Rollout(s.ns, "checkout").Status.StableRS
	old := s.pods()
	// The action names a second; pods that were made in it are new enough.
	s.Eventually("the second in which the newest pod was made is over", func() error {
		var list corev1.PodList
		if err := s.Client.List(s.Context(), &list, client.InNamespace(s.ns)); err != nil {
			return err
		}
		for i := range list.Items {
			if made := list.Items[i].CreationTimestamp; !made.Time.Before(time.Now().Truncate(time.Second)) {
				return fmt.Errorf("pod %s is of %s", list.Items[i].Name, made)
			}
		}
		return nil
	})
	s.take("restart")
	s.Eventually("every pod is another one", func() error {
		now := s.pods()
		for name := range now {
			if old[name] {
				return fmt.Errorf("pod %s is still there", name)
			}
		}
		if len(now) != len(old) {
			return fmt.Errorf("there are %d pods", len(now))
		}
		return nil
	})
	s.stands("100/0", "Healthy")
	is("Healthy")
	if ro := s.Rollout(s.ns, "checkout"); ro.Status.StableRS != stable || ro.Status.RestartedAt == nil {
		s.Errorf("stable was %s, is %s; restarted at %v", stable, ro.Status.StableRS, ro.Status.RestartedAt)
	}
}

// pods are the names of the pods of the stable revision that are not on their way out.
func (s *service) pods() map[string]bool {
	s.Helper()
	var list corev1.PodList
	stable := client.MatchingLabels{v1alpha1.LabelPodTemplateHash: s.Rollout(s.ns, "checkout").Status.StableRS}
	if err := s.Client.List(s.Context(), &list, client.InNamespace(s.ns), stable); err != nil {
		s.Fatal(err)
	}
	out := map[string]bool{}
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			out[list.Items[i].Name] = true
		}
	}
	return out
}

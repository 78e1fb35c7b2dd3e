// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package absent

import (
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
)

// A policy refuses writes of some resources in one namespace, as a webhook that
// is down does.
type policy struct {
	group     string
	resources []string
	// probe is a write that is refused once the policy is in force.
	probe func(s *shop) error
}

func dry(s *shop, kind, name string, status bool) error {
	obj := object(kind, name)
	obj.SetNamespace(s.ns)
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"probe":"1"}}}`))
	if status {
		patch = client.RawPatch(types.MergePatchType, []byte(`{"status":{"message":"probe"}}`))
		return s.Client.Status().Patch(s.Context(), obj, patch, client.DryRunAll)
	}
	return s.Client.Patch(s.Context(), obj, patch, client.DryRunAll)
}

var policies = map[string]policy{
	"the Rollout's status": {"argoproj.io", []string{"rollouts/status"}, func(s *shop) error { return dry(s, "Rollout", "checkout", true) }},
	"every Rollout":        {"argoproj.io", []string{"rollouts", "rollouts/status"}, func(s *shop) error { return dry(s, "Rollout", "checkout", true) }},
	"the analysis runs": {"argoproj.io", []string{"analysisruns"}, func(s *shop) error {
		var runs v1alpha1.AnalysisRunList
		if err := s.Client.List(s.Context(), &runs, client.InNamespace(s.ns)); err != nil || len(runs.Items) == 0 {
			return fmt.Errorf("%d runs: %w", len(runs.Items), err)
		}
		return s.Client.Patch(s.Context(), &runs.Items[0], client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"probe":"1"}}}`)), client.DryRunAll)
	}},
	"the Services": {"", []string{"services"}, func(s *shop) error { return dry(s, "Service", "canary", false) }},
	"the ReplicaSets": {"apps", []string{"replicasets"}, func(s *shop) error {
		sets := &unstructured.UnstructuredList{}
		sets.SetAPIVersion("apps/v1")
		sets.SetKind("ReplicaSetList")
		if err := s.Client.List(s.Context(), sets, client.InNamespace(s.ns)); err != nil || len(sets.Items) == 0 {
			return fmt.Errorf("%d sets: %w", len(sets.Items), err)
		}
		return s.Client.Patch(s.Context(), &sets.Items[0], client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"probe":"1"}}}`)), client.DryRunAll)
	}},
}

// enforce puts the policy into force in the shop's namespace, and returns what
// lifts it.
func (s *shop) enforce(p policy) (lift func()) {
	s.Helper()
	name := s.ns
	rule := admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
		Rule:       admissionv1.Rule{APIGroups: []string{p.group}, APIVersions: []string{"*"}, Resources: p.resources},
	}}
	objs := []client.Object{
		&admissionv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{rule}},
				Validations:      []admissionv1.Validation{{Expression: "false", Message: "nothing goes through here"}},
			},
		},
		&admissionv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
				MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
					MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.ns},
				}},
			},
		},
	}
	for _, o := range objs {
		if err := s.Client.Create(s.Context(), o); err != nil {
			s.Fatal(err)
		}
	}
	s.Eventually("the policy is in force", func() error {
		err := p.probe(s)
		if err == nil || !strings.Contains(err.Error(), "nothing goes through here") {
			return fmt.Errorf("a write gave: %w", err)
		}
		return nil
	})
	return func() {
		s.Helper()
		for _, o := range objs {
			if err := s.Client.Delete(s.Context(), o); err != nil {
				s.Fatal(err)
			}
		}
	}
}

// latch is the mark of an abort on the VirtualService.
func (s *shop) latch() string {
	s.Helper()
	vs := object("VirtualService", "routes")
	vs.SetNamespace(s.ns)
	if err := s.Client.Get(s.Context(), client.ObjectKeyFromObject(vs), vs); err != nil {
		s.Fatal(err)
	}
	return vs.GetAnnotations()[v1alpha1.SluicePrefix+"aborted"]
}

func TestAWriteIsRefused(t *testing.T) {
	s := newSite(t)
	for name, p := range policies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sh := s.open(t)
			sh.datadog.Fail(faultless) // nothing is read before the policy is there
			sh.release(2, 0)
			sh.says("error-rate: Inconclusive")
			lift := sh.enforce(p)
			hash := sh.Rollout(sh.ns, "checkout").Status.CurrentPodHash
			sh.behave(hash, 0.5)
			sh.datadog.Clear()
			sh.Eventually("the traffic is back on stable", func() error {
				if got := sh.split(); got != "100/0" {
					return fmt.Errorf("the weights are %s:\n%s", got, sh.messages())
				}
				return nil
			})
			status := strings.HasPrefix(p.resources[len(p.resources)-1], "rollouts")
			if got := sh.latch(); got != hash+"/1" {
				t.Errorf("latch is %q", got)
			}
			if ro := sh.Rollout(sh.ns, "checkout"); status && ro.Status.Abort {
				t.Error("the status says so although nobody could write it")
			}
			lift()
			ro := sh.aborted()
			if got := sh.split(); got != "100/0" {
				t.Errorf("the weights are %s in the end", got)
			}
			t.Log(ro.Status.Message)
			sh.Eventually("the run is Failed", func() error {
				var runs v1alpha1.AnalysisRunList
				if err := sh.Client.List(sh.Context(), &runs, client.InNamespace(sh.ns)); err != nil {
					return err
				}
				for i := range runs.Items {
					if runs.Items[i].Status.Phase != v1alpha1.AnalysisPhaseFailed {
						return fmt.Errorf("it is %s: %s", runs.Items[i].Status.Phase, runs.Items[i].Status.Message)
					}
				}
				return nil
			})
			// What was aborted stays so until somebody asks for a retry.
			ro.Status.Abort = false
			if err := sh.Client.Status().Patch(sh.Context(), ro, client.RawPatch(types.MergePatchType, []byte(`{"status":{"abort":false}}`))); err != nil {
				t.Fatal(err)
			}
			sh.Eventually("the next attempt is made, and falls too", func() error {
				ro := sh.Rollout(sh.ns, "checkout")
				if sl := ro.Status.Sluice; sl == nil || sl.Attempt != 2 || !ro.Status.Abort {
					return fmt.Errorf("%+v, abort %t: %s", sl, ro.Status.Abort, ro.Status.Message)
				}
				return is(sh.latch(), hash+"/2")
			})
		})
	}
}

// Somebody writes to the Rollout all the time while it is aborted.
func TestAnAbortGetsThroughBesideSomebodyWhoWritesAllTheTime(t *testing.T) {
	s := newSite(t)
	sh := s.open(t)
	sh.datadog.Fail(faultless)
	sh.release(2, 0)
	sh.says("error-rate: Inconclusive")
	stop := make(chan struct{})
	done := make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				done <- n
				return
			default:
			}
			obj := object("Rollout", "checkout")
			obj.SetNamespace(sh.ns)
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"touched":"%d"}}}`, n)
			if err := sh.Client.Patch(sh.Context(), obj, client.RawPatch(types.MergePatchType, patch)); err != nil {
				t.Error(err)
			}
		}
	}()
	sh.behave(sh.Rollout(sh.ns, "checkout").Status.CurrentPodHash, 0.5)
	sh.datadog.Clear()
	sh.Eventually("the traffic is back on stable", func() error {
		if got := sh.split(); got != "100/0" {
			return fmt.Errorf("the weights are %s:\n%s", got, sh.messages())
		}
		return nil
	})
	close(stop)
	t.Logf("%d writes of somebody else", <-done)
	sh.aborted()
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package docs_test

import (
	"fmt"
	"strconv"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
)

// atAStep is a cluster with the release of checkout that the documents speak of:
// paused at 10 %, judged by checkout-7969db57d7-3. No controller runs, so that it
// stays there.
func atAStep(t *testing.T) *session {
	t.Helper()
	b := bed.Bare(t, cluster.Options{})
	b.Namespace("payments")
	b.Namespace(bed.ControllerNamespace)
	s := newSession(b)
	s.run("the CRDs", "kubectl apply --server-side -f config/crd\nkubectl wait crd --all --for=condition=Established")
	s.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "argo-rollouts", Namespace: bed.ControllerNamespace}})
	s.deployment()
	ro := s.paused()
	for i, hash := range []string{"5f6b9c6d4b", "7969db57d7"} {
		labels := map[string]string{"app": "checkout", v1alpha1.LabelPodTemplateHash: hash}
		rs := &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{
				Name: "checkout-" + hash, Namespace: "payments", Labels: labels,
				Annotations: map[string]string{v1alpha1.AnnotationRevision: strconv.Itoa(i + 1)}, OwnerReferences: owned(ro),
			},
			Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(i + 1)},
		}
		rs.Spec.Template.Labels = labels
		s.create(rs)
	}
	s.create(&v1alpha1.AnalysisRun{
		ObjectMeta: metav1.ObjectMeta{
			Name: "checkout-7969db57d7-3", Namespace: "payments",
			Labels: map[string]string{v1alpha1.LabelPodTemplateHash: "7969db57d7"}, OwnerReferences: owned(ro),
		},
		Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{
			Name: "error-rate", SuccessCondition: "result < 0.01",
			Provider: v1alpha1.MetricProvider{Datadog: &v1alpha1.DatadogMetric{APIVersion: "v2", Query: "sum:trace.http.request.errors{service:checkout}.as_count()"}},
		}}},
	})
	return s
}

func (s *session) create(o client.Object) {
	s.Helper()
	if err := s.Client.Create(s.Context(), o); err != nil {
		s.Fatal(err)
	}
}

func owned(ro *v1alpha1.Rollout) []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(ro, v1alpha1.SchemeGroupVersion.WithKind("Rollout"))}
}

func template(version int) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "checkout"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "checkout", Image: fmt.Sprintf("registry.internal/payments/checkout:%d.0.0", version)}}},
	}
}

// deployment is the controller's, as the chart makes it; nothing runs in it.
func (s *session) deployment() {
	s.Helper()
	labels := map[string]string{"app.kubernetes.io/name": "argo-rollouts"}
	s.create(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "argo-rollouts", Namespace: bed.ControllerNamespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "argo-rollouts", Image: "sluice.dev/sluice:v0.1.0"}}},
			},
		},
	})
}

// paused makes the Rollout, and plays the controller that has paused it.
func (s *session) paused() *v1alpha1.Rollout {
	s.Helper()
	s.Apply(virtualService)
	ro := &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Name: "checkout", Namespace: "payments"},
		Spec: v1alpha1.RolloutSpec{
			Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "checkout"}}, Template: template(2),
			Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{Steps: []v1alpha1.CanaryStep{
				{SetWeight: new(int32(10))}, {Pause: &v1alpha1.RolloutPause{}}, {SetWeight: new(int32(50))}, {Pause: &v1alpha1.RolloutPause{}},
			}}},
		},
	}
	s.create(ro)
	ro.Status = v1alpha1.RolloutStatus{
		ObservedGeneration: strconv.FormatInt(ro.Generation, 10), CurrentPodHash: "7969db57d7", StableRS: "5f6b9c6d4b", CurrentStepIndex: new(int32(1)),
		Phase: v1alpha1.RolloutPhasePaused, Message: "CanaryPauseStep",
		PauseConditions: []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonCanaryPauseStep, StartTime: metav1.Now()}},
		Sluice: &v1alpha1.SluiceStatus{Attempt: 1, Attempts: []v1alpha1.RolloutAttempt{{
			Hash: "7969db57d7", Revision: 2, Attempt: 1, Stable: "5f6b9c6d4b", StartedAt: metav1.NowMicro(),
		}}},
	}
	if err := s.Client.Status().Update(s.Context(), ro); err != nil {
		s.Fatal(err)
	}
	return ro
}

const virtualService = `
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: { name: checkout-vsvc, namespace: payments }
spec:
  hosts: [checkout]
  http:
    - name: primary
      route:
        - { destination: { host: checkout-stable }, weight: 90 }
        - { destination: { host: checkout-canary }, weight: 10 }
`

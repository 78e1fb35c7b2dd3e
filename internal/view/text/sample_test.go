// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/view"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

const (
	stable = "7c9d8f6b54"
	canary = "6f8d9c7b5d"
)

// checkout is the guide's Rollout when nothing is under way.
func checkout() *v1alpha1.Rollout {
	pause := func(d string) v1alpha1.CanaryStep {
		return v1alpha1.CanaryStep{Pause: &v1alpha1.RolloutPause{Duration: new(intstr.Parse(d))}}
	}
	weight := func(w int32) v1alpha1.CanaryStep { return v1alpha1.CanaryStep{SetWeight: &w} }
	ro := &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{
			Name: "checkout", Namespace: "payments", UID: "ro", Generation: 4, CreationTimestamp: ago(72 * time.Hour),
		},
		Spec: v1alpha1.RolloutSpec{
			Replicas: new(int32(8)),
			Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{
				CanaryService: "checkout-canary", StableService: "checkout-stable",
				TrafficRouting: &v1alpha1.RolloutTrafficRouting{},
				Steps: []v1alpha1.CanaryStep{
					weight(10), pause("2m"),
					{Analysis: &v1alpha1.RolloutAnalysis{}},
					weight(25), pause("5m"), weight(50), pause("5m"), weight(100),
				},
			}},
		},
		Status: v1alpha1.RolloutStatus{
			ObservedGeneration: "4", StableRS: stable, CurrentPodHash: stable, CurrentStepIndex: new(int32(8)),
			Replicas: 8, UpdatedReplicas: 8, ReadyReplicas: 8, AvailableReplicas: 8,
			Phase: v1alpha1.RolloutPhaseHealthy,
		},
	}
	return ro
}

// releasing is the guide's Rollout with a canary at a step and a weight.
func releasing(step, weight int32) *v1alpha1.Rollout {
	ro := checkout()
	ro.Status.CurrentPodHash = canary
	ro.Status.CurrentStepIndex = &step
	ro.Status.Phase = v1alpha1.RolloutPhaseProgressing
	ro.Status.Message = "waiting for all steps to complete"
	ro.Status.Replicas, ro.Status.ReadyReplicas, ro.Status.AvailableReplicas, ro.Status.UpdatedReplicas = 9, 9, 9, 1
	ro.Status.Canary.Weights = &v1alpha1.TrafficWeights{
		Canary: v1alpha1.WeightDestination{Weight: weight, PodTemplateHash: canary},
		Stable: v1alpha1.WeightDestination{Weight: 100 - weight, PodTemplateHash: stable},
	}
	return ro
}

func owned(kind, owner string) []metav1.OwnerReference {
	return []metav1.OwnerReference{{Kind: kind, Name: owner, UID: types.UID(owner), Controller: new(true)}}
}

func set(hash, tag string, revision, replicas int32, born time.Duration) appsv1.ReplicaSet {
	name := "checkout-" + hash
	rs := appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(name), CreationTimestamp: ago(born), OwnerReferences: owned("Rollout", "ro"),
			Labels:      map[string]string{v1alpha1.LabelPodTemplateHash: hash},
			Annotations: map[string]string{v1alpha1.AnnotationRevision: strconv.Itoa(int(revision))},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &replicas},
		Status: appsv1.ReplicaSetStatus{
			Replicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas,
		},
	}
	rs.Spec.Template.Spec.Containers = []corev1.Container{{Name: "checkout", Image: "registry.internal/payments/checkout:" + tag}}
	return rs
}

func pods(hash string, n int, born time.Duration) []corev1.Pod {
	var out []corev1.Pod
	for i := range n {
		out = append(out, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprintf("checkout-%s-%s", hash, []string{"k2xvz", "9wf5r", "tb6mq", "4hxlc", "zz8pn", "m5d7j", "qv2ks", "r7c4g", "8n6tl", "bj9wd", "x4kfm", "2l5vh", "p6s8q", "d3wzt"}[i]), UID: types.UID(fmt.Sprint(hash, i)),
				CreationTimestamp: ago(born), OwnerReferences: owned("ReplicaSet", "checkout-"+hash),
			},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "checkout"}}},
			Status: corev1.PodStatus{
				Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Ready: true}},
			},
		})
	}
	return out
}

// run is an AnalysisRun of the guide's template; each metric has one reading
// for each value, judged by the guide's limits.
func run(name, kind string, phase v1alpha1.AnalysisPhase, errorRates, latencies []string) v1alpha1.AnalysisRun {
	ar := v1alpha1.AnalysisRun{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "payments", CreationTimestamp: ago(5 * time.Minute), OwnerReferences: owned("Rollout", "ro"),
			Labels:      map[string]string{v1alpha1.LabelPodTemplateHash: canary, v1alpha1.LabelRolloutType: kind},
			Annotations: map[string]string{v1alpha1.AnnotationRevision: "2"},
		},
		Spec: v1alpha1.AnalysisRunSpec{
			Args: []v1alpha1.Argument{
				{Name: "service-name", Value: new("checkout")},
				{Name: "canary-hash", Value: new(canary)},
				{Name: "token", ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}},
			},
			Metrics: []v1alpha1.Metric{gate("error-rate", 0.01, 0.05), gate("p99-latency", 400, 600)},
		},
		Status: v1alpha1.AnalysisRunStatus{
			Phase: phase, StartedAt: new(ago(5 * time.Minute)),
			MetricResults: []v1alpha1.MetricResult{result("error-rate", 0.01, 0.05, errorRates), result("p99-latency", 400, 600, latencies)},
		},
	}
	if kind == v1alpha1.RolloutTypeStep {
		ar.Labels[v1alpha1.LabelStepIndex] = "2"
	}
	return ar
}

func gate(name string, pass, fail float64) v1alpha1.Metric {
	m := v1alpha1.Metric{
		Name: name, InitialDelay: "60s", Interval: "60s", Count: new(intstr.FromInt32(5)), FailureLimit: new(intstr.FromInt32(2)),
		SuccessCondition: fmt.Sprintf("result < %v", pass), FailureCondition: fmt.Sprintf("result >= %v", fail),
	}
	m.Provider.Datadog = &v1alpha1.DatadogMetric{APIVersion: "v2", Interval: "5m"}
	if name == "error-rate" {
		m.Provider.Datadog.Formula = "errors / hits"
		m.Provider.Datadog.Queries = map[string]string{
			"errors": "sum:trace.http.request.errors{service:{{args.service-name}},\nkube_pod_label_rollouts_pod_template_hash:{{args.canary-hash}}}.as_count()\n",
			"hits":   "sum:trace.http.request.hits{service:{{args.service-name}},\nkube_pod_label_rollouts_pod_template_hash:{{args.canary-hash}}}.as_count()\n",
		}
	} else {
		m.Provider.Datadog.Query = "p99:trace.http.request{service:{{args.service-name}},\nkube_pod_label_rollouts_pod_template_hash:{{args.canary-hash}}}\n"
	}
	return m
}

func result(name string, pass, fail float64, values []string) v1alpha1.MetricResult {
	res := v1alpha1.MetricResult{Name: name, Phase: v1alpha1.AnalysisPhaseRunning}
	for i, text := range values {
		at := ago(time.Duration(len(values)-i) * time.Minute)
		m := v1alpha1.Measurement{StartedAt: &at, FinishedAt: new(metav1.NewTime(at.Add(120 * time.Millisecond))), Value: text}
		value, err := strconv.ParseFloat(text, 64)
		switch {
		case text == "":
			m.Phase = v1alpha1.AnalysisPhaseInconclusive
			m.Metadata = map[string]string{"sluice.dev/reason": "NoData"}
			m.Message = "query hits returned no data: sum:trace.http.request.hits{service:checkout,kube_pod_label_rollouts_pod_template_hash:" + canary + "}.as_count()"
			res.Inconclusive++
		case err != nil:
			m.Phase, m.Value, m.Message = v1alpha1.AnalysisPhaseError, "", text
			res.Error++
		case value >= fail:
			m.Phase = v1alpha1.AnalysisPhaseFailed
			res.Failed++
		case value < pass:
			m.Phase = v1alpha1.AnalysisPhaseSuccessful
			res.Successful++
		default:
			m.Phase = v1alpha1.AnalysisPhaseInconclusive
			res.Inconclusive++
		}
		res.Measurements = append(res.Measurements, m)
	}
	res.Count = res.Successful + res.Failed + res.Inconclusive
	return res
}

func finish(ar v1alpha1.AnalysisRun, message string, phases ...v1alpha1.AnalysisPhase) v1alpha1.AnalysisRun {
	ar.Status.CompletedAt = new(ago(time.Minute))
	ar.Status.Message = message
	for i, p := range phases {
		ar.Status.MetricResults[i].Phase = p
		if p == v1alpha1.AnalysisPhaseFailed {
			ar.Status.MetricResults[i].Message = message
		}
	}
	return ar
}

// world is a Rollout with a stable ReplicaSet of eight pods and a canary.
func world(ro *v1alpha1.Rollout, canaryPods int, runs ...v1alpha1.AnalysisRun) view.Objects {
	o := view.Objects{
		Rollout: ro,
		ReplicaSets: []appsv1.ReplicaSet{
			set(stable, "1.0.0", 1, 8, 72*time.Hour),
			set(canary, "1.1.0", 2, int32(canaryPods), 6*time.Minute),
		},
		Pods:         append(pods(stable, 8, 72*time.Hour), pods(canary, canaryPods, 6*time.Minute)...),
		AnalysisRuns: runs,
	}
	return o
}

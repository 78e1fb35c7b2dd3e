// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

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
)

const (
	stableHash = "6f8d9c7b5d"
	canaryHash = "7969db57d7"
)

func rollout() *v1alpha1.Rollout {
	ro := &v1alpha1.Rollout{}
	ro.Namespace, ro.Name, ro.UID = "payments", "checkout", types.UID("7d0f4b0e-54cd-4a6e-a3ac-3b1b7dd6f5b1")
	return ro
}

func owned(ro *v1alpha1.Rollout) []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(ro, v1alpha1.SchemeGroupVersion.WithKind("Rollout"))}
}

func replicaSet(ro *v1alpha1.Rollout, hash string, number int, image string) *appsv1.ReplicaSet {
	rs := &appsv1.ReplicaSet{}
	rs.Namespace, rs.Name, rs.OwnerReferences = ro.Namespace, ro.Name+"-"+hash, owned(ro)
	rs.Labels = map[string]string{"app": "checkout", v1alpha1.LabelPodTemplateHash: hash}
	rs.Annotations = map[string]string{v1alpha1.AnnotationRevision: strconv.Itoa(number)}
	rs.Spec.Template.Labels = rs.Labels
	rs.Spec.Template.Spec.Containers = []corev1.Container{{
		Name: "checkout", Image: image,
		Env: []corev1.EnvVar{{Name: "POOL_SIZE", Value: "16"}, {Name: "DB_PASSWORD", Value: "hunter2"}},
	}}
	return rs
}

func at(offset time.Duration) time.Time { return t0.Add(offset) }

func micro(offset time.Duration) metav1.MicroTime { return metav1.NewMicroTime(at(offset)) }

func mark(offset time.Duration, kind string, value int32, text string) v1alpha1.AttemptMark {
	return v1alpha1.AttemptMark{At: micro(offset), Kind: kind, Value: value, Text: text}
}

const (
	errorsQuery = "sum:trace.http.request.errors{service:checkout,kube_pod_label_rollouts_pod_template_hash:" + canaryHash + "}.as_count()"
	hitsQuery   = "sum:trace.http.request.hits{service:checkout,kube_pod_label_rollouts_pod_template_hash:" + canaryHash + "}.as_count()"
)

func metrics() []v1alpha1.Metric {
	return []v1alpha1.Metric{
		{
			Name: "error-rate", Interval: "60s", InitialDelay: "60s", Count: new(intstr.FromInt32(5)), FailureLimit: new(intstr.FromInt32(2)),
			SuccessCondition: "result < 0.01", FailureCondition: "result >= 0.05", AbortCondition: "result >= 0.5",
			Provider: v1alpha1.MetricProvider{Datadog: &v1alpha1.DatadogMetric{APIVersion: "v2", Aggregator: "sum", Formula: "errors / hits", Queries: map[string]string{"errors": errorsQuery, "hits": hitsQuery}}},
		},
		{
			Name: "p99-latency", Interval: "60s", InitialDelay: "60s", Count: new(intstr.FromInt32(5)), FailureLimit: new(intstr.FromInt32(2)),
			SuccessCondition: "result < 400", FailureCondition: "result >= 600",
			Provider: v1alpha1.MetricProvider{Datadog: &v1alpha1.DatadogMetric{APIVersion: "v2", Query: "p99:trace.http.request{service:checkout}"}},
		},
	}
}

// analysisRun is a run that measured errors of hits requests and latencies, one
// each minute from offset on. A negative number of hits is no data.
func analysisRun(ro *v1alpha1.Rollout, name, kind, step string, offset time.Duration, hits, errors, latency []float64) *v1alpha1.AnalysisRun {
	run := &v1alpha1.AnalysisRun{}
	run.Namespace, run.Name, run.OwnerReferences = ro.Namespace, name, owned(ro)
	run.CreationTimestamp = metav1.NewTime(at(offset))
	run.Labels = map[string]string{v1alpha1.LabelPodTemplateHash: canaryHash, v1alpha1.LabelRolloutType: kind}
	if step != "" {
		run.Labels[v1alpha1.LabelStepIndex] = step
	}
	run.Annotations = map[string]string{KeyAttempt: "1", v1alpha1.AnnotationRevision: "5"}
	run.Spec.Args = []v1alpha1.Argument{
		{Name: "service-name", Value: new("checkout")},
		{Name: "token", ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "dd", Key: "token"}}},
	}
	run.Spec.Metrics = metrics()
	run.Status.StartedAt = stamp(at(offset))
	rate := v1alpha1.MetricResult{Name: "error-rate", Metadata: map[string]string{keyQuery: "errors / hits; errors = " + errorsQuery + "; hits = " + hitsQuery}}
	p99 := v1alpha1.MetricResult{Name: "p99-latency", Metadata: map[string]string{keyQuery: "p99:trace.http.request{service:checkout}"}}
	for i := range hits {
		when := at(offset + time.Duration(i+1)*time.Minute)
		add(&rate, rateReading(when, hits[i], errors[i]))
		m := taken(when, v1alpha1.AnalysisPhaseSuccessful, strconv.FormatFloat(latency[i], 'f', -1, 64))
		delete(m.Metadata, KeyCounts)
		switch {
		case latency[i] >= 600:
			m.Phase = v1alpha1.AnalysisPhaseFailed
		case latency[i] >= 400:
			m.Phase = v1alpha1.AnalysisPhaseInconclusive
		}
		add(&p99, m)
	}
	run.Status.MetricResults = []v1alpha1.MetricResult{rate, p99}
	return run
}

func rateReading(when time.Time, hits, errors float64) v1alpha1.Measurement {
	if hits < 0 {
		m := taken(when, v1alpha1.AnalysisPhaseInconclusive, "")
		m.Message, m.Metadata[keyReason] = `query "hits" returned nothing for the last 5m`, "NoData"
		delete(m.Metadata, KeyCounts)
		return m
	}
	v := errors / hits
	m := taken(when, v1alpha1.AnalysisPhaseSuccessful, strconv.FormatFloat(v, 'f', -1, 64))
	m.Metadata[KeyCounts] = fmt.Sprintf(`{"errors":%g,"hits":%g}`, errors, hits)
	switch {
	case v >= 0.05:
		m.Phase = v1alpha1.AnalysisPhaseFailed
	case v >= 0.01:
		m.Phase = v1alpha1.AnalysisPhaseInconclusive
	}
	return m
}

func add(r *v1alpha1.MetricResult, m v1alpha1.Measurement) {
	r.Measurements = append(r.Measurements, m)
	r.Phase = v1alpha1.AnalysisPhaseSuccessful
	switch m.Phase {
	case v1alpha1.AnalysisPhaseSuccessful:
		r.Successful++
	case v1alpha1.AnalysisPhaseFailed:
		r.Failed++
	case v1alpha1.AnalysisPhaseError:
		r.Error++
		return
	default:
		r.Inconclusive++
	}
	r.Count++
}

func complete(run *v1alpha1.AnalysisRun, offset time.Duration, phase v1alpha1.AnalysisPhase, message string) *v1alpha1.AnalysisRun {
	run.Status.Phase, run.Status.Message, run.Status.CompletedAt = phase, message, stamp(at(offset))
	return run
}

// aborted is a release that was let through one gate and fell at the next.
func aborted() (Objects, *v1alpha1.RolloutAttempt) {
	ro := rollout()
	ended := micro(22*time.Minute + 7*time.Second + 123*time.Millisecond)
	message := `metric "error-rate" failed: 3 measurements failed, 2 are allowed; last value 0.0831`
	attempt := &v1alpha1.RolloutAttempt{
		Hash: canaryHash, Revision: 5, Attempt: 1, Stable: stableHash, StartedAt: micro(0),
		StartedBy: "release pipeline 1842", Manager: "argocd-controller", Commit: "9f2c1d7a64b0",
		Marks: []v1alpha1.AttemptMark{
			mark(0, v1alpha1.MarkStep, 0, "setWeight 10"),
			mark(14*time.Second, v1alpha1.MarkWeight, 10, ""),
			mark(15*time.Second, v1alpha1.MarkStep, 1, "pause 2m0s"),
			mark(2*time.Minute+15*time.Second, v1alpha1.MarkStep, 2, "analysis"),
			mark(5*time.Minute, v1alpha1.MarkHold, 0, `analysis run checkout-`+canaryHash+`-5-2 holds: metric "error-rate": no data for 1m`),
			mark(6*time.Minute+2*time.Second, v1alpha1.MarkHold, 0, ""),
			mark(10*time.Minute+16*time.Second, v1alpha1.MarkStep, 3, "setWeight 25"),
			mark(10*time.Minute+31*time.Second, v1alpha1.MarkWeight, 25, ""),
			mark(10*time.Minute+32*time.Second, v1alpha1.MarkStep, 4, "pause 5m0s"),
			mark(15*time.Minute+32*time.Second, v1alpha1.MarkStep, 5, "setWeight 50"),
			mark(15*time.Minute+50*time.Second, v1alpha1.MarkWeight, 50, ""),
			mark(15*time.Minute+51*time.Second, v1alpha1.MarkStep, 6, "pause 10m0s"),
			mark(22*time.Minute+7*time.Second+123*time.Millisecond, v1alpha1.MarkWeight, 0, ""),
		},
		EndedAt: &ended, Outcome: v1alpha1.OutcomeAborted, Reason: "AnalysisFailed",
		Message: "RolloutAborted: Rollout aborted update to revision 5: " + message,
		Verdict: &v1alpha1.AnalysisVerdict{Run: "checkout-" + canaryHash + "-5", Metric: "error-rate", Message: message, Failed: 3, Limit: 2, Value: "0.0831", At: stamp(ended.Time)},
	}
	guard := analysisRun(ro, "checkout-"+canaryHash+"-5", v1alpha1.RolloutTypeBackground, "", 20*time.Second,
		[]float64{212, 430, 655, -1, -1, 1090, 1132, 1120, 1125, 1118, 1240, 1720, 2310, 2690, 2780, 2802, 3410, 4600, 5210, 5505, 5600},
		[]float64{0, 1, 2, 0, 0, 4, 3, 5, 4, 4, 6, 9, 11, 16, 18, 22, 40, 96, 276, 385, 465},
		[]float64{180, 185, 190, 184, 188, 192, 201, 190, 195, 188, 210, 222, 230, 226, 233, 240, 310, 420, 455, 480, 470})
	complete(guard, 22*time.Minute+7*time.Second, v1alpha1.AnalysisPhaseFailed, message)
	guard.Status.MetricResults[0].Phase, guard.Status.MetricResults[0].Message = v1alpha1.AnalysisPhaseFailed, "3 measurements failed, 2 are allowed"
	for i := range guard.Status.MetricResults {
		res := &guard.Status.MetricResults[i]
		res.Metadata[KeyPast] = Keep("", res.Measurements[:11], PastBudget(2))
		res.Measurements = res.Measurements[11:]
	}
	gate := analysisRun(ro, "checkout-"+canaryHash+"-5-2", v1alpha1.RolloutTypeStep, "2", 2*time.Minute+15*time.Second,
		[]float64{640, 850, -1, 1075, 1088, 1130, 1120}, []float64{2, 3, 0, 4, 4, 3, 5}, []float64{190, 186, 189, 192, 200, 199, 191})
	complete(gate, 10*time.Minute+15*time.Second, v1alpha1.AnalysisPhaseSuccessful, "")
	from, to := replicaSet(ro, stableHash, 4, "registry.example.com/payments/checkout:1.0.0"), replicaSet(ro, canaryHash, 5, "registry.example.com/payments/checkout:1.1.0")
	to.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "POOL_SIZE", Value: "64"}, {Name: "DB_PASSWORD", Value: "correct horse"}, {Name: "CACHE", Value: "on"}}
	total := Total{
		Countable: Countable{Run: guard.Name, Metric: "error-rate"}, Counts: map[string]float64{"errors": 612, "hits": 12840}, From: at(0), To: recorded(),
	}
	return Objects{
		Rollout: ro, ReplicaSets: []*appsv1.ReplicaSet{from, to}, Runs: []*v1alpha1.AnalysisRun{gate, guard}, Totals: []Total{total},
	}, attempt
}

// promoted is a release that went through, with a step that a person passed
// over.
func promoted() (Objects, *v1alpha1.RolloutAttempt) {
	o, a := aborted()
	ended := micro(26 * time.Minute)
	a.Marks = append(a.Marks[:len(a.Marks)-1], mark(25*time.Minute, v1alpha1.MarkStep, 7, "all steps are done"), mark(25*time.Minute+20*time.Second, v1alpha1.MarkWeight, 100, ""))
	a.EndedAt, a.Outcome, a.Reason, a.Message, a.Verdict = &ended, v1alpha1.OutcomePromoted, "", "", nil
	a.Skipped = []v1alpha1.SkippedStep{{Step: 6, What: "pause", At: stamp(at(25 * time.Minute))}}
	complete(o.Runs[0], 10*time.Minute+15*time.Second, v1alpha1.AnalysisPhaseSuccessful, "")
	o.Runs, o.Totals = o.Runs[:1], nil
	return o, a
}

func recorded() time.Time { return at(22*time.Minute + 30*time.Second) }

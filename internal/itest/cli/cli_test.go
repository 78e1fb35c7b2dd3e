// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/config/crd"
	"sluice.dev/sluice/internal/cli"
	"sluice.dev/sluice/internal/cluster"
)

// patience bounds every wait here. It is for broken code, not for slow machines.
const patience = time.Minute

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

// A bench is an API server, a client of it, and the command line.
type bench struct {
	*testing.T
	cluster *cluster.Cluster
	client  client.Client
}

func (b *bench) run(args ...string) (code int, out, errOut string) {
	b.Helper()
	var o, e buffer
	code = b.start(b.Context(), &o, &e, args...)
	return code, o.String(), e.String()
}

func (b *bench) start(ctx context.Context, out, errOut *buffer, args ...string) int {
	args = append([]string{"--kubeconfig", b.cluster.Kubeconfig(), "-n", "payments"}, args...)
	return cli.Main(ctx, cli.Options{Program: "kubectl-argo-rollouts", Out: out, Err: errOut}, args)
}

func (b *bench) eventually(what string, check func() error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			b.Fatalf("%s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	scheme := runtime.NewScheme()
	err = errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme))
	if err != nil {
		t.Fatal(err)
	}
	cl, err := client.New(c.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return &bench{T: t, cluster: c, client: cl}
}

func (b *bench) install() {
	b.Helper()
	files, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil || len(files) == 0 {
		b.Fatalf("no CRDs: %v", err)
	}
	for _, name := range files {
		raw, err := crd.Files.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		var object apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(raw, &object); err != nil {
			b.Fatal(err)
		}
		if err := b.client.Create(b.Context(), &object); err != nil {
			b.Fatal(err)
		}
	}
	b.eventually("the CRDs are served", func() error {
		return errors.Join(
			b.client.List(b.Context(), &v1alpha1.RolloutList{}), b.client.List(b.Context(), &v1alpha1.AnalysisRunList{}),
			b.client.List(b.Context(), &v1alpha1.ExperimentList{}))
	})
}

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "checkout"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "checkout", Image: image}}},
	}
}

var selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "checkout"}}

func (b *bench) create(object client.Object) {
	b.Helper()
	if err := b.client.Create(b.Context(), object); err != nil {
		b.Fatal(err)
	}
}

// release makes a Rollout that is at its second step, with two ReplicaSets.
func (b *bench) release() {
	b.Helper()
	b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "payments"}})
	ro := &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Name: "checkout", Namespace: "payments"},
		Spec: v1alpha1.RolloutSpec{
			Replicas: new(int32(0)), Selector: selector, Template: template("checkout:2"),
			Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{Steps: []v1alpha1.CanaryStep{
				{SetWeight: new(int32(10))}, {Pause: &v1alpha1.RolloutPause{}}, {SetWeight: new(int32(50))},
			}}},
		},
	}
	b.create(ro)
	for i, hash := range []string{"one", "two"} {
		labels := map[string]string{"app": "checkout", v1alpha1.LabelPodTemplateHash: hash}
		rs := &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{
				Name: "checkout-" + hash, Namespace: "payments", Labels: labels,
				Annotations:     map[string]string{v1alpha1.AnnotationRevision: strconv.Itoa(i + 1)},
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(ro, v1alpha1.SchemeGroupVersion.WithKind("Rollout"))},
			},
			Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(fmt.Sprintf("checkout:%d", i+1))},
		}
		rs.Spec.Template.Labels = labels
		b.create(rs)
	}
	b.status(func(s *v1alpha1.RolloutStatus) {
		s.ObservedGeneration, s.CurrentPodHash, s.StableRS, s.CurrentStepIndex = "1", "two", "one", new(int32(1))
		s.Phase, s.Message = v1alpha1.RolloutPhasePaused, "CanaryPauseStep"
		s.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonCanaryPauseStep, StartTime: metav1.Now()}}
	})
	b.create(&v1alpha1.AnalysisRun{
		ObjectMeta: metav1.ObjectMeta{
			Name: "checkout-two-2", Namespace: "payments", Labels: map[string]string{v1alpha1.LabelPodTemplateHash: "two"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(ro, v1alpha1.SchemeGroupVersion.WithKind("Rollout"))},
		},
		Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{
			Name: "error-rate", SuccessCondition: "result < 0.01",
			Provider: v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{URL: "http://example.invalid"}},
		}}},
	})
}

func (b *bench) rollout() *v1alpha1.Rollout {
	b.Helper()
	ro := &v1alpha1.Rollout{}
	if err := b.client.Get(b.Context(), client.ObjectKey{Namespace: "payments", Name: "checkout"}, ro); err != nil {
		b.Fatal(err)
	}
	return ro
}

// status plays the controller.
func (b *bench) status(change func(*v1alpha1.RolloutStatus)) {
	b.Helper()
	b.eventually("the status is written", func() error {
		ro := b.rollout()
		change(&ro.Status)
		ro.Status.ObservedGeneration = strconv.FormatInt(ro.Generation, 10)
		return b.client.Status().Update(b.Context(), ro)
	})
}

func TestCommandsOnARealServer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if code, _, err := b.run("get", "rollout", "checkout"); code != 1 || !strings.Contains(err, "are the CRDs installed?") {
		t.Errorf("without CRDs: %d, %q", code, err)
	}
	b.install()
	b.release()
	if code, out, err := b.run("get", "rollout", "checkout"); code != 0 || !strings.Contains(out, "checkout-two-2") || !strings.Contains(out, "# revision:2") {
		t.Errorf("get: %d, %q, %q", code, out, err)
	}
	if code, _, err := b.run("abort", "chekout"); code != 1 || !strings.Contains(err, "did you mean checkout?") {
		t.Errorf("a wrong name: %d, %q", code, err)
	}
	for _, step := range []struct {
		args string
		ok   func(*v1alpha1.Rollout) bool
	}{
		{"promote checkout", func(ro *v1alpha1.Rollout) bool {
			return len(ro.Status.PauseConditions) == 0 && *ro.Status.CurrentStepIndex == 1
		}},
		{"promote checkout", func(ro *v1alpha1.Rollout) bool { return *ro.Status.CurrentStepIndex == 2 }},
		{"pause checkout", func(ro *v1alpha1.Rollout) bool { return ro.Spec.Paused }},
		{"promote checkout", func(ro *v1alpha1.Rollout) bool { return !ro.Spec.Paused && *ro.Status.CurrentStepIndex == 3 }},
		{"promote checkout --full", func(ro *v1alpha1.Rollout) bool { return ro.Status.PromoteFull }},
		{"abort checkout", func(ro *v1alpha1.Rollout) bool { return ro.Status.Abort }},
		{"retry rollout checkout", func(ro *v1alpha1.Rollout) bool { return !ro.Status.Abort }},
		{"restart checkout", func(ro *v1alpha1.Rollout) bool { return ro.Spec.RestartAt != nil }},
		{"set image checkout *=checkout:3", func(ro *v1alpha1.Rollout) bool { return ro.Spec.Template.Spec.Containers[0].Image == "checkout:3" }},
		{"undo checkout", func(ro *v1alpha1.Rollout) bool {
			return ro.Spec.Template.Spec.Containers[0].Image == "checkout:1" && ro.Spec.Template.Labels[v1alpha1.LabelPodTemplateHash] == ""
		}},
		{"undo checkout --to-revision 2", func(ro *v1alpha1.Rollout) bool { return ro.Spec.Template.Spec.Containers[0].Image == "checkout:2" }},
		{"undo checkout --to-revision 2", func(ro *v1alpha1.Rollout) bool { return ro.Spec.Template.Spec.Containers[0].Image == "checkout:2" }},
	} {
		code, out, err := b.run(strings.Fields(step.args)...)
		if ro := b.rollout(); code != 0 || !step.ok(ro) {
			t.Errorf("%s: %d, %q, %q; spec %+v, status %+v", step.args, code, out, err, ro.Spec, ro.Status)
		}
	}
	if code, out, err := b.run("terminate", "analysisrun", "checkout-two-2"); code != 0 {
		t.Errorf("terminate: %d, %q, %q", code, out, err)
	}
	var run v1alpha1.AnalysisRun
	if err := b.client.Get(t.Context(), client.ObjectKey{Namespace: "payments", Name: "checkout-two-2"}, &run); err != nil || !run.Spec.Terminate {
		t.Errorf("the run is not terminated: %v", err)
	}
	if code, out, _ := b.run("describe", "analysisrun", "checkout-two-2"); code != 0 || !strings.Contains(out, "http://example.invalid") {
		t.Errorf("describe: %d, %q", code, out)
	}
	b.watching()
}

// watching follows the Rollout while the API server dies and comes back.
func (b *bench) watching() {
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	var out, errOut buffer
	done := make(chan int, 1)
	go func() { done <- b.start(ctx, &out, &errOut, "get", "rollout", "checkout", "--watch") }()
	shows := func(part string) func() error {
		return func() error {
			if !strings.Contains(out.String(), part) {
				return fmt.Errorf("%q is not in the output:\n%s\n%s", part, out.String(), errOut.String())
			}
			return nil
		}
	}
	b.eventually("the first drawing", shows("# revision:2"))
	if err := b.cluster.KillAPIServer(); err != nil {
		b.Fatal(err)
	}
	if err := b.cluster.StartAPIServer(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.status(func(s *v1alpha1.RolloutStatus) {
		s.Abort, s.Phase, s.Message = true, v1alpha1.RolloutPhaseDegraded, "RolloutAborted: seen after a restart"
	})
	b.eventually("the drawing after the restart", shows("seen after a restart"))
	if code, _, err := b.run("status", "checkout"); code != 1 || !strings.Contains(err, "seen after a restart") {
		b.Errorf("status: %d, %q", code, err)
	}
	if err := b.client.Delete(b.Context(), b.rollout()); err != nil && !apierrors.IsNotFound(err) {
		b.Fatal(err)
	}
	b.eventually("the end", shows("rollout 'checkout' was deleted"))
	if code := <-done; code != 0 {
		b.Errorf("watching ended with %d", code)
	}
}

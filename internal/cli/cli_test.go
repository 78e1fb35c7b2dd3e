// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

var clock = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

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

// A result is what a command did.
type result struct {
	code     int
	out, err string
}

func empty(t *testing.T) string {
	t.Helper()
	f := t.TempDir() + "/kubeconfig"
	if err := os.WriteFile(f, []byte("apiVersion: v1\nkind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// run runs a command against s, in the namespace payments.
func run(t *testing.T, s *server, args ...string) result {
	t.Helper()
	var out, errOut buffer
	code := Main(t.Context(), options(&out, &errOut), append([]string{"--kubeconfig", empty(t), "--server", s.URL, "-n", "payments"}, args...))
	return result{code, out.String(), errOut.String()}
}

func options(out, errOut *buffer) Options {
	return Options{Program: "/usr/bin/kubectl-argo-rollouts", Out: out, Err: errOut, Now: func() time.Time { return clock }}
}

// checkout is a canary at its second step of three.
func checkout() *v1alpha1.Rollout {
	ro := &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Name: "checkout", Namespace: "payments", UID: "ro", Generation: 1, CreationTimestamp: metav1.NewTime(clock.Add(-time.Hour))},
		Spec: v1alpha1.RolloutSpec{
			Replicas: new(int32(2)),
			Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{Steps: []v1alpha1.CanaryStep{
				{SetWeight: new(int32(10))}, {Pause: &v1alpha1.RolloutPause{}}, {SetWeight: new(int32(50))},
			}}},
		},
		Status: v1alpha1.RolloutStatus{
			ObservedGeneration: "1", CurrentPodHash: "new", StableRS: "old", CurrentStepIndex: new(int32(1)),
			Phase: v1alpha1.RolloutPhaseProgressing, Message: "more replicas need to be updated",
		},
	}
	ro.Spec.Template = template("checkout:3")
	return ro
}

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "checkout"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "checkout", Image: image}}},
	}
}

func (s *server) replicaSet(hash, image, revision string) {
	rs := appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Name: "checkout-" + hash, Namespace: "payments",
		Labels:          map[string]string{v1alpha1.LabelPodTemplateHash: hash},
		Annotations:     map[string]string{v1alpha1.AnnotationRevision: revision},
		OwnerReferences: []metav1.OwnerReference{{UID: "ro", Controller: new(true)}},
	}, Spec: appsv1.ReplicaSetSpec{Template: template(image)}}
	s.put("/apis/apps/v1/namespaces/payments/replicasets", "ReplicaSet", "apps/v1", rs)
}

func analysisRun() *v1alpha1.AnalysisRun {
	return &v1alpha1.AnalysisRun{
		ObjectMeta: metav1.ObjectMeta{
			Name: "checkout-new-2-1", Namespace: "payments", CreationTimestamp: metav1.NewTime(clock.Add(-time.Minute)),
			Labels: map[string]string{v1alpha1.LabelPodTemplateHash: "new"}, OwnerReferences: []metav1.OwnerReference{{UID: "ro", Controller: new(true)}},
		},
		Spec: v1alpha1.AnalysisRunSpec{Metrics: []v1alpha1.Metric{{Name: "error-rate", SuccessCondition: "result < 0.01"}}},
		Status: v1alpha1.AnalysisRunStatus{Phase: v1alpha1.AnalysisPhaseRunning, MetricResults: []v1alpha1.MetricResult{{
			Name: "error-rate", Phase: v1alpha1.AnalysisPhaseRunning, Count: 1, Successful: 1,
			Measurements: []v1alpha1.Measurement{{Phase: v1alpha1.AnalysisPhaseSuccessful, Value: "0.002", StartedAt: new(metav1.NewTime(clock))}},
		}}},
	}
}

func (s *server) run(ar *v1alpha1.AnalysisRun) {
	s.put(apiPath+"/namespaces/payments/analysisruns", "AnalysisRun", "argoproj.io/v1alpha1", ar)
}

func (s *server) experiment() {
	s.put(apiPath+"/namespaces/payments/experiments", "Experiment", "argoproj.io/v1alpha1",
		&v1alpha1.Experiment{ObjectMeta: metav1.ObjectMeta{Name: "ab", Namespace: "payments"}})
}

const rollouts = apiPath + "/namespaces/payments/rollouts/checkout"

// Each verb must send the requests of the Argo Rollouts plugin: path, media
// type and body.
func TestVerbs(t *testing.T) {
	t.Parallel()
	deployment := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "payments"}, Spec: appsv1.DeploymentSpec{Template: template("checkout:3")}}
	for name, tc := range map[string]struct {
		args   string
		change func(*v1alpha1.Rollout)
		want   []string
		out    string
	}{
		"abort":                {args: "abort checkout", want: []string{rollouts + `/status merge-patch+json {"status":{"abort":true}}`}, out: "rollout 'checkout' aborted\n"},
		"a name with its kind": {args: "abort rollout/checkout", want: []string{rollouts + `/status merge-patch+json {"status":{"abort":true}}`}, out: "rollout 'checkout' aborted\n"},
		"retry":                {args: "retry rollout checkout", want: []string{rollouts + `/status merge-patch+json {"status":{"abort":false}}`}, out: "rollout 'checkout' retried\n"},
		"pause":                {args: "pause checkout", want: []string{rollouts + ` merge-patch+json {"spec":{"paused":true}}`}, out: "rollout 'checkout' paused\n"},
		"promote": {
			args: "promote checkout", out: "rollout 'checkout' promoted\n",
			want: []string{rollouts + `/status merge-patch+json {"status":{"pauseConditions":null, "currentStepIndex":2}}`},
		},
		"promote what a person paused": {
			args: "promote checkout", out: "rollout 'checkout' promoted\n", change: func(ro *v1alpha1.Rollout) { ro.Spec.Paused = true },
			want: []string{
				rollouts + `/status merge-patch+json {"status":{"pauseConditions":null, "currentStepIndex":2}}`,
				rollouts + ` merge-patch+json {"spec":{"paused":false}}`,
			},
		},
		"promote --full": {args: "promote checkout --full", want: []string{rollouts + `/status merge-patch+json {"status":{"promoteFull":true}}`}, out: "rollout 'checkout' fully promoted\n"},
		"promote -c":     {args: "promote checkout -c", want: []string{rollouts + `/status merge-patch+json {"status":{"currentStepIndex":2}}`}, out: "rollout 'checkout' promoted\n"},
		"promote -a":     {args: "promote checkout -a", want: []string{rollouts + `/status merge-patch+json {"status":{"currentStepIndex":3}}`}, out: "rollout 'checkout' promoted\n"},
		"restart":        {args: "restart checkout", want: []string{rollouts + ` merge-patch+json {"spec":{"restartAt":"2026-11-22T12:00:00Z"}}`}, out: "rollout 'checkout' restarts in 0s\n"},
		"restart --in":   {args: "restart checkout --in 10s", want: []string{rollouts + ` merge-patch+json {"spec":{"restartAt":"2026-11-22T12:00:10Z"}}`}, out: "rollout 'checkout' restarts in 10s\n"},
		"undo": {
			args: "undo checkout", out: "rollout 'checkout' undo\n",
			want: []string{rollouts + ` json-patch+json [{"op":"replace","path":"/spec/template","value":{"metadata":{"labels":{"app":"checkout"}},"spec":{"containers":[{"name":"checkout","image":"checkout:2","resources":{}}]}}}]`},
		},
		"undo --to-revision": {
			args: "undo checkout --to-revision=1", out: "rollout 'checkout' undo\n",
			want: []string{rollouts + ` json-patch+json [{"op":"replace","path":"/spec/template","value":{"metadata":{"labels":{"app":"checkout"}},"spec":{"containers":[{"name":"checkout","image":"checkout:1","resources":{}}]}}}]`},
		},
		"set image": {
			args: "set image checkout checkout=checkout:4", out: "rollout \"checkout\" image updated\n",
			want: []string{rollouts + ` json-patch+json [{"op":"test","path":"/spec/template/spec/containers/0/name","value":"checkout"},{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"checkout:4"}]`},
		},
		"set image of a workload": {
			args: "set image checkout *=checkout:4", out: "rollout \"checkout\" image updated\n",
			change: func(ro *v1alpha1.Rollout) {
				ro.Spec.WorkloadRef = &v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
			},
			want: []string{`/apis/apps/v1/namespaces/payments/deployments/web json-patch+json [{"op":"test","path":"/spec/template/spec/containers/0/name","value":"checkout"},{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"checkout:4"}]`},
		},
		"terminate analysisrun": {
			args: "terminate analysisrun checkout-new-2-1", out: "analysisrun 'checkout-new-2-1' terminated\n",
			want: []string{apiPath + `/namespaces/payments/analysisruns/checkout-new-2-1 merge-patch+json {"spec":{"terminate":true}}`},
		},
		"terminate experiment": {
			args: "terminate experiment ab", out: "experiment 'ab' terminated\n",
			want: []string{apiPath + `/namespaces/payments/experiments/ab merge-patch+json {"spec":{"terminate":true}}`},
		},
		"retry experiment": {
			args: "retry experiment ab", out: "experiment 'ab' retried\n",
			want: []string{apiPath + `/namespaces/payments/experiments/ab/status merge-patch+json {"status":null}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			ro := checkout()
			if tc.change != nil {
				tc.change(ro)
			}
			s.rollout(ro)
			s.replicaSet("new", "checkout:3", "3")
			s.replicaSet("old", "checkout:2", "2")
			s.replicaSet("older", "checkout:1", "1")
			s.run(analysisRun())
			s.experiment()
			s.put("/apis/apps/v1/namespaces/payments/deployments", "Deployment", "apps/v1", deployment)
			got := run(t, s, strings.Fields(tc.args)...)
			if got.code != 0 || got.out != tc.out {
				t.Errorf("got %+v, want code 0 and %q", got, tc.out)
			}
			if diff := cmp.Diff(tc.want, s.sent()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerbsFallBackToTheObjectItself(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args string
		want []string
	}{
		"abort": {args: "abort checkout", want: []string{
			rollouts + `/status merge-patch+json {"status":{"abort":true}}`,
			rollouts + ` merge-patch+json {"status":{"abort":true}}`,
		}},
		"the patch that unites both takes the place of the second": {args: "promote checkout", want: []string{
			rollouts + `/status merge-patch+json {"status":{"pauseConditions":null, "currentStepIndex":2}}`,
			rollouts + ` merge-patch+json {"spec":{"paused":false},"status":{"pauseConditions":null, "currentStepIndex":2}}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.noStatus = true
			ro := checkout()
			ro.Spec.Paused = true
			s.rollout(ro)
			if got := run(t, s, strings.Fields(tc.args)...); got.code != 0 {
				t.Errorf("got %+v, want code 0", got)
			}
			if diff := cmp.Diff(tc.want, s.sent()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSetImageIsTriedAgainAfterAConflict(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.rollout(checkout())
	s.refuse = 2
	if got := run(t, s, "set", "image", "checkout", "checkout=checkout:4"); got.code != 0 || len(s.sent()) != 3 {
		t.Errorf("got %+v after %d requests, want code 0 after 3", got, len(s.sent()))
	}
}

func TestSeveralNames(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.rollout(checkout())
	got := run(t, s, "abort", "nobody", "checkout")
	if got.code != 1 || got.out != "rollout 'checkout' aborted\n" || !strings.Contains(got.err, "'nobody' not found") {
		t.Errorf("got %+v, want the one aborted and the other named", got)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	elsewhere := checkout()
	elsewhere.Name, elsewhere.Namespace = "cart", "shop"
	for name, tc := range map[string]struct {
		args   string
		server func(*server)
		want   []string
	}{
		"a name with a letter wrong":        {args: "get rollout chekout", want: []string{"rollout 'chekout' not found in namespace payments", "did you mean checkout?"}},
		"a name from another namespace":     {args: "abort cart", want: []string{"rollout 'cart' not found in namespace payments", "namespace shop", "-n"}},
		"a name like no other":              {args: "get rollout x-ray", want: []string{"there is checkout"}},
		"an analysis run that is not there": {args: "describe analysisrun a", want: []string{"analysisrun 'a' not found in namespace payments; there is no analysisrun at all"}},
		"the CRDs are not installed":        {args: "get rollout checkout", server: func(s *server) { s.absent = "/apis/argoproj.io" }, want: []string{"does not serve rollouts.argoproj.io", "CRDs"}},
		"a list without CRDs":               {args: "list rollouts", server: func(s *server) { s.absent = "/apis/argoproj.io" }, want: []string{"does not serve rollouts.argoproj.io", "CRDs"}},
		"no name":                           {args: "abort", want: []string{"which rollout?", "kubectl argo rollouts abort"}},
		"two names where one goes":          {args: "get rollout a b", want: []string{"one rollout at a time"}},
		"an image that is none":             {args: "set image checkout v2", want: []string{`"v2" is not CONTAINER=IMAGE`}},
		"an unknown container":              {args: "set image checkout web=x:1", want: []string{"no container \"web\"", "it has checkout", "nothing was changed"}},
		"two ways to promote":               {args: "promote checkout --full -c", want: []string{"full", "skip-current-step"}},
		"an unknown command":                {args: "promot checkout", want: []string{"promot", "promote"}},
		"an aborted rollout is promoted": {args: "promote checkout --full", want: []string{"is aborted", "retry", "nothing was changed"}, server: func(s *server) {
			ro := checkout()
			ro.Status.Abort = true
			s.rollout(ro)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.rollout(checkout())
			s.rollout(elsewhere)
			if tc.server != nil {
				tc.server(s)
			}
			got := run(t, s, strings.Fields(tc.args)...)
			if got.code != 1 || got.out != "" || len(s.sent()) > 0 {
				t.Errorf("got %+v and %v, want code 1 and nothing sent", got, s.sent())
			}
			for _, part := range tc.want {
				if !strings.Contains(got.err, part) {
					t.Errorf("message %q does not say %q", got.err, part)
				}
			}
		})
	}
}

func TestErrorsBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"the server is not there": {args: []string{"--server", "http://127.0.0.1:1", "list", "rollouts"}, want: "reach the API server at http://127.0.0.1:1"},
		"there is no kubeconfig":  {args: []string{"list", "rollouts"}, want: "no kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errOut buffer
			code := Main(t.Context(), options(&out, &errOut), append([]string{"--kubeconfig", empty(t)}, tc.args...))
			if code != 1 || !strings.Contains(errOut.String(), tc.want) {
				t.Errorf("got %d, %q, want 1 and %q", code, errOut.String(), tc.want)
			}
		})
	}
}

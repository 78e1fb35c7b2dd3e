// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package itest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	_ "istio.io/api/label" // its module holds Istio's CRDs
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
	"sluice.dev/sluice/internal/pace"

	"sluice.dev/sluice/charts/examples"
	"sluice.dev/sluice/charts/examples/argocd"
)

// A repository is the example of the guide on a real API server, and the Argo
// CD that applies it.
type repository struct {
	*bed.Bed
	app     *argocd.Application
	objects []*unstructured.Unstructured
	datadog *datadogtest.Server
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	dd, err := datadogtest.New(datadogtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dd.Close() })
	r := &repository{Bed: bed.New(t, cluster.Options{}), datadog: dd}
	if r.app, err = argocd.Read(examples.Path("guide/application.yaml")); err != nil {
		t.Fatal(err)
	}
	if r.objects, err = examples.Build("guide"); err != nil {
		t.Fatal(err)
	}
	r.Namespace("payments")
	r.Datadog(dd.URL())
	r.strict()
	return r
}

// strict gives the kinds of others their real schemas in place of outlines: of
// Istio its own, of the Vault Secrets Operator what the example uses.
func (r *repository) strict() {
	r.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "istio.io/api").Output()
	if err != nil {
		r.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "kubernetes", "customresourcedefinitions.gen.yaml"))
	if err != nil {
		r.Fatal(err)
	}
	for doc := range strings.SplitSeq(string(text), "\n---\n") {
		var def apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal([]byte(doc), &def); err != nil {
			r.Fatal(err)
		}
		if def.Name == "virtualservices.networking.istio.io" {
			r.schema(def.Name, func(live *apiextensionsv1.CustomResourceDefinition) { live.Spec = def.Spec })
		}
	}
	text, err = os.ReadFile("testdata/vaultstaticsecrets.yaml")
	if err != nil {
		r.Fatal(err)
	}
	props := &apiextensionsv1.JSONSchemaProps{}
	if err := yaml.UnmarshalStrict(text, props); err != nil {
		r.Fatal(err)
	}
	r.schema("vaultstaticsecrets.secrets.hashicorp.com", func(live *apiextensionsv1.CustomResourceDefinition) {
		live.Spec.Versions[0].Schema.OpenAPIV3Schema = props
	})
	for file, from := range map[string]string{"payments/virtualservice.yaml": "weight: 0", "argo-rollouts/vaultstaticsecret.yaml": "mount: secret"} {
		text, err := os.ReadFile(examples.Path("guide/" + file))
		if err != nil {
			r.Fatal(err)
		}
		bad := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(strings.Replace(string(text), from, "nonesuch: 1", 1)), &bad.Object); err != nil {
			r.Fatal(err)
		}
		r.Eventually("an unknown field of a "+bad.GetKind()+" is refused", func() error {
			if err := r.dryRun(bad.DeepCopy()); err == nil || !strings.Contains(err.Error(), "nonesuch") {
				return fmt.Errorf("the API server says %v", err)
			}
			return nil
		})
	}
}

func (r *repository) schema(name string, change func(*apiextensionsv1.CustomResourceDefinition)) {
	r.Helper()
	live := &apiextensionsv1.CustomResourceDefinition{}
	if err := r.Client.Get(r.Context(), client.ObjectKey{Name: name}, live); err != nil {
		r.Fatal(err)
	}
	change(live)
	if err := r.Client.Update(r.Context(), live); err != nil {
		r.Fatal(err)
	}
}

func (r *repository) dryRun(o *unstructured.Unstructured) error {
	return r.Client.Create(r.Context(), o, client.DryRunAll, &client.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
}

// sync is a sync of Argo CD.
func (r *repository) sync() {
	r.Helper()
	if err := r.app.Sync(r.Context(), r.Client, r.objects); err != nil {
		r.Fatal(err)
	}
}

// different is what a would call OutOfSync.
func (r *repository) different(a *argocd.Application) string {
	r.Helper()
	names, err := a.Different(r.Context(), r.Client, r.objects)
	if err != nil {
		r.Fatal(err)
	}
	return strings.Join(names, ", ")
}

// bump is what release.yml commits.
func (r *repository) bump(tag string) {
	r.Helper()
	for _, o := range r.objects {
		if o.GetKind() != v1alpha1.KindRollout {
			continue
		}
		containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
		containers[0].(map[string]any)["image"] = "registry.internal/payments/checkout:" + tag
		if err := unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers"); err != nil {
			r.Fatal(err)
		}
	}
}

// measure has Datadog see requests of a revision, of which some fail.
func (r *repository) measure(hash string, errors float64) {
	tags := map[string]string{"service": "checkout", "kube_pod_label_rollouts_pod_template_hash": hash}
	r.datadog.Count("trace.http.request.hits", tags, time.Now(), 1000)
	r.datadog.Count("trace.http.request.errors", tags, time.Now(), errors)
	r.datadog.Distribution("trace.http.request", tags, time.Now(), 120)
}

func (r *repository) split() string {
	r.Helper()
	vs := &unstructured.Unstructured{}
	vs.SetAPIVersion("networking.istio.io/v1beta1")
	vs.SetKind("VirtualService")
	if err := r.Client.Get(r.Context(), client.ObjectKey{Namespace: "payments", Name: "checkout-vsvc"}, vs); err != nil {
		r.Fatal(err)
	}
	var out []string
	http, _, _ := unstructured.NestedSlice(vs.Object, "spec", "http")
	for _, d := range http[0].(map[string]any)["route"].([]any) {
		w, _, _ := unstructured.NestedInt64(d.(map[string]any), "weight")
		out = append(out, fmt.Sprint(w))
	}
	return strings.Join(out, "/")
}

// release merges a bump, and syncs without a pause until the release has ended.
// It returns the splits that were seen.
func (r *repository) release(tag string, errors float64, end v1alpha1.RolloutPhase) []string {
	r.Helper()
	before := r.Rollout("payments", "checkout").Status.CurrentPodHash
	r.bump(tag)
	if got := r.different(r.app); got != "Rollout checkout" {
		r.Errorf("after the merge %q is out of sync, want the Rollout", got)
	}
	bare := *r.app
	bare.Spec.Ignore = nil
	var seen []string
	r.Eventually("the release of "+tag+" ends", func() error {
		r.sync()
		seen = append(seen, r.split())
		ro := r.Rollout("payments", "checkout")
		if hash := ro.Status.CurrentPodHash; hash != before {
			r.measure(hash, errors)
		}
		if got := r.different(r.app); got != "" {
			r.Fatalf("at %s Argo CD says that %s is out of sync", seen[len(seen)-1], got)
		}
		if now := r.split(); now == "75/25" {
			if got := r.different(&bare); got != "VirtualService checkout-vsvc" {
				r.Fatalf("without ignoreDifferences %q is out of sync, want the VirtualService and nothing else", got)
			}
		}
		if ro.Status.CurrentPodHash == before || ro.Status.Phase != end {
			return fmt.Errorf("it is %s at %s: %s", ro.Status.Phase, seen[len(seen)-1], ro.Status.Message)
		}
		return nil
	})
	return slices.Compact(append(seen, r.split()))
}

// The example is accepted as it is. At a pace that a test can wait for, a merge
// of a good version climbs, and one of a bad version is rolled back, while Argo
// CD syncs all the time.
func TestTheGuidesRepository(t *testing.T) {
	r := newRepository(t)
	for _, o := range r.objects {
		if err := r.dryRun(o.DeepCopy()); err != nil {
			t.Errorf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
		if _, err := pace.Apply(o, 60); err != nil {
			t.Fatal(err)
		}
	}
	r.Controller()
	r.sync()
	r.Phase("payments", "checkout", v1alpha1.RolloutPhaseHealthy)
	for _, o := range r.objects { // what the API server adds to lists would be a difference for ever
		live := o.DeepCopy()
		if err := r.Client.Get(t.Context(), client.ObjectKeyFromObject(o), live); err != nil {
			t.Fatal(err)
		}
		if got := r.different(r.app); strings.Contains(got, o.GetName()) {
			t.Errorf("after the first sync %s is out of sync (-git +live):\n%s", got, cmp.Diff(o.Object["spec"], live.Object["spec"]))
		}
	}

	climb := []string{"100/0", "90/10", "75/25", "50/50", "0/100", "100/0"}
	got := r.release("0123abcd", 1, v1alpha1.RolloutPhaseHealthy)
	if !slices.Contains(got, "0/100") { // it may be over before anybody looks
		climb = slices.Delete(climb, 4, 5)
	}
	if diff := cmp.Diff(climb, got); diff != "" {
		t.Errorf("the splits of a good version (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"100/0", "90/10", "100/0"}, r.release("4567abcd", 100, v1alpha1.RolloutPhaseDegraded)); diff != "" {
		t.Errorf("the splits of a bad version (-want +got):\n%s", diff)
	}
	for _, name := range []string{"checkout-stable", "checkout-canary"} {
		svc := &corev1.Service{}
		if err := r.Client.Get(t.Context(), client.ObjectKey{Namespace: "payments", Name: name}, svc); err != nil {
			t.Fatal(err)
		}
		if svc.Spec.Selector[v1alpha1.LabelPodTemplateHash] == "" {
			t.Errorf("the syncs have taken the hash from the selector of %s", name)
		}
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package absent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/app"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

const (
	apiKey = "api-key-that-nobody-may-see"
	appKey = "app-key-that-nobody-may-see"
)

// objects are everything that one release needs, in a namespace of its own.
const objects = `
apiVersion: v1
kind: Service
metadata: {name: stable}
spec: {selector: {app: checkout}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: canary}
spec: {selector: {app: checkout}, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: routes}
spec:
  hosts: [checkout]
  http:
    - name: primary
      route:
        - {destination: {host: stable}, weight: 100}
        - {destination: {host: canary}, weight: 0}
---
apiVersion: v1
kind: Secret
metadata: {name: token}
stringData: {value: some-token}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: gate}
spec:
  args:
    - name: hash
    - name: token
      valueFrom: {secretKeyRef: {name: token, key: value}}
  metrics:
    - name: error-rate
      interval: 1s
      count: 3
      successCondition: result < 0.01
      failureCondition: result >= 0.05
      failureLimit: 1
      provider:
        datadog:
          apiVersion: v2
          interval: 1m
          requestTimeout: 2s
          secretRef: {name: datadog, namespaced: true}
          formula: errors / hits
          queries:
            errors: "sum:errors{hash:{{args.hash}}}.as_count()"
            hits: "sum:hits{hash:{{args.hash}}}.as_count()"
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: checkout}
spec:
  replicas: 3
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec:
      containers: [{name: checkout, image: "registry.internal/checkout:1"}]
  strategy:
    canary:
      canaryService: canary
      stableService: stable
      trafficRouting:
        istio: {virtualService: {name: routes, routes: [primary]}}
      steps:
        - setWeight: 20
        - pause: {duration: 1}
        - analysis:
            templates: [{templateName: gate}]
            args: [{name: hash, valueFrom: {podTemplateHashValue: Latest}}]
        - setWeight: 50
        - pause: {duration: 1}
`

// A site is a control plane with the controller.
type site struct{ *bed.Bed }

func newSite(t *testing.T) *site {
	t.Helper()
	b := bed.New(t, cluster.Options{})
	b.Namespace(bed.ControllerNamespace)
	b.Controller(func(c *app.Config) { c.ErrorBackoff = time.Second })
	return &site{b}
}

// A shop is one namespace with one Rollout and a Datadog of its own.
type shop struct {
	*bed.Bed
	ns      string
	datadog *datadogtest.Server
	// before is the revision that was there before the release.
	before string
}

// open makes a shop whose first revision is Healthy.
func (s *site) open(t *testing.T, change ...string) *shop {
	t.Helper()
	server, err := datadogtest.New(datadogtest.Options{Keys: []datadogtest.Keys{{API: apiKey, App: appKey}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	b := *s.Bed
	b.TB = t
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(t.Name()))
	sh := &shop{&b, strings.Trim(name[max(0, len(name)-60):], "-"), server, ""}
	sh.Namespace(sh.ns)
	sh.credentials(apiKey, appKey)
	for doc := range strings.SplitSeq(strings.NewReplacer(change...).Replace(objects), "\n---\n") {
		sh.put(doc)
	}
	sh.Phase(sh.ns, "checkout", v1alpha1.RolloutPhaseHealthy)
	return sh
}

// put applies one document in the shop's namespace.
func (s *shop) put(doc string) {
	s.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(doc), &obj.Object); err != nil {
		s.Fatal(err)
	}
	if obj.GetKind() != "ClusterAnalysisTemplate" {
		obj.SetNamespace(s.ns)
	}
	err := s.Client.Apply(s.Context(), client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("bed"), client.ForceOwnership)
	if err != nil {
		s.Fatalf("apply %s %s: %v", obj.GetKind(), obj.GetName(), err)
	}
}

// credentials puts the shop's keys into its Secret.
func (s *shop) credentials(api, app string) {
	s.Helper()
	s.put(fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: datadog}, stringData: {address: "%s", api-key: %s, app-key: %s}}`, s.datadog.URL(), api, app))
}

// document is the part of objects that begins with kind and has name.
func document(kind, name string) string {
	for doc := range strings.SplitSeq(objects, "\n---\n") {
		if strings.Contains(doc, "kind: "+kind+"\n") && strings.Contains(doc, "{name: "+name+"}") {
			return doc
		}
	}
	panic("no " + kind + " " + name)
}

func object(kind, name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(document(kind, name)), &obj.Object); err != nil {
		panic(err)
	}
	return obj
}

// remove deletes an object and waits until it is gone.
func (s *shop) remove(kind, name string) {
	s.Helper()
	obj := object(kind, name)
	obj.SetNamespace(s.ns)
	if err := s.Client.Delete(s.Context(), obj); err != nil {
		s.Fatal(err)
	}
	s.Eventually(kind+" "+name+" is gone", func() error {
		if err := s.Client.Get(s.Context(), client.ObjectKeyFromObject(obj), obj); !apierrors.IsNotFound(err) {
			return fmt.Errorf("get: %w", err)
		}
		return nil
	})
}

// patch changes an object.
func (s *shop) patch(kind, name, body string) {
	s.Helper()
	obj := object(kind, name)
	obj.SetNamespace(s.ns)
	if err := s.Client.Patch(s.Context(), obj, client.RawPatch(types.MergePatchType, []byte(body))); err != nil {
		s.Fatal(err)
	}
}

// release brings out version n. Its traffic is there as soon as its hash is
// known, which may be only when what is missing is back.
func (s *shop) release(n int, errorRate float64) {
	s.Helper()
	s.before = s.Rollout(s.ns, "checkout").Status.CurrentPodHash
	s.patch("Rollout", "checkout", fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"checkout","image":"registry.internal/checkout:%d"}]}}}}`, n))
	go func() {
		for s.Context().Err() == nil {
			ro := &v1alpha1.Rollout{}
			err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: "checkout"}, ro)
			if hash := ro.Status.CurrentPodHash; err == nil && hash != s.before {
				s.behave(hash, errorRate)
				return
			}
			<-time.After(50 * time.Millisecond)
		}
	}()
}

// behave counts a thousand requests to a revision.
func (s *shop) behave(hash string, errorRate float64) {
	tags := map[string]string{"hash": hash}
	s.datadog.Count("hits", tags, time.Now(), 1000)
	s.datadog.Count("errors", tags, time.Now(), 1000*errorRate)
}

// says waits until the Rollout's message, or that of its newest run, has all the
// words, and returns it.
func (s *shop) says(words ...string) string {
	s.Helper()
	var all string
	s.Eventually(fmt.Sprintf("somebody says %q", words), func() error {
		all = s.messages()
		for _, w := range words {
			if !strings.Contains(all, w) {
				return fmt.Errorf("nobody says %q:\n%s", w, all)
			}
		}
		return nil
	})
	return all
}

func (s *shop) messages() string {
	s.Helper()
	ro := s.Rollout(s.ns, "checkout")
	out := []string{fmt.Sprintf("%s: %s", ro.Status.Phase, ro.Status.Message)}
	var runs v1alpha1.AnalysisRunList
	if err := s.Client.List(s.Context(), &runs, client.InNamespace(s.ns)); err != nil {
		s.Fatal(err)
	}
	for i := range runs.Items {
		st := &runs.Items[i].Status
		out = append(out, fmt.Sprintf("%s: %s: %s", runs.Items[i].Name, st.Phase, st.Message))
		for _, m := range st.MetricResults {
			if n := len(m.Measurements); n > 0 {
				last := m.Measurements[n-1]
				out = append(out, fmt.Sprintf("%s: %s %s %s", m.Name, last.Phase, last.Message, last.Metadata[v1alpha1.SluicePrefix+"reason"]))
			}
		}
	}
	return strings.Join(out, "\n")
}

// split is the VirtualService's weights, empty when there is none.
func (s *shop) split() string {
	s.Helper()
	vs := object("VirtualService", "routes")
	vs.SetNamespace(s.ns)
	if err := s.Client.Get(s.Context(), client.ObjectKeyFromObject(vs), vs); err != nil {
		return ""
	}
	routes, _, _ := unstructured.NestedSlice(vs.Object, "spec", "http")
	dests, _, _ := unstructured.NestedSlice(routes[0].(map[string]any), "route")
	var out []string
	for _, d := range dests {
		out = append(out, fmt.Sprint(d.(map[string]any)["weight"]))
	}
	return strings.Join(out, "/")
}

// ends waits until the release is stable and Healthy, and fails if it is
// aborted.
func (s *shop) ends() {
	s.Helper()
	s.Eventually("the release ends by itself", func() error {
		ro := s.Rollout(s.ns, "checkout")
		if ro.Status.Abort {
			s.Fatalf("it was aborted: %s", ro.Status.Message)
		}
		if ro.Status.StableRS == s.before || ro.Status.Phase != v1alpha1.RolloutPhaseHealthy {
			return fmt.Errorf("step %v:\n%s", *ro.Status.CurrentStepIndex, s.messages())
		}
		return nil
	})
}

// aborted waits until the Rollout is Degraded by an abort.
func (s *shop) aborted() *v1alpha1.Rollout {
	s.Helper()
	ro := s.Phase(s.ns, "checkout", v1alpha1.RolloutPhaseDegraded)
	if !ro.Status.Abort {
		s.Fatalf("it is Degraded and not aborted: %s", ro.Status.Message)
	}
	return ro
}

// silent checks that no key is in any object of the namespace but its Secret.
func (s *shop) silent() {
	s.Helper()
	for _, kind := range []metav1.GroupVersionKind{
		{Group: "argoproj.io", Version: "v1alpha1", Kind: "RolloutList"}, {Group: "argoproj.io", Version: "v1alpha1", Kind: "AnalysisRunList"},
		{Group: "events.k8s.io", Version: "v1", Kind: "EventList"},
	} {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(kind.Group + "/" + kind.Version)
		list.SetKind(kind.Kind)
		if err := s.Client.List(s.Context(), list, client.InNamespace(s.ns)); err != nil {
			s.Fatal(err)
		}
		text, err := list.MarshalJSON()
		if err != nil {
			s.Fatal(err)
		}
		for _, key := range []string{apiKey, appKey} {
			if strings.Contains(string(text), key) {
				s.Errorf("a key is in the %s", kind.Kind)
			}
		}
	}
}

// drop deletes an object that is not among the documents.
func (s *shop) drop(kind, name string) {
	s.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion("v1")
	obj.SetKind(kind)
	obj.SetNamespace(s.ns)
	obj.SetName(name)
	if err := s.Client.Delete(s.Context(), obj); err != nil {
		s.Fatal(err)
	}
}

// template creates the cluster's template, so that the first revision is made.
func (s *site) template(t *testing.T) {
	t.Helper()
	b := *s.Bed
	b.TB = t
	(&shop{Bed: &b}).put(clusterTemplate)
}

var clusterTemplate = strings.NewReplacer("kind: AnalysisTemplate", "kind: ClusterAnalysisTemplate", "name: gate", "name: everywhere").Replace(document("AnalysisTemplate", "gate"))

func (s *shop) removeTemplateOfAll(name string) {
	s.Helper()
	if err := s.Client.Delete(s.Context(), &v1alpha1.ClusterAnalysisTemplate{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		s.Fatal(err)
	}
}

// promote resumes a pause, as the command line does.
func (s *shop) promote() {
	s.Helper()
	ro := s.Rollout(s.ns, "checkout")
	if err := s.Client.Status().Patch(s.Context(), ro, client.RawPatch(types.MergePatchType, []byte(`{"status":{"pauseConditions":null}}`))); err != nil {
		s.Fatal(err)
	}
}

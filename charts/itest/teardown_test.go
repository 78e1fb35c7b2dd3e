// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package itest

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
)

// checkout is the guide's, with a pause in the place of each gate.
const checkout = `
apiVersion: v1
kind: Secret
metadata: {namespace: argo-rollouts, name: datadog}
stringData: {address: "https://127.0.0.1:9", apiKey: a, appKey: b}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {namespace: payments, name: checkout-canary-datadog}
spec:
  metrics:
    - name: errors
      interval: 1s
      successCondition: result < 0.01
      failureCondition: result >= 0.05
      provider: {datadog: {apiVersion: v2, query: "sum:errors{*}"}}
---
apiVersion: v1
kind: Service
metadata: {namespace: payments, name: checkout-stable}
spec: {selector: {app: checkout}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: payments, name: checkout-canary}
spec: {selector: {app: checkout}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: payments, name: checkout-vsvc}
spec:
  hosts: [checkout]
  http:
    - name: primary
      route:
        - {destination: {host: checkout-stable}, weight: 100}
        - {destination: {host: checkout-canary}, weight: 0}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {namespace: payments, name: checkout}
spec:
  replicas: 2
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec: {containers: [{name: checkout, image: "checkout:1"}]}
  strategy:
    canary:
      stableService: checkout-stable
      canaryService: checkout-canary
      trafficRouting: {istio: {virtualService: {name: checkout-vsvc, routes: [primary]}}}
      analysis: {templates: [{templateName: checkout-canary-datadog}]}
      steps: [{setWeight: 10}, {pause: {}}, {setWeight: 50}]
`

// blocks are the commands of docs/teardown.md, one list for each block.
func blocks(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/teardown.md")
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		out = append(out, strings.Split(m[1], "\n"))
	}
	if len(out) != 4 {
		t.Fatalf("docs/teardown.md has %d blocks of commands, want 4: the teardown, the CRDs, the orphans, and by hand", len(out))
	}
	return out
}

// A teardown is a cluster in which the guide's set-up is made and taken down.
type teardown struct {
	*shell
	before map[string]bool
}

func TestTheTeardownLeavesNothing(t *testing.T) {
	s := newStand(t, cluster.Options{})
	s.Namespace("payments")
	s.Eventually("the namespace is furnished", func() error {
		return s.get(&corev1.ServiceAccount{}, "payments", "default")
	})
	d := &teardown{shell: newShell(s)}
	d.before = d.Objects()
	commands := blocks(t)
	guides := commands[0][1:]
	if !strings.HasPrefix(commands[0][0], "kubectl argo rollouts abort") || !strings.HasPrefix(guides[0], "kubectl delete rollout") {
		t.Fatalf("docs/teardown.md begins with %q", commands[0][:2])
	}
	for _, step := range []struct {
		name     string
		commands []string
		crds     bool
	}{
		{"as the guide says, in the middle of a release", guides, true},
		{"as the documentation says", commands[0], true},
		{"with the CRDs", append(slices.Clone(commands[0]), commands[1]...), false},
	} {
		if !t.Run(step.name, func(t *testing.T) {
			d.TB = t
			d.furnish()
			for _, command := range step.commands {
				d.do(command)
			}
			d.compare(step.crds)
		}) {
			t.FailNow()
		}
	}
	d.TB = t
	t.Run("orphans, and by hand", func(t *testing.T) {
		d.TB = t
		d.furnish()
		d.orphans(commands[2], commands[3])
	})
}

// furnish installs the chart, runs its controller, and has a release that was
// aborted, with its evidence, and one that is under way.
func (d *teardown) furnish() {
	d.Helper()
	d.Namespace(home)
	values := guided
	values.Set = append(slices.Clone(values.Set), "secretAccess.namespaces.payments={token}")
	if _, err := d.helm(home).Install(d.Context(), ours(d.TB), values); err != nil {
		d.Fatal(err)
	}
	deployment := &appsv1.Deployment{}
	if err := d.get(deployment, home, home); err != nil {
		d.Fatal(err)
	}
	ports := [2]int{freePort(d.TB), freePort(d.TB)}
	d.controller = d.run(deployment, ports[0], ports[1])
	d.leads(ports[0], ports[1], 1)
	d.Apply(checkout)
	d.Phase("payments", "checkout", v1alpha1.RolloutPhaseHealthy)
	d.Apply(checkout, "checkout:1", "checkout:2")
	d.Phase("payments", "checkout", v1alpha1.RolloutPhasePaused)
	d.do("kubectl argo rollouts abort checkout -n payments")
	d.Phase("payments", "checkout", v1alpha1.RolloutPhaseDegraded)
	d.Eventually("there is evidence", func() error {
		for key := range d.Objects() {
			if strings.HasPrefix(key, "configmaps payments/") {
				return nil
			}
		}
		return fmt.Errorf("there is none")
	})
	d.Apply(checkout, "checkout:1", "checkout:3")
	d.Phase("payments", "checkout", v1alpha1.RolloutPhasePaused)
}

// compare waits until the objects are those that there were before, with or
// without the CRDs and the API that they bring.
func (d *teardown) compare(crds bool) {
	d.Helper()
	want := maps.Clone(d.before)
	if crds {
		want["apiservices /v1alpha1.argoproj.io"] = true
		for _, kind := range []string{"rollouts", "analysisruns", "analysistemplates", "clusteranalysistemplates", "experiments"} {
			want["customresourcedefinitions /"+kind+".argoproj.io"] = true
		}
	}
	d.Eventually("nothing of ours remains", func() error {
		if diff := cmp.Diff(want, d.Objects()); diff != "" {
			return fmt.Errorf("there is more (+) or less (-):\n%s", diff)
		}
		return nil
	})
}

// orphans: what is left serves, and can be handed over; a Service that the
// controller did not come to give back is given back by hand.
func (d *teardown) orphans(commands, byHand []string) {
	d.Helper()
	stable := d.Rollout("payments", "checkout").Status.StableRS
	d.do(commands[0])
	d.selects("checkout-stable", stable)
	for _, command := range commands[1:] {
		d.do(command)
	}
	d.selects("checkout-stable", "")
	d.selects("checkout-canary", "")
	d.Apply(checkout)
	stable = d.Phase("payments", "checkout", v1alpha1.RolloutPhaseHealthy).Status.StableRS
	d.controller.stop()
	d.do("kubectl delete rollout checkout -n payments")
	d.selects("checkout-stable", stable)
	for _, command := range byHand {
		d.do(command)
	}
	d.selects("checkout-stable", "")
}

func (d *teardown) selects(name, hash string) {
	d.Helper()
	want := map[string]string{"app": "checkout"}
	if hash != "" {
		want[v1alpha1.LabelPodTemplateHash] = hash
	}
	d.Eventually(fmt.Sprintf("Service %s selects %v", name, want), func() error {
		svc := &corev1.Service{}
		if err := d.get(svc, "payments", name); err != nil {
			return err
		}
		if by := svc.Annotations[v1alpha1.AnnotationManagedByRollouts]; !maps.Equal(svc.Spec.Selector, want) || (by == "") != (hash == "") {
			return fmt.Errorf("it selects %v, and is managed by %q", svc.Spec.Selector, by)
		}
		return nil
	})
}

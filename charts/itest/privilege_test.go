// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package itest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"

	"sluice.dev/sluice/charts/expressions"
	"sluice.dev/sluice/charts/helmtest"
	"sluice.dev/sluice/charts/privilege"
)

var update = flag.Bool("update", false, "rewrite docs/security.md")

// An install is one way to install the chart.
type install struct {
	helmtest.Release
	// account is the controller's ServiceAccount, and its Deployment.
	account string
	// shop is the namespace of the releases.
	shop string
	// heading is that of the section of docs/security.md with its rights.
	heading string
	// calls are what the documentation calls the namespaces.
	calls map[string]string
}

var installs = []install{
	{
		Release: helmtest.Release{Set: []string{"secretAccess.namespaces.payments={token}"}},
		account: "argo-rollouts", shop: "payments", heading: "Cluster",
		calls: map[string]string{"": "everywhere", "argo-rollouts": "its namespace", "payments": "namespaces in `secretAccess.namespaces`"},
	},
	{
		// The CRDs are those of the install before.
		Release: helmtest.Release{Name: "gate", Namespace: "orders", Set: []string{"namespaced=true,installCRDs=false", "secretAccess.names={datadog,token}"}},
		account: "gate-sluice", shop: "orders", heading: "Namespace",
		calls: map[string]string{"orders": "its namespace"},
	},
}

// The rights that the chart grants are those that releases make use of, and
// nothing is denied. The controller runs with the token of its ServiceAccount.
func TestTheRightsAreThoseThatAreUsed(t *testing.T) {
	s := newStand(t, cluster.Options{Audit: "Metadata"})
	for _, in := range installs {
		if !t.Run(in.heading, func(t *testing.T) { s.prove(t, in) }) {
			t.FailNow()
		}
	}
}

func (s *stand) prove(t *testing.T, in install) {
	if in.Namespace == "" {
		in.Namespace = home
	}
	s.namespace(in.Namespace)
	s.Namespace(in.shop)
	in.Set = append(in.Set, "controller.evidence.history=2,controller.evidence.folder="+t.TempDir())
	rel, err := s.helm(in.Namespace).Install(t.Context(), ours(t), in.Release)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := helmtest.Objects(rel.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	granted, err := privilege.Granted(objects, corev1.ObjectReference{Namespace: in.Namespace, Name: in.account})
	if err != nil {
		t.Fatal(err)
	}
	s.play(t, in)
	var denied []privilege.Use
	var unused []privilege.Right
	s.Eventually("each right was used", func() error {
		denied, unused = privilege.Compare(granted, s.used(t, in))
		if left := privilege.Unexplained(unused); len(left) > 0 {
			return fmt.Errorf("granted and not used: %v", left)
		}
		return nil
	})
	for _, use := range denied {
		t.Errorf("denied: %s", use)
	}
	table, err := privilege.Table(granted, unused, in.calls)
	if err != nil {
		t.Fatal(err)
	}
	document(t, in.heading, table)
}

// What the controller has no right to read holds up the Rollouts that need it,
// and no others.
func TestWhatMayNotBeReadHoldsUpNobodyElse(t *testing.T) {
	s := newStand(t, cluster.Options{})
	s.namespace(home)
	rel := helmtest.Release{Set: []string{"namespaced=true,providerRBAC.providers.istio=false"}}
	if _, err := s.helm(home).Install(t.Context(), ours(t), rel); err != nil {
		t.Fatal(err)
	}
	d := &appsv1.Deployment{}
	if err := s.get(d, home, home); err != nil {
		t.Fatal(err)
	}
	ports := [2]int{freePort(t), freePort(t)}
	s.run(d, ports[0], ports[1])
	s.leads(ports[0], ports[1], 1)
	routed := "strategy: {canary: {canaryService: c, stableService: s, trafficRouting: {istio: {virtualService: {name: v}}}}}"
	shared := "strategy: {canary: {steps: [{setWeight: 10}, {analysis: {templates: [{templateName: everywhere, clusterScope: true}]}}]}}"
	s.Apply("{apiVersion: v1, kind: Service, metadata: {namespace: argo-rollouts, name: c}, spec: {selector: {app: checkout}, ports: [{port: 80}]}}")
	s.Apply("{apiVersion: v1, kind: Service, metadata: {namespace: argo-rollouts, name: s}, spec: {selector: {app: checkout}, ports: [{port: 80}]}}")
	apply := func(name, strategy, image string) {
		s.Apply(aRollout, "payments", home, "name: checkout,", "name: "+name+",", "strategy: {canary: {}}", strategy, "checkout:1", image)
	}
	// More than there are workers.
	for i := range 40 {
		apply(fmt.Sprintf("routed-%d", i), routed, "checkout:1")
	}
	apply("shared", shared, "checkout:1")
	apply("plain", "strategy: {canary: {}}", "checkout:1")
	s.Phase(home, "plain", v1alpha1.RolloutPhaseHealthy)
	s.Phase(home, "shared", v1alpha1.RolloutPhaseHealthy) // nothing judges a first revision
	apply("shared", shared, "checkout:2")
	ro := s.Phase(home, "shared", v1alpha1.RolloutPhaseDegraded)
	if !strings.Contains(ro.Status.Message, "everywhere") || !strings.Contains(ro.Status.Message, "--namespaced") {
		t.Errorf("it says %s", ro.Status.Message)
	}
	apply("plain", "strategy: {canary: {}}", "checkout:2")
	s.Phase(home, "plain", v1alpha1.RolloutPhaseHealthy)
}

// play runs releases with two controllers. The second one lists before it
// watches, as all do with an API server that cannot stream lists, and takes
// over when the first one ends.
func (s *stand) play(t *testing.T, in install) {
	t.Helper()
	d := &appsv1.Deployment{}
	if err := s.get(d, in.Namespace, in.account); err != nil {
		t.Fatal(err)
	}
	sh := newShop(t, s, in.shop, in.Namespace)
	ports := [4]int{freePort(t), freePort(t), freePort(t), freePort(t)}
	first := s.run(d, ports[0], ports[1])
	s.leads(ports[0], ports[1], 1)
	second := s.run(d, ports[2], ports[3], "KUBE_FEATURE_WatchListClient=false")
	s.leads(ports[2], ports[3], 0)
	sh.play()
	exports(t, ports[0])
	first.stop()
	s.leads(ports[2], ports[3], 1)
	sh.play()
	second.stop()
}

func (s *stand) used(t *testing.T, in install) []privilege.Use {
	t.Helper()
	log, err := os.Open(s.Cluster.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	used, err := privilege.Used(log, "system:serviceaccount:"+in.Namespace+":"+in.account)
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// document compares a table with the one in docs/security.md.
func document(t *testing.T, heading, table string) {
	t.Helper()
	const file = "../../docs/security.md"
	begin, end := fmt.Sprintf("<!-- rights: %s -->\n", heading), fmt.Sprintf("<!-- end of rights: %s -->\n", heading)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	was, after, okay := strings.Cut(rest, end)
	if !ok || !okay {
		t.Fatalf("%s has no place for the table, between %q and %q", file, begin, end)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(was, table); diff != "" {
		t.Errorf("%s is out of date, run this test with -update: %s", file, diff)
	}
}

// exports compares what a controller exports with what the alerts and the
// dashboard were checked against.
func exports(t *testing.T, port int) {
	t.Helper()
	page, err := answer(port, "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	exported, err := expressions.Read(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	const file = "../testdata/metrics.json"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var recorded expressions.Exported
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	for name, labels := range recorded {
		// Only series that there are have labels.
		if got, ok := exported[name]; !ok || len(got) > 0 && !cmp.Equal(labels, got) {
			t.Errorf("%s is exported with the labels %v; testdata/metrics.json has %v", name, got, labels)
		}
	}
}

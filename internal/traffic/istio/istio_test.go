// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package istio_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/traffic"
	"sluice.dev/sluice/internal/traffic/istio"
	"sluice.dev/sluice/internal/traffic/traffictest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// parse reads an object from YAML and gives it a version.
func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	doc, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(doc); err != nil {
		t.Fatal(err)
	}
	obj.SetResourceVersion("7")
	return obj
}

func golden(t testing.TB, name string) *unstructured.Unstructured {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(doc))
}

func config(vs v1alpha1.IstioVirtualService) istio.Config {
	return istio.Config{
		Routing:       &v1alpha1.IstioTrafficRouting{VirtualService: &vs},
		Namespace:     "payments",
		StableService: stable,
		CanaryService: canary,
		Managed:       []string{"managed"},
	}
}

func router(t testing.TB, c istio.Config) traffic.Router {
	t.Helper()
	r, err := istio.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func to(canary int32) traffic.Change {
	return traffic.Change{Weights: traffic.Weights{Stable: 100 - canary, Canary: canary}}
}

// The guide's VirtualService, through the guide's steps. The patches are the
// whole of what is written.
func TestGuide(t *testing.T) {
	t.Parallel()
	r := router(t, config(v1alpha1.IstioVirtualService{Name: "checkout-vsvc", Routes: []string{"primary"}}))
	obj := golden(t, "guide.yaml")
	latched := to(0)
	latched.Latch = &traffic.Latch{Revision: "5bb7bc5849", Attempt: 1}
	retried := to(10)
	retried.Latch = &traffic.Latch{}
	var out strings.Builder
	for _, want := range []traffic.Change{to(0), to(10), to(25), to(50), to(100), to(0), to(50), latched, retried} {
		patches, err := r.Patch([]*unstructured.Unstructured{obj}, want)
		if err != nil {
			t.Fatal(err)
		}
		if len(patches) == 0 {
			out.WriteString("none\n")
		}
		for _, p := range patches {
			out.WriteString(p.Ref.String() + " " + string(p.JSON) + "\n")
			if obj, err = traffictest.Apply(obj, p.JSON); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := filepath.Join("testdata", "guide.patches")
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("patches (-want +got):\n%s", diff)
	}
}

func TestRefs(t *testing.T) {
	t.Parallel()
	c := config(v1alpha1.IstioVirtualService{})
	c.Version = "v1"
	c.Routing = &v1alpha1.IstioTrafficRouting{VirtualServices: []v1alpha1.IstioVirtualService{
		{Name: "a"}, {Name: "b.mesh"}, {Name: "c.mesh.svc.cluster.local"},
	}}
	var got []string
	for _, ref := range router(t, c).Refs() {
		got = append(got, ref.GroupVersionKind.String()+" "+ref.String())
	}
	want := []string{
		"networking.istio.io/v1, Kind=VirtualService VirtualService payments/a",
		"networking.istio.io/v1, Kind=VirtualService VirtualService mesh/b",
		"networking.istio.io/v1, Kind=VirtualService VirtualService mesh/c",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refs (-want +got):\n%s", diff)
	}
}

func TestNewRefusesWhatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	const at = "spec.strategy.canary"
	for name, tc := range map[string]struct {
		change func(*istio.Config)
		want   string
	}{
		"nothing named": {func(c *istio.Config) { c.Routing = nil }, "no VirtualService is named: " + at + ".trafficRouting.istio"},
		"neither":       {func(c *istio.Config) { c.Routing.VirtualService = nil }, "either virtualService or virtualServices must be set: " + at + ".trafficRouting.istio"},
		"both":          {func(c *istio.Config) { c.Routing.VirtualServices = []v1alpha1.IstioVirtualService{{Name: "b"}} }, "only one of virtualService and virtualServices can be set: " + at + ".trafficRouting.istio"},
		"no name":       {func(c *istio.Config) { c.Routing.VirtualService.Name = "" }, "a VirtualService has no name: " + at + ".trafficRouting.istio.virtualService.name"},
		"no canary":     {func(c *istio.Config) { c.CanaryService = "" }, "the canary Service must be named: " + at + ".canaryService"},
		"no stable":     {func(c *istio.Config) { c.StableService = "" }, "the stable Service must be named: " + at + ".stableService"},
		"one Service":   {func(c *istio.Config) { c.CanaryService = stable }, "the canary and the stable Service are both \"checkout-stable\"; traffic cannot be split between them: " + at + ".canaryService"},
		"subsets":       {func(c *istio.Config) { c.Routing.DestinationRule = &v1alpha1.IstioDestinationRule{Name: "d"} }, "splitting by the subsets of a DestinationRule is not supported; give the stable and the canary version a Service each and split between their hosts: " + at + ".trafficRouting.istio.destinationRule"},
		"one named twice": {func(c *istio.Config) {
			c.Routing = &v1alpha1.IstioTrafficRouting{VirtualServices: []v1alpha1.IstioVirtualService{{Name: "a"}, {Name: "a.payments"}}}
		}, "VirtualService payments/a is listed twice; list all its routes in one place: " + at + ".trafficRouting.istio.virtualServices[1].name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(v1alpha1.IstioVirtualService{Name: "a"})
			tc.change(&c)
			_, err := istio.New(c)
			if err == nil || err.Error() != tc.want || len(traffic.Problems(err)) != 1 {
				t.Errorf("New:\n got %v\nwant %s", err, tc.want)
			}
		})
	}
}

const (
	head   = "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: vs, namespace: payments}, spec: {hosts: [h], "
	tail   = "}}"
	both   = "route: [{destination: {host: checkout-stable}, weight: 70}, {destination: {host: checkout-canary}, weight: 30}]"
	vsName = "VirtualService payments/vs "
	at     = "spec.strategy.canary.trafficRouting.istio.virtualService"
)

// What Observe says of a VirtualService, and how many patches a retreat to
// stable then makes.
func TestObserve(t *testing.T) {
	t.Parallel()
	split := traffic.Weights{Stable: 70, Canary: 30}
	type vs = v1alpha1.IstioVirtualService
	for name, tc := range map[string]struct {
		spec    string
		ask     vs
		want    traffic.Weights
		problem string
		// retreat is the number of patches that take the canary's traffic away.
		retreat int
	}{
		"the only route":            {spec: "http: [{" + both + "}]", want: split, retreat: 1},
		"the only route has a name": {spec: "http: [{name: web, " + both + "}]", want: split, retreat: 1},
		"a route by name": {
			spec: "http: [{" + strings.ReplaceAll(both, "70", "60") + "}, {name: web, " + both + "}]", ask: vs{Routes: []string{"web"}}, want: split, retreat: 1,
		},
		"the only route besides a managed one": {spec: "http: [{name: managed, " + both + "}, {" + both + "}]", want: split, retreat: 1},
		"hosts with a domain": {
			spec: "http: [{route: [{destination: {host: checkout-stable.payments.svc.cluster.local}, weight: 70}, {destination: {host: checkout-canary.payments}, weight: 30}]}]",
			want: split, retreat: 1,
		},
		"a weight that is not written is none": {
			spec: "http: [{route: [{destination: {host: checkout-stable}, weight: 100}, {destination: {host: checkout-canary}}]}]",
			want: traffic.Weights{Stable: 100}, retreat: 1,
		},
		"weights are shares of their sum": {
			spec: "http: [{route: [{destination: {host: checkout-stable}, weight: 3}, {destination: {host: checkout-canary}, weight: 1}]}]",
			want: traffic.Weights{Stable: 75, Canary: 25}, retreat: 1,
		},
		"shares are rounded up": {
			spec: "http: [{route: [{destination: {host: checkout-stable}, weight: 2}, {destination: {host: checkout-canary}, weight: 1}]}]",
			want: traffic.Weights{Stable: 67, Canary: 34}, retreat: 1,
		},
		"no weights at all": {
			spec: "http: [{route: [{destination: {host: checkout-stable}}, {destination: {host: checkout-canary}}]}]", retreat: 1,
		},
		"routes that disagree give the most for each": {
			spec: "http: [{name: a, " + both + "}, {name: b, " + strings.NewReplacer("70", "100", "30", "0").Replace(both) + "}]",
			ask:  vs{Routes: []string{"a", "b"}}, want: traffic.Weights{Stable: 100, Canary: 30}, retreat: 1,
		},
		"TLS by port and hosts": {
			spec: "tls: [{match: [{port: 1, sniHosts: [a]}], route: []}, {match: [{port: 2, sniHosts: [b]}, {port: 2, sniHosts: [a]}], " + both + "}]",
			ask:  vs{TLSRoutes: []v1alpha1.TLSRoute{{Port: 2, SNIHosts: []string{"a", "b"}}}}, want: split, retreat: 1,
		},
		"TLS by hosts": {
			spec: "tls: [{match: [{sniHosts: [a]}], " + both + "}, {match: [{sniHosts: [b]}], route: []}]",
			ask:  vs{TLSRoutes: []v1alpha1.TLSRoute{{SNIHosts: []string{"a"}}}}, want: split, retreat: 1,
		},
		"TCP by port": {
			spec: "tcp: [{match: [{port: 1}], route: []}, {match: [{port: 2}], " + both + "}]",
			ask:  vs{TCPRoutes: []v1alpha1.TCPRoute{{Port: 2}}}, want: split, retreat: 1,
		},
		"the only route of each section": {
			spec: "http: [{" + both + "}], tls: [{" + both + "}], tcp: [{" + both + "}]", want: split, retreat: 1,
		},
		"sections that are not listed and not concerned": {
			spec: "http: [{name: web, " + both + "}], tcp: [{match: [{port: 1}], route: [{destination: {host: db}}]}, {route: [{destination: {host: db}}]}]",
			ask:  vs{Routes: []string{"web"}}, want: split, retreat: 1,
		},
		"another host without weight": {
			spec: "http: [{route: [{destination: {host: other}, weight: 0}, {destination: {host: checkout-stable}, weight: 70}, {destination: {host: checkout-canary}, weight: 30}]}]",
			want: split, retreat: 1,
		},

		"no routes": {spec: "gateways: []", problem: vsName + "has no routes in spec.http, spec.tls or spec.tcp: " + at + ".name"},
		"a name that is not there": {
			spec: "http: [{name: a, " + both + "}, {name: b, " + both + "}, {" + both + "}]", ask: vs{Routes: []string{"primary"}},
			problem: vsName + "has no route \"primary\" in spec.http; it has \"a\", \"b\" and 1 without a name: " + at + ".routes[0]",
		},
		"several routes and none named": {
			spec:    "http: [{name: a, " + both + "}, {" + both + "}]",
			problem: vsName + "has 2 routes in spec.http, so the ones to change must be listed; it has \"a\" and 1 without a name: " + at + ".routes",
		},
		"only managed routes": {
			spec:    "http: [{name: managed, " + both + "}]",
			problem: vsName + "has no route to change besides those that steps create: " + at + ".name",
		},
		"no canary": {
			spec: "http: [{name: primary, route: [{destination: {host: checkout-stable}}]}]", ask: vs{Routes: []string{"primary"}},
			want:    traffic.Weights{Stable: 100},
			problem: vsName + "route \"primary\" has no destination for the canary Service \"checkout-canary\"; it has \"checkout-stable\": spec.strategy.canary.canaryService",
		},
		"no stable": {
			spec:    "http: [{route: [{destination: {host: x}, weight: 50}, {destination: {host: checkout-canary}, weight: 50}]}]",
			want:    traffic.Weights{Canary: 50},
			problem: vsName + "route spec.http[0] has no destination for the stable Service \"checkout-stable\"; it has \"x\", \"checkout-canary\": spec.strategy.canary.stableService",
		},
		"the canary twice": {
			spec:    "http: [{route: [{destination: {host: checkout-stable}}, {destination: {host: checkout-canary}}, {destination: {host: checkout-canary.x}}]}]",
			problem: vsName + "route spec.http[0] has more than one destination for the canary Service \"checkout-canary\": spec.strategy.canary.canaryService",
		},
		"a third host with weight": {
			spec:    "http: [{route: [{destination: {host: checkout-stable}, weight: 60}, {destination: {host: checkout-canary}, weight: 30}, {destination: {host: beta}, weight: 10}]}]",
			want:    traffic.Weights{Stable: 60, Canary: 30},
			problem: vsName + "route spec.http[0] gives a weight of 10 to hosts other than the stable and the canary Service; set it to 0 or remove them; it has \"checkout-stable\", \"checkout-canary\", \"beta\": " + at + ".name",
			retreat: 1,
		},
		"a delegate": {
			spec: "http: [{name: web, delegate: {name: inner, namespace: x}}]", ask: vs{Routes: []string{"web"}},
			problem: vsName + "route \"web\" delegates to VirtualService \"inner\"; name that one instead: " + at + ".name",
		},
		"TLS that is not there": {
			spec: "tls: [{match: [{port: 1, sniHosts: [a]}], " + both + "}]", ask: vs{TLSRoutes: []v1alpha1.TLSRoute{{Port: 1, SNIHosts: []string{"a", "b"}}}},
			problem: vsName + "has no route in spec.tls for port 1 with exactly the SNI hosts \"a\", \"b\": " + at + ".tlsRoutes[0]",
		},
		"TCP on several ports": {
			spec: "tcp: [{match: [{port: 1}, {port: 2}], " + both + "}]", ask: vs{TCPRoutes: []v1alpha1.TCPRoute{{Port: 1}}},
			problem: vsName + "has no route in spec.tcp for port 1: " + at + ".tcpRoutes[0]",
		},
		"routes that match no port": {
			spec: "tcp: [{" + both + "}, {match: [{port: 1}], route: []}], tls: [{match: [{sniHosts: [a]}], " + both + "}]",
			ask:  vs{TCPRoutes: []v1alpha1.TCPRoute{{}}}, want: split, retreat: 1,
		},
		"a port that only a route without conditions could serve": {
			spec: "tcp: [{" + both + "}]", ask: vs{TCPRoutes: []v1alpha1.TCPRoute{{Port: 1}}},
			problem: vsName + "has no route in spec.tcp for port 1: " + at + ".tcpRoutes[0]",
		},
		"one good route and one missing": {
			spec: "http: [{name: a, " + both + "}]", ask: vs{Routes: []string{"a", "b"}}, want: split,
			problem: vsName + "has no route \"b\" in spec.http; it has \"a\": " + at + ".routes[1]", retreat: 1,
		},
		"a section that is not listed but concerned": {
			spec: "http: [{name: a, " + both + "}], tcp: [{match: [{port: 1}], " + both + "}, {match: [{port: 2}], " + both + "}]", ask: vs{Routes: []string{"a"}}, want: split,
			problem: vsName + "has 2 routes in spec.tcp, so the ones to change must be listed; it has 2 without a name: " + at + ".tcpRoutes", retreat: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.ask.Name = "vs"
			r := router(t, config(tc.ask))
			objs := []*unstructured.Unstructured{parse(t, head+tc.spec+tail)}
			got, err := r.Observe(objs)
			if got.Weights != tc.want {
				t.Errorf("weights: got %+v, want %+v", got.Weights, tc.want)
			}
			message := ""
			if err != nil {
				message = err.Error()
			}
			if message != tc.problem {
				t.Errorf("problem:\n got %s\nwant %s", message, tc.problem)
			}
			patches, err := r.Patch(objs, to(0))
			if len(patches) != tc.retreat || (err != nil) != (tc.problem != "") {
				t.Errorf("retreat: %d patches, error %v; want %d", len(patches), err, tc.retreat)
			}
			for _, p := range patches {
				after, err := traffictest.Apply(objs[0], p.JSON)
				if err != nil {
					t.Fatal(err)
				}
				if now, _ := r.Observe([]*unstructured.Unstructured{after}); now.Weights.Canary != 0 {
					t.Errorf("after the retreat the canary has %d", now.Weights.Canary)
				}
			}
			if patches, err := r.Patch(objs, to(31)); tc.problem != "" && (err == nil || patches != nil) {
				t.Errorf("raised in spite of the problem: %v, error %v", patches, err)
			}
		})
	}
}

func TestARetreatLeavesOthersTheirShare(t *testing.T) {
	t.Parallel()
	obj := parse(t, head+"http: [{route: [{destination: {host: checkout-stable}, weight: 60}, {destination: {host: checkout-canary}, weight: 30}, {destination: {host: beta}, weight: 10}]}]"+tail)
	patches, _ := router(t, config(v1alpha1.IstioVirtualService{Name: "vs"})).Patch([]*unstructured.Unstructured{obj}, to(0))
	if len(patches) != 1 {
		t.Fatalf("%d patches, want 1", len(patches))
	}
	after, err := traffictest.Apply(obj, patches[0].JSON)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	route := after.Object["spec"].(object)["http"].([]any)[0].(object)
	for _, d := range route["route"].([]any) {
		got = append(got, d.(object)["weight"].(int64))
	}
	if diff := cmp.Diff([]int64{90, 0, 10}, got); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
}

func TestARouteThatIsListedTwiceIsWrittenOnce(t *testing.T) {
	t.Parallel()
	objs := []*unstructured.Unstructured{golden(t, "guide.yaml")}
	var got [][]traffic.Patch
	for _, routes := range [][]string{{"primary"}, {"primary", "primary"}} {
		patches, err := router(t, config(v1alpha1.IstioVirtualService{Name: "checkout-vsvc", Routes: routes})).Patch(objs, to(10))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, patches)
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Errorf("patches (-once +twice):\n%s", diff)
	}
}

func TestPatchRefusesWhatIsNoSplit(t *testing.T) {
	t.Parallel()
	r := router(t, config(v1alpha1.IstioVirtualService{Name: "checkout-vsvc"}))
	for _, w := range []traffic.Weights{{Stable: 50, Canary: 60}, {Stable: -10, Canary: 110}, {Stable: 0, Canary: 0}} {
		if patches, err := r.Patch([]*unstructured.Unstructured{golden(t, "guide.yaml")}, traffic.Change{Weights: w}); err == nil || patches != nil {
			t.Errorf("%+v: %v, error %v", w, patches, err)
		}
	}
}

func TestAMissingVirtualServiceIsNamed(t *testing.T) {
	t.Parallel()
	r := router(t, config(v1alpha1.IstioVirtualService{Name: "checkout-vsvc"}))
	const want = "VirtualService payments/checkout-vsvc not found: spec.strategy.canary.trafficRouting.istio.virtualService.name"
	for name, objs := range map[string][]*unstructured.Unstructured{"nil": {nil}, "too few": nil} {
		if _, err := r.Observe(objs); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

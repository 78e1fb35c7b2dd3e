// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package istio_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/traffic"
	"sluice.dev/sluice/internal/traffic/istio"
	"sluice.dev/sluice/internal/traffic/traffictest"
)

const (
	stable = "checkout-stable"
	canary = "checkout-canary"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	traffictest.Run(t, world)
}

// object is shorthand for a JSON object.
type object = map[string]any

// A vs is a VirtualService being made up, and what is known of it.
type vs struct {
	spec object
	// ask is how the Rollout refers to it.
	ask v1alpha1.IstioVirtualService
	// weights are the pointers of the weights to change, routes those of the
	// routes.
	weights, routes []string
}

// world makes up one to three VirtualServices with routes of every sort, of
// which a Rollout names some.
func world(t *rapid.T) traffictest.World {
	made := make([]vs, rapid.IntRange(1, 3).Draw(t, "virtual services"))
	routing := &v1alpha1.IstioTrafficRouting{}
	objs := make([]*unstructured.Unstructured, len(made))
	for i := range made {
		made[i] = virtualService(t)
		made[i].ask.Name = fmt.Sprintf("vs%d", i)
		objs[i] = made[i].object(t, i)
		if rapid.Bool().Draw(t, "elsewhere") {
			made[i].ask.Name += rapid.SampledFrom([]string{".mesh", ".mesh.svc.cluster.local"}).Draw(t, "namespace")
		}
		routing.VirtualServices = append(routing.VirtualServices, made[i].ask)
	}
	if len(made) == 1 && rapid.Bool().Draw(t, "singular") {
		routing.VirtualService, routing.VirtualServices = &made[0].ask, nil
	}
	router, err := istio.New(istio.Config{
		Routing: routing, Namespace: "payments", StableService: stable, CanaryService: canary, Managed: []string{"managed"},
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return traffictest.World{
		Router: router, Objects: objs,
		Owned: func(i int, pointer string) bool {
			return pointer == "/metadata/annotations/sluice.dev~1aborted" || slices.Contains(made[i].weights, pointer)
		},
		Disturb: map[string]func(int, object){
			"a route is renamed": func(i int, o object) {
				each(o, made[i].routes, func(route object) {
					if route["name"] != nil {
						route["name"] = "renamed"
					}
				})
			},
			"destinations are swapped": func(i int, o object) {
				each(o, made[i].routes, func(route object) { slices.Reverse(route["route"].([]any)) })
			},
			"a destination is taken out": func(i int, o object) {
				each(o, made[i].routes, func(route object) { route["route"] = route["route"].([]any)[1:] })
			},
			"a route is put in front": func(_ int, o object) {
				for _, section := range []string{"http", "tls", "tcp"} {
					if list, ok := o["spec"].(object)[section].([]any); ok {
						other := object{"route": []any{object{"destination": object{"host": "other"}}}}
						o["spec"].(object)[section] = append([]any{other}, list...)
					}
				}
			},
			"the routes are gone": func(_ int, o object) { o["spec"] = object{} },
		},
	}
}

// each hands over the routes at pointers.
func each(o object, pointers []string, change func(object)) {
	for _, pointer := range pointers {
		parts := strings.Split(pointer, "/")
		index, _ := strconv.Atoi(parts[3])
		change(o["spec"].(object)[parts[2]].([]any)[index].(object))
	}
}

func virtualService(t *rapid.T) vs {
	out := vs{spec: object{"hosts": []any{"checkout"}, "gateways": []any{"mesh"}, "exportTo": []any{"*"}}}
	listed := rapid.Bool().Draw(t, "listed")
	if rapid.Bool().Draw(t, "http") {
		out.http(t, listed)
	}
	if rapid.IntRange(0, 2).Draw(t, "tls") == 0 || len(out.weights) == 0 {
		out.tls(t, listed)
	}
	if rapid.IntRange(0, 2).Draw(t, "tcp") == 0 {
		out.tcp(t, listed)
	}
	return out
}

// http adds HTTP routes: when they are listed any number, otherwise one and
// the managed one.
func (v *vs) http(t *rapid.T, listed bool) {
	var list []any
	for i := range rapid.IntRange(1, 4).Draw(t, "http routes") {
		route := decoration(t)
		name := fmt.Sprintf("route-%d", i)
		ours := i == 0 || listed && rapid.Bool().Draw(t, "ours")
		switch {
		case ours && listed:
			route["name"] = name
			v.ask.Routes = append(v.ask.Routes, name)
		case ours:
		case listed:
			route = foreign(t)
		default:
			route["name"] = "managed"
		}
		if ours {
			v.split(t, route, "http", len(list))
		}
		list = append(list, route)
		if !listed && i > 0 {
			break
		}
	}
	v.spec["http"] = list
}

func (v *vs) tls(t *rapid.T, listed bool) {
	route := object{"match": []any{object{"port": int64(443), "sniHosts": []any{"a.example", "b.example"}}}}
	v.split(t, route, "tls", 0)
	list := []any{route}
	if listed {
		v.ask.TLSRoutes = []v1alpha1.TLSRoute{{Port: 443, SNIHosts: []string{"b.example", "a.example"}}}
		list = append(list, object{
			"match": []any{object{"port": int64(443), "sniHosts": []any{"c.example"}}},
			"route": []any{object{"destination": object{"host": stable}}},
		})
	}
	v.spec["tls"] = list
}

func (v *vs) tcp(t *rapid.T, listed bool) {
	var list []any
	if listed {
		v.ask.TCPRoutes = []v1alpha1.TCPRoute{{Port: 5432}}
		list = append(list, object{"match": []any{object{"port": int64(1)}}, "route": []any{object{"destination": object{"host": stable}}}})
	}
	route := object{"match": []any{object{"port": int64(5432)}}}
	v.split(t, route, "tcp", len(list))
	v.spec["tcp"] = append(list, route)
}

// split gives route, which will be entry at of section, its destinations.
func (v *vs) split(t *rapid.T, route object, section string, at int) {
	type part struct {
		host  string
		other bool
	}
	parts := []part{{host: canary}, {host: stable}}
	if rapid.IntRange(0, 3).Draw(t, "idle") == 0 {
		parts = append(parts, part{host: "idle", other: true})
	}
	parts = rapid.Permutation(parts).Draw(t, "order")
	weight := rapid.Int64Range(0, 100).Draw(t, "weight")
	var destinations []any
	v.routes = append(v.routes, fmt.Sprintf("/spec/%s/%d", section, at))
	for i, p := range parts {
		destination := object{"host": p.host + rapid.SampledFrom([]string{"", ".payments", ".payments.svc.cluster.local"}).Draw(t, "suffix")}
		if rapid.Bool().Draw(t, "port") {
			destination["port"] = object{"number": int64(8080)}
		}
		entry := object{"destination": destination, "headers": object{"response": object{"add": object{"from": p.host}}}}
		switch {
		case p.other:
			if rapid.Bool().Draw(t, "written") {
				entry["weight"] = int64(0)
			}
		case rapid.IntRange(0, 4).Draw(t, "unwritten") > 0:
			entry["weight"] = weight
			weight = 100 - weight
		}
		if !p.other {
			v.weights = append(v.weights, fmt.Sprintf("/spec/%s/%d/route/%d/weight", section, at, i))
		}
		destinations = append(destinations, entry)
	}
	route["route"] = destinations
}

// decoration is what else an HTTP route may have.
func decoration(t *rapid.T) object {
	all := object{
		"match":            []any{object{"uri": object{"prefix": "/"}, "withoutHeaders": object{"x": object{}}}},
		"timeout":          "5s",
		"retries":          object{"attempts": int64(3)},
		"fault":            object{"delay": object{"fixedDelay": "1s", "percentage": object{"value": 0.5}}},
		"mirror":           object{"host": canary},
		"mirrorPercentage": object{"value": 12.5},
		"headers":          object{"request": object{"set": object{"a/b~c": "d"}}},
		"corsPolicy":       object{"allowOrigins": []any{object{"exact": "*"}}},
	}
	route := object{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if rapid.Bool().Draw(t, key) {
			route[key] = all[key]
		}
	}
	return route
}

// foreign is a route that no Rollout names.
func foreign(t *rapid.T) object {
	route := decoration(t)
	switch rapid.IntRange(0, 3).Draw(t, "foreign") {
	case 0:
		route["name"], route["delegate"] = "delegated", object{"name": "else", "namespace": "else"}
	case 1:
		route["name"], route["redirect"] = "moved", object{"uri": "/new"}
	case 2:
		route["name"], route["route"] = "pinned", []any{object{"destination": object{"host": stable}}}
	default:
		route["route"] = []any{
			object{"destination": object{"host": canary}, "weight": int64(30)},
			object{"destination": object{"host": stable}, "weight": int64(70)},
		}
	}
	return route
}

func (v *vs) object(t *rapid.T, i int) *unstructured.Unstructured {
	meta := object{"name": fmt.Sprintf("vs%d", i), "namespace": "payments", "resourceVersion": strconv.Itoa(rapid.IntRange(1, 99).Draw(t, "version"))}
	switch rapid.IntRange(0, 2).Draw(t, "annotations") {
	case 1:
		meta["annotations"] = object{"team": "payments", "sluice.dev/other": "x"}
	case 2:
		meta["annotations"] = object{traffic.AnnotationAborted: "old/1", "team": "payments"}
	}
	return &unstructured.Unstructured{Object: object{
		"apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService", "metadata": meta, "spec": v.spec,
	}}
}

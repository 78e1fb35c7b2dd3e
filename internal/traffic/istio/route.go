// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package istio

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/internal/traffic"
)

// A route is one entry of spec.http, spec.tls or spec.tcp.
type route struct {
	// path is its JSON pointer.
	path string
	name string
	// index and section say where it is, for people: spec.http[2].
	index   int
	section string
	// delegate, when not empty, is the VirtualService that holds the
	// destinations.
	delegate     string
	matches      []match
	destinations []destination
	// stable and canary are indexes into destinations; -1 when it has none.
	stable, canary int
}

// A match is what of a route's condition tells TLS and TCP routes apart.
type match struct {
	port int64
	sni  []string
}

// A destination is one of the hosts that a route sends traffic to.
type destination struct {
	path string
	host string
	// weight as written; set says whether it was.
	weight int64
	set    bool
}

// routes reads the routes of one section of obj.
func routes(obj *unstructured.Unstructured, section string) []route {
	entries, _ := field(obj.Object, "spec", section).([]any)
	out := make([]route, 0, len(entries))
	for i, entry := range entries {
		r := route{path: "/spec/" + section + "/" + strconv.Itoa(i), index: i, section: section, stable: -1, canary: -1}
		r.name, _ = field(entry, "name").(string)
		r.delegate, _ = field(entry, "delegate", "name").(string)
		matches, _ := field(entry, "match").([]any)
		for _, m := range matches {
			r.matches = append(r.matches, match{port: number(field(m, "port")), sni: texts(field(m, "sniHosts"))})
		}
		destinations, _ := field(entry, "route").([]any)
		for j, d := range destinations {
			host, _ := field(d, "destination", "host").(string)
			weight := field(d, "weight")
			r.destinations = append(r.destinations, destination{
				path: r.path + "/route/" + strconv.Itoa(j), host: host, weight: number(weight), set: weight != nil,
			})
		}
		if len(r.destinations) == 1 && !r.destinations[0].set {
			// The only destination gets everything, whatever is not written.
			r.destinations[0].weight = traffic.Whole
		}
		out = append(out, r)
	}
	return out
}

// field walks down into nested objects; nil when there is no such field.
func field(v any, path ...string) any {
	for _, key := range path {
		object, _ := v.(map[string]any)
		v = object[key]
	}
	return v
}

func number(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	default:
		return 0
	}
}

func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// String is the route as problems name it.
func (r *route) String() string {
	if r.name != "" {
		return fmt.Sprintf("route %q", r.name)
	}
	return fmt.Sprintf("route spec.%s[%d]", r.section, r.index)
}

// service is the Service that a host names: what is before the first dot.
func service(host string) string {
	name, _, _ := strings.Cut(host, ".")
	return name
}

// hosts lists the route's hosts for a problem.
func (r *route) hosts() string {
	names := make([]string, len(r.destinations))
	for i, d := range r.destinations {
		names[i] = d.host
	}
	return quoted(names)
}

// others is the weight that destinations of neither version have.
func (r *route) others() int64 {
	var sum int64
	for i, d := range r.destinations {
		if i != r.stable && i != r.canary {
			sum += d.weight
		}
	}
	return sum
}

// weights is what the mesh makes of the route's weights: each is a share of
// their sum, here rounded up so that it is never less than the truth.
func (r *route) weights() traffic.Weights {
	sum := r.others()
	var stable, canary int64
	if r.stable >= 0 {
		stable = r.destinations[r.stable].weight
	}
	if r.canary >= 0 {
		canary = r.destinations[r.canary].weight
	}
	sum += stable + canary
	if sum <= 0 {
		return traffic.Weights{}
	}
	return traffic.Weights{Stable: percent(stable, sum), Canary: percent(canary, sum)}
}

func percent(part, sum int64) int32 {
	return int32((traffic.Whole*part + sum - 1) / sum)
}

// quoted lists names for people.
func quoted(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = strconv.Quote(name)
	}
	return strings.Join(out, ", ")
}

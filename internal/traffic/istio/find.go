// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package istio

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/traffic"
)

// A finder looks for the routes of one VirtualService to change.
type finder struct {
	config Config
	vs     virtualService
	found  []route
	errs   []error
	// taken are the paths of the routes that were found.
	taken map[string]bool
}

// find returns the routes of vs to change, each with its two destinations
// located, and what is wrong. A route that lacks a destination is among them.
func (r *router) find(vs virtualService, obj *unstructured.Unstructured) ([]route, []error) {
	f := &finder{config: r.config, vs: vs, taken: map[string]bool{}}
	if obj == nil {
		f.problem(vs.field+".name", "not found")
		return nil, f.errs
	}
	http, tls, tcp := routes(obj, "http"), routes(obj, "tls"), routes(obj, "tcp")
	if len(http)+len(tls)+len(tcp) == 0 {
		f.problem(vs.field+".name", "has no routes in spec.http, spec.tls or spec.tcp")
		return nil, f.errs
	}
	f.http(http)
	f.tls(tls)
	f.tcp(tcp)
	if len(f.found) == 0 && len(f.errs) == 0 {
		f.problem(vs.field+".name", "has no route to change besides those that steps create")
	}
	return f.found, f.errs
}

func (f *finder) problem(field, format string, args ...any) {
	f.errs = append(f.errs, &traffic.Problem{Object: f.vs.ref.String(), Message: fmt.Sprintf(format, args...), Field: field})
}

// http finds the HTTP routes by name.
func (f *finder) http(all []route) {
	if len(f.vs.spec.Routes) == 0 {
		own := slices.DeleteFunc(slices.Clone(all), func(r route) bool {
			return r.name != "" && slices.Contains(f.config.Managed, r.name)
		})
		f.only(own, "http", ".routes")
		return
	}
	for i, name := range f.vs.spec.Routes {
		at := slices.IndexFunc(all, func(r route) bool { return r.name == name })
		if at < 0 {
			f.problem(fmt.Sprintf("%s.routes[%d]", f.vs.field, i), "has no route %q in spec.http; it has %s", name, names(all))
			continue
		}
		f.take(all[at])
	}
}

// tls finds the TLS routes by port and SNI hosts.
func (f *finder) tls(all []route) {
	if len(f.vs.spec.TLSRoutes) == 0 {
		f.only(all, "tls", ".tlsRoutes")
		return
	}
	for i, want := range f.vs.spec.TLSRoutes {
		f.matching(all, func(r route) bool { return matchesTLS(r, want) },
			fmt.Sprintf("%s.tlsRoutes[%d]", f.vs.field, i),
			fmt.Sprintf("has no route in spec.tls for port %d with exactly the SNI hosts %s", want.Port, quoted(want.SNIHosts)))
	}
}

// tcp finds the TCP routes by port.
func (f *finder) tcp(all []route) {
	if len(f.vs.spec.TCPRoutes) == 0 {
		f.only(all, "tcp", ".tcpRoutes")
		return
	}
	for i, want := range f.vs.spec.TCPRoutes {
		f.matching(all, func(r route) bool { return matchesPort(r, want.Port) },
			fmt.Sprintf("%s.tcpRoutes[%d]", f.vs.field, i),
			fmt.Sprintf("has no route in spec.tcp for port %d", want.Port))
	}
}

// only takes the single route of a section for which none is listed. Where
// another section's routes are listed, a section that has nothing to do with
// the two Services is left alone.
func (f *finder) only(all []route, section, list string) {
	listed := len(f.vs.spec.Routes)+len(f.vs.spec.TLSRoutes)+len(f.vs.spec.TCPRoutes) > 0
	if listed && !slices.ContainsFunc(all, f.concerned) {
		return
	}
	switch len(all) {
	case 0:
	case 1:
		f.take(all[0])
	default:
		f.problem(f.vs.field+list, "has %d routes in spec.%s, so the ones to change must be listed; it has %s", len(all), section, names(all))
	}
}

// concerned reports whether r sends traffic to one of the two Services.
func (f *finder) concerned(r route) bool {
	return slices.ContainsFunc(r.destinations, func(d destination) bool {
		name := service(d.host)
		return name == f.config.CanaryService || name == f.config.StableService
	})
}

// matching takes every route that fits.
func (f *finder) matching(all []route, fits func(route) bool, field, none string) {
	found := false
	for _, r := range all {
		if fits(r) {
			found = true
			f.take(r)
		}
	}
	if !found {
		f.problem(field, "%s", none)
	}
}

// take adds r to the routes found, and says what is wrong with its
// destinations.
func (f *finder) take(r route) {
	if f.taken[r.path] {
		return
	}
	f.taken[r.path] = true
	if r.delegate != "" && len(r.destinations) == 0 {
		f.problem(f.vs.field+".name", "%s delegates to VirtualService %q; name that one instead", &r, r.delegate)
		return
	}
	r.stable = f.destination(r, f.config.StableService, "stable", ".stableService")
	r.canary = f.destination(r, f.config.CanaryService, "canary", ".canaryService")
	if r.stable >= 0 && r.canary >= 0 {
		if n := r.others(); n != 0 {
			f.problem(f.vs.field+".name", "%s gives a weight of %d to hosts other than the stable and the canary Service; "+
				"set it to 0 or remove them; it has %s", &r, n, r.hosts())
		}
	}
	f.found = append(f.found, r)
}

// destination is the index of the one destination of r for the Service name,
// or -1.
func (f *finder) destination(r route, name, role, field string) int {
	index := -1
	for i, d := range r.destinations {
		if service(d.host) != name {
			continue
		}
		if index >= 0 {
			f.problem(atCanary+field, "%s has more than one destination for the %s Service %q", &r, role, name)
			return -1
		}
		index = i
	}
	if index < 0 {
		f.problem(atCanary+field, "%s has no destination for the %s Service %q; it has %s", &r, role, name, r.hosts())
	}
	return index
}

// matchesTLS reports whether r is for want's port alone, and for exactly its
// SNI hosts.
func matchesTLS(r route, want v1alpha1.TLSRoute) bool {
	got, wanted := map[string]bool{}, map[string]bool{}
	for _, m := range r.matches {
		for _, host := range m.sni {
			got[host] = true
		}
	}
	for _, host := range want.SNIHosts {
		wanted[host] = true
	}
	return matchesPort(r, want.Port) && maps.Equal(got, wanted)
}

// matchesPort reports whether r is for port and no other. A route that matches
// no port in particular has port 0.
func matchesPort(r route, port int64) bool {
	if len(r.matches) == 0 {
		return port == 0
	}
	return !slices.ContainsFunc(r.matches, func(m match) bool { return m.port != port })
}

// names lists routes for people.
func names(all []route) string {
	var named []string
	unnamed := 0
	for _, r := range all {
		if r.name == "" {
			unnamed++
			continue
		}
		named = append(named, r.name)
	}
	parts := []string{}
	if len(named) > 0 || unnamed == 0 {
		parts = append(parts, quoted(named))
	}
	if unnamed > 0 {
		parts = append(parts, fmt.Sprintf("%d without a name", unnamed))
	}
	return strings.Join(parts, " and ")
}

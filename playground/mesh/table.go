// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package mesh

import (
	"net"
	"slices"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sluice.dev/sluice/internal/cluster/nodes"

	"sluice.dev/sluice/playground/pods"
)

// HashLabel is the label that tells a pod's revision.
const HashLabel = "rollouts-pod-template-hash"

// An Endpoint is one pod that a request can be sent to.
type Endpoint struct {
	// Pod is the pod's name.
	Pod string
	// Address is the host:port its server listens on.
	Address string
	// Hash is the pod's pod-template hash, Version its image's tag.
	Hash, Version string

	tags map[string]string
}

// A destination is one weighted target of a route.
type destination struct {
	service   string
	weight    int
	endpoints []Endpoint
	turn      atomic.Uint64
}

// next returns the endpoint whose turn it is. There must be one.
func (d *destination) next() Endpoint {
	return d.endpoints[(d.turn.Add(1)-1)%uint64(len(d.endpoints))]
}

// hashes returns the distinct revisions behind d, sorted.
func (d *destination) hashes() []string {
	hs := make([]string, 0, 1)
	for _, e := range d.endpoints {
		hs = append(hs, e.Hash)
	}
	slices.Sort(hs)
	return slices.Compact(hs)
}

// A route is where the requests for the hosts of a VirtualService go.
type route struct {
	name         types.NamespacedName
	version      uint64
	destinations []*destination
	total        int
}

// pick returns the destination that n, in [0, total), falls on.
func (r *route) pick(n int) *destination {
	for _, d := range r.destinations {
		if n < d.weight {
			return d
		}
		n -= d.weight
	}
	return nil
}

// A table maps hosts to routes. It does not change once it is in use.
type table struct{ routes map[string]*route }

// find returns the route for a request's host, which may have a port, nil when
// there is none.
func (t *table) find(host string) *route {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return t.routes[host]
}

// build makes the table of everything that is known. The lock is held.
func (w *world) build() *table {
	t := &table{routes: map[string]*route{}}
	for name, vs := range w.virtualServices {
		r := w.route(name, vs)
		hosts, _, _ := unstructured.NestedStringSlice(vs.Object, "spec", "hosts")
		for _, h := range hosts {
			t.routes[h] = r
			if !strings.Contains(h, ".") {
				t.routes[h+"."+name.Namespace] = r
				t.routes[h+"."+name.Namespace+".svc.cluster.local"] = r
			}
		}
	}
	return t
}

// route reads the weighted destinations of the first HTTP route without a match.
func (w *world) route(name types.NamespacedName, vs *unstructured.Unstructured) *route {
	r := &route{name: name, version: version(vs)}
	https, _, _ := unstructured.NestedSlice(vs.Object, "spec", "http")
	for _, h := range https {
		entry, _ := h.(map[string]any)
		if matches, _, _ := unstructured.NestedSlice(entry, "match"); len(matches) > 0 {
			continue
		}
		targets, _, _ := unstructured.NestedSlice(entry, "route")
		for _, t := range targets {
			target, _ := t.(map[string]any)
			d := w.destination(name.Namespace, target, len(targets))
			r.destinations = append(r.destinations, d)
			r.total += d.weight
		}
		return r
	}
	return r
}

// destination reads one target; a lone one needs no weight.
func (w *world) destination(namespace string, target map[string]any, of int) *destination {
	host, _, _ := unstructured.NestedString(target, "destination", "host")
	weight, found, _ := unstructured.NestedInt64(target, "weight")
	if !found && of == 1 {
		weight = 100
	}
	name, rest, qualified := strings.Cut(host, ".")
	if qualified {
		namespace, _, _ = strings.Cut(rest, ".")
	}
	return &destination{
		service:   name,
		weight:    int(max(weight, 0)),
		endpoints: w.endpoints(types.NamespacedName{Namespace: namespace, Name: name}),
	}
}

// endpoints returns the ready endpoints of a Service whose pods say where they
// listen, sorted by name.
func (w *world) endpoints(service types.NamespacedName) []Endpoint {
	if w.services[service] == nil {
		return nil
	}
	eps := []Endpoint{}
	for name, s := range w.slices {
		if name.Namespace != service.Namespace || s.Labels[discoveryv1.LabelServiceName] != service.Name {
			continue
		}
		for _, e := range s.Endpoints {
			if ep, ok := w.endpoint(name.Namespace, e); ok {
				eps = append(eps, ep)
			}
		}
	}
	slices.SortFunc(eps, func(a, b Endpoint) int { return strings.Compare(a.Pod, b.Pod) })
	return slices.CompactFunc(eps, func(a, b Endpoint) bool { return a.Pod == b.Pod })
}

// endpoint is the pod behind e, if it is ready and known.
func (w *world) endpoint(namespace string, e discoveryv1.Endpoint) (Endpoint, bool) {
	ready := e.Conditions.Ready == nil || *e.Conditions.Ready
	if !ready || e.TargetRef == nil || e.TargetRef.Kind != "Pod" {
		return Endpoint{}, false
	}
	pod := w.pods[types.NamespacedName{Namespace: namespace, Name: e.TargetRef.Name}]
	if pod == nil || pod.Annotations[nodes.ListenerAnnotation] == "" {
		return Endpoint{}, false
	}
	return endpointOf(pod), true
}

// endpointOf is pod as an Endpoint, with the tags a tracer in it would send.
func endpointOf(pod *corev1.Pod) Endpoint {
	ep := Endpoint{Pod: pod.Name, Address: pod.Annotations[nodes.ListenerAnnotation], Hash: pod.Labels[HashLabel]}
	if len(pod.Spec.Containers) > 0 {
		_, ep.Version = pods.Split(pod.Spec.Containers[0].Image)
	}
	ep.tags = map[string]string{
		TagService: pod.Labels["app"],
		TagHash:    ep.Hash,
		TagVersion: ep.Version,
	}
	return ep
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package istio splits traffic in Istio VirtualServices, between the hosts of
// two Services. It changes the weights of the routes it was told to, and its own
// annotation; everything else in a VirtualService belongs to its author. It
// does not split by the subsets of a DestinationRule.
package istio

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/traffic"
)

// Where the fields that problems name are in a Rollout.
const (
	atCanary   = "spec.strategy.canary"
	istioField = ".trafficRouting.istio"
	atIstio    = atCanary + istioField
)

// DefaultVersion is the version of Istio's API that is used unless the
// controller was told another.
const DefaultVersion = "v1alpha3"

// Config is what a Rollout says about its traffic in Istio.
type Config struct {
	// Routing is spec.strategy.canary.trafficRouting.istio.
	Routing *v1alpha1.IstioTrafficRouting
	// Namespace is the Rollout's.
	Namespace string
	// StableService and CanaryService are the names of the two Services.
	StableService, CanaryService string
	// Managed are the names of the routes that steps create. They are not
	// counted where a VirtualService must have a single route.
	Managed []string
	// Version of Istio's API. Default DefaultVersion.
	Version string
}

// virtualService is one VirtualService and the routes in it to change.
type virtualService struct {
	ref   traffic.Ref
	spec  v1alpha1.IstioVirtualService
	field string
}

// router implements traffic.Router.
type router struct {
	config   Config
	services []virtualService
}

// New returns the router for config. What is wrong with config comes back as
// an error of *traffic.Problem.
func New(config Config) (traffic.Router, error) {
	if config.Version == "" {
		config.Version = DefaultVersion
	}
	r := &router{config: config}
	errs := config.problems()
	if config.Routing != nil {
		seen := map[traffic.Ref]bool{}
		for _, vs := range config.virtualServices() {
			if vs.spec.Name == "" {
				errs = append(errs, &traffic.Problem{Message: "a VirtualService has no name", Field: vs.field + ".name"})
				continue
			}
			if seen[vs.ref] {
				errs = append(errs, &traffic.Problem{Object: vs.ref.String(), Message: "is listed twice; list all its routes in one place", Field: vs.field + ".name"})
			}
			seen[vs.ref] = true
			r.services = append(r.services, vs)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// problems are the faults of c that can be seen without its VirtualServices.
func (c Config) problems() []error {
	var errs []error
	add := func(wrong bool, field, message string) {
		if wrong {
			errs = append(errs, &traffic.Problem{Message: message, Field: atCanary + field})
		}
	}
	if r := c.Routing; r == nil {
		add(true, istioField, "no VirtualService is named")
	} else {
		one, many := r.VirtualService != nil, len(r.VirtualServices) > 0
		add(!one && !many, istioField, "either virtualService or virtualServices must be set")
		add(one && many, istioField, "only one of virtualService and virtualServices can be set")
		add(r.DestinationRule != nil, istioField+".destinationRule", "splitting by the subsets of a DestinationRule is not supported; "+
			"give the stable and the canary version a Service each and split between their hosts")
	}
	add(c.StableService == "", ".stableService", "the stable Service must be named")
	add(c.CanaryService == "", ".canaryService", "the canary Service must be named")
	add(c.CanaryService != "" && c.CanaryService == c.StableService, ".canaryService",
		fmt.Sprintf("the canary and the stable Service are both %q; traffic cannot be split between them", c.CanaryService))
	return errs
}

// virtualServices are the VirtualServices that c names, in order.
func (c Config) virtualServices() []virtualService {
	var out []virtualService
	add := func(spec v1alpha1.IstioVirtualService, field string) {
		name, rest, _ := strings.Cut(spec.Name, ".")
		namespace, _, _ := strings.Cut(rest, ".")
		if namespace == "" {
			namespace = c.Namespace
		}
		kind := schema.GroupVersionKind{Group: "networking.istio.io", Version: c.Version, Kind: "VirtualService"}
		ref := traffic.Ref{GroupVersionKind: kind, Namespace: namespace, Name: name}
		out = append(out, virtualService{ref: ref, spec: spec, field: field})
	}
	if c.Routing.VirtualService != nil {
		add(*c.Routing.VirtualService, atIstio+".virtualService")
	}
	for i, spec := range c.Routing.VirtualServices {
		add(spec, fmt.Sprintf("%s.virtualServices[%d]", atIstio, i))
	}
	return out
}

// Refs implements traffic.Router.
func (r *router) Refs() []traffic.Ref {
	refs := make([]traffic.Ref, len(r.services))
	for i, vs := range r.services {
		refs[i] = vs.ref
	}
	return refs
}

// Observe implements traffic.Router.
func (r *router) Observe(objs []*unstructured.Unstructured) (traffic.Observation, error) {
	var out traffic.Observation
	var errs []error
	for i, vs := range r.services {
		routes, problems := r.find(vs, at(objs, i))
		errs = append(errs, problems...)
		for _, route := range routes {
			got := route.weights()
			out.Weights.Stable = max(out.Weights.Stable, got.Stable)
			out.Weights.Canary = max(out.Weights.Canary, got.Canary)
		}
		if out.Latch == (traffic.Latch{}) {
			out.Latch = latch(at(objs, i))
		}
	}
	return out, errors.Join(errs...)
}

// Patch implements traffic.Router.
func (r *router) Patch(objs []*unstructured.Unstructured, want traffic.Change) ([]traffic.Patch, error) {
	if w := want.Weights; w.Stable < 0 || w.Canary < 0 || w.Stable+w.Canary != traffic.Whole {
		return nil, fmt.Errorf("istio: weights %d and %d are no split of %d", w.Stable, w.Canary, traffic.Whole)
	}
	var out []traffic.Patch
	var errs []error
	for i, vs := range r.services {
		obj := at(objs, i)
		routes, problems := r.find(vs, obj)
		errs = append(errs, problems...)
		if obj == nil {
			continue
		}
		doc, err := patch(obj, routes, want)
		if err != nil {
			errs = append(errs, fmt.Errorf("istio: patch %s: %w", vs.ref, err))
		}
		if doc != nil {
			out = append(out, traffic.Patch{Ref: vs.ref, JSON: doc})
		}
	}
	err := errors.Join(errs...)
	if err != nil && want.Weights.Canary > 0 {
		return nil, err
	}
	return out, err
}

// at is objs[i], or nil when the caller brought fewer.
func at(objs []*unstructured.Unstructured, i int) *unstructured.Unstructured {
	if i >= len(objs) {
		return nil
	}
	return objs[i]
}

// latch reads what an abort left on obj.
func latch(obj *unstructured.Unstructured) traffic.Latch {
	if obj == nil {
		return traffic.Latch{}
	}
	return traffic.ParseLatch(obj.GetAnnotations()[traffic.AnnotationAborted])
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package observe reads API objects and makes of them the Snapshot that
// package rollout decides on. It writes nothing.
package observe

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/codec"
	"sluice.dev/sluice/internal/gitops"
	"sluice.dev/sluice/internal/rollout"
)

// The names of the cache's indexes.
const (
	// IndexOwner holds the UID of the controlling owner.
	IndexOwner = "sluice.owner"
	// IndexService holds the Services that a Rollout names, and for a Service
	// the Rollout that manages it.
	IndexService = "sluice.service"
	// IndexTemplate holds the analysis templates that a Rollout names, cluster
	// templates with a leading slash.
	IndexTemplate = "sluice.template"
	// IndexRoute holds the router objects that a Rollout names, as
	// namespace/name.
	IndexRoute = "sluice.route"
)

// A World is one look at everything that belongs to a rollout: the Snapshot to
// decide on and the objects to write to. Writes carry the resourceVersions
// that are in it.
type World struct {
	Rollout  *v1alpha1.Rollout
	Snapshot rollout.Snapshot
	// Moved is what this pass has moved before it stored its status; nil for
	// nothing.
	Moved *codec.Moved

	// Hash is the pod-template hash for a ReplicaSet that is still to be made.
	Hash        string
	ReplicaSets map[rollout.Revision]*appsv1.ReplicaSet
	Stable      *corev1.Service
	Canary      *corev1.Service
	Routes      *Routes
	// Runs are the analysis runs that the Rollout owns, by name.
	Runs map[string]*v1alpha1.AnalysisRun
	// Analyses are what each analysis of the release is made of, by its step's
	// index or Background.
	Analyses map[int]*v1alpha1.AnalysisRunSpec
}

// A VerdictSource knows failing judgements that may not be stored yet.
type VerdictSource interface {
	// Verdict returns the judgement on one of owner's runs, or nil.
	Verdict(owner types.UID) *rollout.Verdict
}

// An Observer makes Worlds. Cached is read for what is watched, Live for what
// is needed rarely.
type Observer struct {
	Cached   client.Reader
	Live     client.Reader
	Routers  *RouteReader
	Verdicts VerdictSource
	// Overlay knows the writes that Cached does not show yet.
	Overlay *Overlay
	// Refusals knows the evictions that the API server refused.
	Refusals *Refusals
	// Semantics is the set of rules that runs are judged by.
	Semantics analysis.Semantics
	// GitOps are the GitOps tools that may own Rollouts.
	GitOps gitops.Tools
	// Namespaced is set when nothing outside one namespace may be read.
	Namespaced bool
}

// Observe returns the World of ro at now. An error means that the API could
// not be read; what is wrong with the objects is in Snapshot.Problems.
func (o *Observer) Observe(ctx context.Context, ro *v1alpha1.Rollout, now time.Time) (*World, error) {
	ro = newer(o.Overlay, ro, now)
	w := &World{Rollout: ro}
	w.Snapshot.Now, w.Snapshot.Name = now, ro.Name
	w.Snapshot.HandChanges = o.GitOps.HandChanges(ro.ManagedFields)
	for _, read := range []func(context.Context, *World) error{
		o.replicaSets, o.services, o.routes, o.runs, o.templates, o.endpoints, o.pods,
		func(ctx context.Context, w *World) error { return proof(ctx, o, w) },
	} {
		if err := read(ctx, w); err != nil {
			return nil, err
		}
	}
	if o.Verdicts != nil {
		w.Snapshot.Verdict = o.Verdicts.Verdict(ro.UID)
	}
	return w, nil
}

// problem adds a sentence on what cannot be followed.
func (w *World) problem(sentence string) {
	w.Snapshot.Problems = append(w.Snapshot.Problems, sentence)
}

// releasing reports whether the rollout is, or is about to be, between two
// revisions.
func (w *World) releasing() bool {
	s := &w.Snapshot
	return s.Status.Stable == "" || s.Spec.Revision != s.Status.Stable || s.Status.Current != s.Status.Stable
}

// initial reports whether the rollout brings up its first revision, which
// nothing judges: it has begun to, or there is nothing to adopt.
func (w *World) initial() bool {
	st := &w.Snapshot.Status
	if st.Stable != "" {
		return false
	}
	for _, pool := range w.Snapshot.Pools {
		if st.Current == "" && (pool.Desired > 0 || pool.Total > 0) {
			return false
		}
	}
	return true
}

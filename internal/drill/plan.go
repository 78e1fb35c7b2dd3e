// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"encoding/json"
	"fmt"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/act"
	"sluice.dev/sluice/internal/analysistemplate"
)

// Options are what a person asks for.
type Options struct {
	// ID tells this drill from all others.
	ID string
	// Container is the one that Image, Env and Args change; empty: the first.
	Container string
	Image     string
	Env       []Var
	Args      []string
	// MaxWeight is the largest weight that the bad version may get; 0: the
	// first after the first gate, unless that is all of the traffic.
	MaxWeight int32
	// Limit is how long it may take; 0: as long as the stages take, and more.
	Limit  time.Duration
	Expect *Truth
	// SyncPaused says that what keeps the rollout as it is in Git was paused.
	SyncPaused bool
}

// A Var is an environment variable.
type Var struct{ Name, Value string }

// A Plan is a drill that has not been started.
type Plan struct {
	Record Record  `json:"record"`
	Stages []Stage `json:"stages"`
	// Notes are what a person should know before.
	Notes []string `json:"notes,omitempty"`
	// Patch starts it. The server refuses it when the Rollout has changed.
	Patch act.Patch `json:"-"`

	all int32
}

// New plans a drill of ro, whose JSON is raw. An error says why there can be
// none.
func New(ro *v1alpha1.Rollout, raw []byte, lookup analysistemplate.Lookup, o Options, now time.Time) (*Plan, error) {
	if err := ready(ro, o); err != nil {
		return nil, err
	}
	doc, err := decode(raw)
	if err != nil {
		return nil, err
	}
	gates, err := build(ro, lookup)
	if err != nil {
		return nil, refuse("the gates of rollout '%s' cannot be built: %w", ro.Name, err)
	}
	weight, err := maxWeight(ro, o.MaxWeight)
	if err != nil {
		return nil, err
	}
	guard := guardAt(ro, weight)
	p := &Plan{Stages: stages(ro, gates, guard), all: top(ro)}
	p.Record = Record{
		ID: o.ID, Started: now.UTC().Truncate(time.Second), Stable: ro.Status.StableRS,
		Guard: guard, MaxWeight: weight, Limit: o.Limit, Expect: o.Expect,
	}
	if o.Limit == 0 {
		p.Record.Limit = limit(p.Stages)
	}
	for _, g := range gates {
		p.Record.Gates = append(p.Record.Gates, g.Gate)
	}
	if p.Record.Edits, p.Record.Changes, err = edits(doc, o, guard); err != nil {
		return nil, err
	}
	p.Notes = notes(ro, p)
	p.Patch, err = start(doc, &p.Record)
	return p, err
}

func start(doc any, r *Record) (act.Patch, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return act.Patch{}, fmt.Errorf("encode the record: %w", err)
	}
	ops := annotation(doc, AnnotationRecord, string(text))
	for _, e := range r.Edits {
		ops = append(ops, e.apply())
	}
	return fenced(doc, ops)
}

// maxWeight is the largest weight that the bad version may get.
func maxWeight(ro *v1alpha1.Rollout, asked int32) (int32, error) {
	gate, after := firstGate(ro)
	all := top(ro)
	weight := asked
	if weight == 0 {
		if weight = after; after <= 0 || after >= all {
			weight = gate
		}
	}
	switch {
	case gate >= all:
		return 0, refuse("the first gate of rollout '%s' is at weight %d, and a drill never gets all of the traffic: put a gate before that", ro.Name, gate)
	case weight >= all:
		return 0, refuse("a drill never gets all of the traffic: --max-weight %d must be below %d", weight, all)
	case weight < gate:
		return 0, refuse("--max-weight %d: the first gate of rollout '%s' is at weight %d and would not be reached", weight, ro.Name, gate)
	case weight <= 0:
		return 0, refuse("rollout '%s' gives its first gate no traffic: there is no weight between 0 and %d before or after it", ro.Name, all)
	}
	return weight, nil
}

// firstGate is the weight of the first gate, and the first one that is set
// after it; 0 when there is none.
func firstGate(ro *v1alpha1.Rollout) (gate, after int32) {
	first := analyses(ro)[0].step
	if all := analyses(ro); first == Background && len(all) > 1 {
		first = all[1].step
	}
	steps := ro.Spec.Strategy.Canary.Steps
	if first == Background {
		first = 0
		if s := ro.Spec.Strategy.Canary.Analysis.StartingStep; s != nil {
			first = int(*s)
		}
	}
	for i := range steps {
		w := steps[i].SetWeight
		switch {
		case w == nil:
		case i <= first:
			gate = *w
		case after == 0:
			after = *w
		}
	}
	return gate, after
}

// guardAt is where the guard goes: before the first step with a weight above
// most, or at the end, after which the canary would get everything.
func guardAt(ro *v1alpha1.Rollout, most int32) int {
	steps := ro.Spec.Strategy.Canary.Steps
	for i := range steps {
		if w := steps[i].SetWeight; w != nil && *w > most {
			return i
		}
	}
	return len(steps)
}

func notes(ro *v1alpha1.Rollout, p *Plan) []string {
	var out []string
	for _, s := range p.Stages {
		if s.Person {
			out = append(out, fmt.Sprintf("step %d waits for a person: promote it, or the drill ends at its limit", s.Step+1))
		}
	}
	for _, g := range p.Record.Gates {
		if g.Step >= p.Record.Guard {
			out = append(out, fmt.Sprintf("the %s comes after weight %d and is not drilled", g.Name(), p.Record.MaxWeight))
		}
	}
	if ro.Spec.Strategy.Canary.TrafficRouting == nil {
		out = append(out, "without traffic routing the share is that of the pods, and so at least one pod")
	}
	return out
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import "time"

// Phase is the rollout's phase as tools show it.
type Phase string

// The phases.
const (
	Healthy     Phase = "Healthy"
	Degraded    Phase = "Degraded"
	Progressing Phase = "Progressing"
	Paused      Phase = "Paused"
)

// RunKind says what an analysis run guards.
type RunKind string

// The kinds of analysis run.
const (
	RunKindStep       RunKind = "Step"
	RunKindBackground RunKind = "Background"
)

// A StartRun asks for an analysis run. The status of the same Plan names it.
type StartRun struct {
	Name string
	Kind RunKind
	Step int
}

// A StopRun asks that a run be terminated by the controller.
type StopRun struct{ Name, Why string }

// An Event is something people and notifications hear about, once.
type Event struct {
	Warning bool
	Reason  string
	Message string
}

// A Plan is the desired state after one pass, and when to look again.
//
// Its Status is committed first, as the fence. The other writes may be applied
// in any order, and any subset of them may be lost: none of them is safe only
// because another one landed. A step that needs an order waits until the first
// write is observed.
type Plan struct {
	Status Status

	// Replicas are the sizes wanted; a revision that is absent is left alone.
	// A revision without a ReplicaSet is created.
	Replicas map[Revision]int32
	// Deadlines are scale-down deadlines to set; a zero time removes one.
	Deadlines map[Revision]time.Time
	// Prune are ReplicaSets to delete.
	Prune []Revision

	// Weights is the split wanted of the router; nil leaves it alone.
	Weights *Weights
	// Unlatch removes the abort latch from the router's object.
	Unlatch bool
	// Services are the selectors wanted; empty leaves one alone.
	Services Services

	Start []StartRun
	Stop  []StopRun
	// Evict are pods to evict, for a restart.
	Evict []Pod

	Events []Event
	// WakeAt is when to look again; zero waits for a watch event.
	WakeAt time.Time
	// Notes say why, for the log.
	Notes []string
}

// Wake makes sure that the plan looks again no later than t.
func (p *Plan) Wake(t time.Time) {
	if p.WakeAt.IsZero() || t.Before(p.WakeAt) {
		p.WakeAt = t
	}
}

func (p *Plan) event(reason, message string) {
	p.Events = append(p.Events, Event{Reason: reason, Message: message})
}

func (p *Plan) warn(reason, message string) {
	p.Events = append(p.Events, Event{Warning: true, Reason: reason, Message: message})
}

func (p *Plan) note(n string) { p.Notes = append(p.Notes, n) }

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package drill proves that a rollout's gates abort: it says how a release that
// is bad on purpose is started, what it would harm, what has become of it, and
// how everything is put back.
//
// A drill is one JSON patch. It changes the pod template, marks it, and puts a
// guard into the steps: before any weight above the drill's limit the traffic
// goes back to 0 and waits for good. So a drill cannot be promoted by a gate
// that is blind, also when nobody watches it any more. The same patch leaves
// a [Record] on the Rollout, by which anybody can put back exactly what was
// there.
//
// It reads nothing and sends nothing.
package drill

import (
	"encoding/json"
	"fmt"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
)

// Annotations.
const (
	// AnnotationRecord is on Rollouts while a drill is under way: its Record.
	AnnotationRecord = v1alpha1.SluicePrefix + "drill"
	// AnnotationProof is on Rollouts: the Proof of the last drill that ended.
	AnnotationProof = v1alpha1.SluicePrefix + "gate-proof"
)

// A Record is what has to be known to watch a drill and to undo it.
type Record struct {
	// ID is also the mark in the pod template, v1alpha1.AnnotationDrill.
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	// Stable is the revision that all traffic goes back to.
	Stable string `json:"stable"`
	// Changes are what makes the release bad, in words.
	Changes []string `json:"changes"`
	// Guard is the index of the step that takes the traffic away again.
	Guard int `json:"guard"`
	// MaxWeight is the largest weight before the guard.
	MaxWeight int32 `json:"maxWeight"`
	// Limit is how long the drill may take.
	Limit time.Duration `json:"limit"`
	// Expect is the error rate that the change injects, if it is known; for the
	// metric of that name, or for every metric when it has none.
	Expect *Truth `json:"expect,omitempty"`
	// Gates are the gates that the release meets, with the hash of what each of
	// them measures.
	Gates []Gate `json:"gates"`
	// Edits are what was changed, in order.
	Edits []Edit `json:"edits"`
}

// A Truth is what a metric should measure when it sees what was injected.
type Truth struct {
	Metric string  `json:"metric,omitempty"`
	Value  float64 `json:"value"`
}

// An Edit is one field before and after.
type Edit struct {
	// Path is a JSON pointer.
	Path string `json:"path"`
	// Was is what was there; nothing when the field was not there.
	Was json.RawMessage `json:"was,omitempty"`
	Is  json.RawMessage `json:"is"`
}

// A Gate is an analysis that can abort a release.
type Gate struct {
	// Step is the index of its step, or Background.
	Step int `json:"step"`
	// Hash stands for everything it measures and how.
	Hash string `json:"hash"`
}

// Background is the Step of the analysis beside the steps.
const Background = -1

// Name is how people call the gate; steps count from 1 there.
func (g Gate) Name() string {
	if g.Step == Background {
		return "background analysis"
	}
	return fmt.Sprintf("analysis of step %d", g.Step+1)
}

// RecordOf is the record of the drill that is under way; nil when there is
// none.
func RecordOf(ro *v1alpha1.Rollout) (*Record, error) {
	text, ok := ro.Annotations[AnnotationRecord]
	if !ok {
		return nil, nil //nolint:nilnil // No drill is no error.
	}
	var r Record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, fmt.Errorf("read annotation %s of rollout '%s': %w; put the pod template and the steps back from Git, then remove the annotation",
			AnnotationRecord, ro.Name, err)
	}
	return &r, nil
}

// Gated reports whether a release of ro meets an analysis at all.
func Gated(ro *v1alpha1.Rollout) bool { return len(analyses(ro)) > 0 }

// A placed analysis is one with the step it belongs to.
type placed struct {
	step     int
	analysis *v1alpha1.RolloutAnalysis
}

// analyses are the gates of ro, the background first.
func analyses(ro *v1alpha1.Rollout) []placed {
	canary := ro.Spec.Strategy.Canary
	if canary == nil {
		return nil
	}
	var out []placed
	if canary.Analysis != nil && len(canary.Analysis.Templates) > 0 {
		out = append(out, placed{Background, &canary.Analysis.RolloutAnalysis})
	}
	for i := range canary.Steps {
		if a := canary.Steps[i].Analysis; a != nil && len(a.Templates) > 0 {
			out = append(out, placed{i, a})
		}
	}
	return out
}

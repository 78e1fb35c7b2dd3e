// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
)

// A Proof is what is kept of a drill that ended.
type Proof struct {
	At      time.Time `json:"at"`
	Outcome Outcome   `json:"outcome"`
	Why     string    `json:"why"`
	// Gates are those that were judged: with Caught, they are proven.
	Gates []ProvenGate `json:"gates,omitempty"`
}

// A ProvenGate is what a drill showed about a gate, and what the gate was.
type ProvenGate struct {
	Gate
	Verdict Verdict `json:"verdict"`
	Run     string  `json:"run,omitempty"`
}

// maxWords bounds what is kept of a sentence.
const maxWords = 300

// ProofOf is what to keep of a drill; nil when it showed nothing.
func ProofOf(s *State, now time.Time) *Proof {
	if s.Outcome != Proven && s.Outcome != Blind {
		return nil
	}
	p := &Proof{At: now.UTC().Truncate(time.Second), Outcome: s.Outcome, Why: s.Why}
	if len(p.Why) > maxWords {
		p.Why = p.Why[:maxWords]
	}
	if s.Outcome == Proven {
		p.Why += " after " + s.After.Round(time.Second).String()
	}
	for _, g := range s.Gates {
		if g.Verdict != NotReached && g.Verdict != Measuring {
			p.Gates = append(p.Gates, ProvenGate{g.Gate, g.Verdict, g.Run})
		}
	}
	return p
}

// ReadProof is the proof that ro carries; nil when it carries none that can be
// read.
func ReadProof(ro *v1alpha1.Rollout) *Proof {
	var p Proof
	if json.Unmarshal([]byte(ro.Annotations[AnnotationProof]), &p) != nil || p.At.IsZero() {
		return nil
	}
	return &p
}

// A Claim is what the condition GateProven says.
type Claim struct {
	True            bool
	Reason, Message string
	At              time.Time
}

// The reasons of the condition GateProven.
const (
	ReasonProven  = "GateProven"
	ReasonBlind   = "GateBlind"
	ReasonChanged = "GateChanged"
)

// Claim says what p is worth for a rollout with these gates now.
func (p *Proof) Claim(gates []Gate) Claim {
	c := Claim{At: p.At, Reason: ReasonProven, True: true}
	on := p.At.UTC().Format(time.RFC3339)
	var names, hashes []string
	for _, g := range p.Gates {
		if g.Verdict != Caught {
			continue
		}
		names, hashes = append(names, g.Name()), append(hashes, g.Hash)
		if !slices.ContainsFunc(gates, func(now Gate) bool { return now.Hash == g.Hash }) {
			c.True, c.Reason = false, ReasonChanged
		}
	}
	switch {
	case p.Outcome != Proven || len(names) == 0:
		c.True, c.Reason = false, ReasonBlind
		c.Message = fmt.Sprintf("drill of %s failed: %s", on, p.Why)
	case !c.True:
		c.Message = fmt.Sprintf("the %s (%s) changed since the drill of %s", strings.Join(names, " and the "), strings.Join(hashes, ", "), on)
	default:
		c.Message = fmt.Sprintf("drill of %s: %s (%s)", on, p.Why, strings.Join(hashes, ", "))
	}
	return c
}

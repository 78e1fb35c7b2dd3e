// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A Report is what a drill showed, for people and for programs.
type Report struct {
	Rollout   string       `json:"rollout"`
	Namespace string       `json:"namespace"`
	Outcome   Outcome      `json:"outcome"`
	Why       string       `json:"why"`
	Changes   []string     `json:"changes"`
	Started   time.Time    `json:"started"`
	Seconds   float64      `json:"seconds"`
	MaxWeight int32        `json:"maxWeight"`
	Gates     []GateReport `json:"gates"`
	// Requests says how many requests failed, by the provider's measurement, or
	// why that is not known.
	Requests string `json:"requests"`
	// Truth says whether what was measured agrees with what was injected; empty
	// when that was not told.
	Truth string `json:"truth,omitempty"`
	// CleanedUp is false when the rollout is not yet as it was; Left says why.
	CleanedUp bool     `json:"cleanedUp"`
	Left      []string `json:"left,omitempty"`
}

// A GateReport is what a drill showed about one gate.
type GateReport struct {
	Name    string  `json:"name"`
	Hash    string  `json:"hash"`
	Verdict Verdict `json:"verdict"`
	Run     string  `json:"run,omitempty"`
	Detail  string  `json:"detail,omitempty"`
}

// ReportOf is the report of the drill r of a rollout that came to the state s.
func ReportOf(r *Record, s *State) Report {
	out := Report{
		Outcome: s.Outcome, Why: s.Why, Changes: r.Changes, Started: r.Started,
		Seconds: s.After.Round(time.Second).Seconds(), MaxWeight: r.MaxWeight, Requests: requests(s),
	}
	for _, g := range s.Gates {
		out.Gates = append(out.Gates, GateReport{g.Name(), g.Hash, g.Verdict, g.Run, g.Detail})
	}
	if r.Expect != nil {
		out.Truth = truth(r.Expect, s)
	}
	return out
}

// requests says how many requests failed, as far as a metric counts them.
func requests(s *State) string {
	var out []string
	for _, g := range s.Gates {
		for _, m := range g.Metrics {
			if n := len(m.Values); m.Counts && n > 0 {
				out = append(out, fmt.Sprintf("%s counted %s in its last window (%s)", m.Name, short(m.Values[n-1]), m.Query))
			}
		}
	}
	if len(out) == 0 {
		return "unknown: no metric of the gates is a plain count (sum:….as_count() with aggregator sum), and a rate does not say of how many"
	}
	return strings.Join(out, "; ")
}

// few is how many readings say nothing about their own noise.
const few = 2

// truth compares what was measured with what was injected. Three standard
// deviations of the readings are their noise: their windows overlap, so that
// many of them are no better than one.
func truth(t *Truth, s *State) string {
	var out []string
	for _, g := range s.Gates {
		for _, m := range g.Metrics {
			if t.Metric != "" && t.Metric != m.Name || t.Metric == "" && m.Counts || len(m.Values) == 0 {
				continue
			}
			out = append(out, fmt.Sprintf("%s of the %s: %s", m.Name, g.Name(), compare(t.Value, m.Values)))
		}
	}
	if len(out) == 0 {
		return fmt.Sprintf("injected %s; no metric measured it", short(t.Value))
	}
	return strings.Join(out, "; ")
}

func compare(want float64, values []float64) string {
	n := float64(len(values))
	var mean, spread float64
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		spread += (v - mean) * (v - mean)
	}
	off := math.Abs(mean - want)
	said := fmt.Sprintf("injected %s, measured %s", short(want), short(mean))
	if len(values) < few {
		return said + " once: its noise is not known"
	}
	noise := 3 * math.Sqrt(spread/(n-1))
	said += fmt.Sprintf(" ± %s in %d readings", short(noise), len(values))
	if off <= max(noise, rounding*math.Abs(want)) {
		return said + ": they agree"
	}
	return said + ": they do NOT agree, so the metric sees something else than the bad version"
}

// rounding is how far readings without any noise may be off.
const rounding = 0.01

// Text is the report for people.
func (r *Report) Text() string {
	var b strings.Builder
	verdict := map[Outcome]string{
		Proven: "PROVEN: the gate aborts", Blind: "DRILL FAILED: the gate was blind", Inconclusive: "NOTHING PROVEN",
	}[r.Outcome]
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-12s %s\n", name, value)
		}
	}
	b.WriteString(verdict + "\n")
	line("Rollout:", r.Namespace+"/"+r.Rollout)
	line("Why:", r.Why)
	line("Bad by:", strings.Join(r.Changes, "; "))
	line("Took:", (time.Duration(r.Seconds) * time.Second).String())
	for _, g := range r.Gates {
		text := fmt.Sprintf("%s: %s", g.Name, g.Verdict)
		if g.Run != "" {
			text += " (" + g.Run + ")"
		}
		line("Gate:", text)
		line("", g.Detail)
	}
	line("Requests:", r.Requests)
	line("Truth:", r.Truth)
	clean := "everything is as it was"
	if !r.CleanedUp {
		clean = "NOT finished"
	}
	line("Cleaned up:", clean)
	for _, l := range r.Left {
		line("", l)
	}
	return b.String()
}

// Text is the plan for people.
func (p *Plan) Text() string {
	var b strings.Builder
	r := &p.Record
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "Makes the release bad:  %s\n", c)
	}
	fmt.Fprintf(&b, "Largest weight:         %d, then the traffic goes back to 0 (a step that the drill adds before step %d)\n", r.MaxWeight, r.Guard+1)
	fmt.Fprintf(&b, "Ends at the latest:     after %s\n", r.Limit)
	for _, g := range r.Gates {
		fmt.Fprintf(&b, "Drills:                 %s (%s)\n", g.Name(), g.Hash)
	}
	b.WriteString("Harms at most:\n")
	for _, s := range p.Stages {
		long := "for " + s.Lasts.String()
		if s.Person {
			long = "until a person promotes"
		}
		fmt.Fprintf(&b, "  step %d, %s: weight %d, %d of %d pods, %s\n", s.Step+1, s.What, s.Weight, s.Pods, s.OfPods, long)
	}
	fmt.Fprintf(&b, "  together as much as all of the traffic for %s\n", p.harm().Round(time.Second))
	for _, n := range p.Notes {
		b.WriteString("Note: " + n + "\n")
	}
	return b.String()
}

// harm is the traffic that the bad version gets, as time of all of it.
func (p *Plan) harm() time.Duration {
	var sum time.Duration
	for _, s := range p.Stages {
		sum += time.Duration(float64(s.Lasts) * float64(s.Weight) / float64(max(p.all, 1)))
	}
	return sum
}

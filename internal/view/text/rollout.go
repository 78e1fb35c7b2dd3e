// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"strconv"
	"strings"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/view"
)

// Rollout draws a Rollout: what state it is in and why, then the tree of its
// revisions.
func Rollout(v view.Rollout, o Options) string {
	return o.header(v) + "\n" + o.table(rolloutNode(o, v))
}

// margin is where the values of the header start.
const margin = 17

func (o Options) field(b *strings.Builder, name, value string) {
	if value == "" {
		return
	}
	limit := 0
	if o.Width > 0 {
		limit = max(o.Width-margin, 20)
	}
	for i, line := range wrap(value, limit) {
		b.WriteString(pad(pick(i == 0, name, ""), margin) + line + "\n")
	}
}

func (o Options) header(v view.Rollout) string {
	var b strings.Builder
	m := markOf(string(v.Phase))
	o.field(&b, "Name:", v.Name)
	o.field(&b, "Namespace:", v.Namespace)
	b.WriteString(pad("Status:", margin) + o.paint(m.tone, m.icon+" "+string(v.Phase)) + "\n")
	o.field(&b, "Message:", v.Message)
	if v.Hold != "" && !strings.Contains(v.Message, v.Hold) {
		o.field(&b, "Hold:", v.Hold)
	}
	if !o.Small {
		o.field(&b, "Gate:", v.Gate)
	}
	for i, text := range v.HandChanges {
		o.field(&b, pick(i == 0, "By hand:", ""), text)
	}
	for i, p := range v.Pauses {
		o.field(&b, pick(i == 0, "Pause:", ""), pauseText(p))
	}
	for i, line := range o.advice(v) {
		b.WriteString(pad(pick(i == 0, "Next:", ""), margin) + line + "\n")
	}
	strategy(o, &b, v)
	for i, im := range v.Images {
		b.WriteString(pad(pick(i == 0, "Images:", ""), margin) + o.image(im) + "\n")
	}
	replicas(o, &b, v.Replicas)
	return b.String()
}

func strategy(o Options, b *strings.Builder, v view.Rollout) {
	figures := fmt.Sprintf("%s, step %d/%d, set weight %d, actual weight %d", v.Strategy, v.Step, len(v.Steps), v.SetWeight, v.ActualWeight)
	switch {
	case v.Strategy != "Canary":
		o.field(b, "Strategy:", v.Strategy)
		return
	case o.Small:
		o.field(b, "Strategy:", figures)
	default:
		o.field(b, "Strategy:", v.Strategy)
		if len(v.Steps) > 0 {
			o.field(b, "  Step:", fmt.Sprintf("%d/%d", v.Step, len(v.Steps)))
		}
		o.field(b, "  SetWeight:", strconv.Itoa(int(v.SetWeight)))
		o.field(b, "  ActualWeight:", strconv.Itoa(int(v.ActualWeight)))
	}
	steps(o, b, v)
	o.field(b, "  Skipped:", strings.Join(v.Skipped, ", "))
}

func replicas(o Options, b *strings.Builder, r view.Replicas) {
	if o.Small {
		o.field(b, "Replicas:", fmt.Sprintf("desired %d, current %d, updated %d, ready %d, available %d", r.Desired, r.Current, r.Updated, r.Ready, r.Available))
		return
	}
	b.WriteString("Replicas:\n")
	o.field(b, "  Desired:", strconv.Itoa(int(r.Desired)))
	o.field(b, "  Current:", strconv.Itoa(int(r.Current)))
	o.field(b, "  Updated:", strconv.Itoa(int(r.Updated)))
	o.field(b, "  Ready:", strconv.Itoa(int(r.Ready)))
	o.field(b, "  Available:", strconv.Itoa(int(r.Available)))
}

// steps draws all steps on one line, the current one in brackets.
func steps(o Options, b *strings.Builder, v view.Rollout) {
	if len(v.Steps) == 0 {
		return
	}
	limit := 0
	if o.Width > 0 {
		limit = max(o.Width-margin, 20)
	}
	const between = " › "
	line, used := pad("  Steps:", margin), 0
	for i, s := range v.Steps {
		text, t := s.Text, plain
		switch {
		case v.Aborted:
		case i < v.Step:
			t = green
		case i == v.Step:
			text, t = "["+text+"]", bold
		}
		if limit > 0 && used > 0 && used+width(between+text) > limit {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, used = pad("", margin), 0
		}
		if used > 0 {
			line, used = line+o.paint(dim, between), used+width(between)
		}
		line, used = line+o.paint(t, text), used+width(text)
	}
	b.WriteString(line + "\n")
}

func (o Options) image(im view.Image) string {
	if len(im.Roles) == 0 {
		return im.Name
	}
	return im.Name + " " + o.paint(roleTone(im.Roles), "("+strings.Join(im.Roles, ", ")+")")
}

func roleTone(roles []string) tone {
	for _, r := range roles {
		switch r {
		case "stable", "active":
			return green
		case "canary", "preview":
			return yellow
		}
	}
	return plain
}

// pauseText says what is waited for.
func pauseText(p view.Pause) string {
	lasted := ""
	if p.Since > 0 {
		lasted = " for " + age(p.Since)
	}
	switch {
	case p.Reason == "":
		return "by a person (spec.paused)"
	case p.Left >= 0:
		return fmt.Sprintf("%s, goes on in %s", p.Reason, age(p.Left))
	case p.Reason == v1alpha1.PauseReasonInconclusiveAnalysis:
		return fmt.Sprintf("%s%s: the analysis could not decide", p.Reason, lasted)
	case p.Reason == v1alpha1.PauseReasonAnalysisHold:
		return fmt.Sprintf("%s%s: still measuring, goes on by itself once the analysis passes", p.Reason, lasted)
	}
	return fmt.Sprintf("%s%s: waits for a person", p.Reason, lasted)
}

// advice is the commands that make sense now.
func (o Options) advice(v view.Rollout) []string {
	if o.Command == "" {
		return nil
	}
	at := v.Name + " -n " + v.Namespace
	say := func(verb, why string) string {
		command := fmt.Sprintf("%s %s %s", o.Command, verb, at)
		if full := command + "   # " + why; o.Width <= 0 || margin+width(full) <= o.Width {
			return full
		}
		return command
	}
	switch {
	case !v.Observed:
		return []string{"if this stays, look whether a controller is running"}
	case v.Invalid:
		return []string{"correct the field that the message names; it goes on by itself"}
	case v.Aborted:
		return []string{
			say("undo", "back to the previous version"),
			say("retry rollout", "try this version again"),
		}
	case v.Phase == v1alpha1.RolloutPhaseDegraded:
		return []string{say("abort", "all traffic back to stable")}
	case v.Phase != v1alpha1.RolloutPhasePaused || timed(v.Pauses):
		return nil
	}
	return []string{
		say("promote", "go on"),
		say("abort", "all traffic back to stable"),
	}
}

// timed reports whether the Rollout waits for time alone.
func timed(pauses []view.Pause) bool {
	for _, p := range pauses {
		if p.Left < 0 {
			return false
		}
	}
	return len(pauses) > 0
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package text draws views for a terminal or a log.
//
// A drawing is a string: plain text, with colour where it is asked for and
// nothing that moves a cursor. Fitting it to a screen that is already in use is
// left to the command line.
package text

import (
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/duration"
)

// Options say how to draw.
type Options struct {
	// Width is the number of columns to fit into; 0 is no limit.
	Width int
	// Color marks states with colour as well.
	Color bool
	// Command is what people type to give a command, such as
	// "kubectl argo rollouts"; it goes in front of the commands that a drawing
	// suggests. Empty: nothing is suggested.
	Command string
	// AllPods draws every pod. Otherwise a ReplicaSet with many pods shows the
	// ones that are not well, and counts the others.
	AllPods bool
	// Small draws fewer lines: pods that are well are counted, and figures
	// share a line.
	Small bool
}

// A tone is a colour.
type tone string

const (
	plain  tone = ""
	bold   tone = "1"
	dim    tone = "2"
	red    tone = "31"
	green  tone = "32"
	yellow tone = "33"
	blue   tone = "34"
)

func (o Options) paint(t tone, s string) string {
	if !o.Color || t == plain || strings.TrimSpace(s) == "" {
		return s
	}
	return "\x1b[" + string(t) + "m" + s + "\x1b[0m"
}

// A mark is the icon and the colour of a state.
type mark struct {
	icon string
	tone tone
}

var (
	good    = mark{"✔", green}
	bad     = mark{"✖", red}
	busy    = mark{"◌", blue}
	waiting = mark{"‖", yellow}
	unsure  = mark{"?", yellow}
	trouble = mark{"⚠", red}
	gone    = mark{"•", dim}
)

var marks = map[string]mark{
	"Healthy": good, "Successful": good, "Running": good, "Succeeded": good, "Completed": good,
	"Degraded": bad, "Failed": bad,
	"Error": trouble, "Inconclusive": unsure,
	"Progressing": busy, "Pending": busy, "ContainerCreating": busy, "PodInitializing": busy,
	"Paused": waiting, "ScaledDown": gone, "Terminating": gone,
}

// markOf is the mark of a state; a state that is not known is the reason why a
// pod does not run.
func markOf(state string) mark {
	if m, ok := marks[state]; ok {
		return m
	}
	return trouble
}

// markRun is the mark of a run: one that runs is not done well yet.
func markRun(phase string) mark {
	if phase == "Running" {
		return busy
	}
	return markOf(phase)
}

func width(s string) int { return utf8.RuneCountInString(s) }

func pad(s string, w int) string {
	if n := w - width(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

// cut shortens s to w columns; 0 is no limit.
func cut(s string, w int) string {
	if w <= 0 || width(s) <= w {
		return s
	}
	return string([]rune(s)[:max(w-1, 0)]) + "…"
}

// wrap breaks s into lines of at most w columns between words; a word that is
// longer stays whole, so that it can be copied. 0 is no limit.
func wrap(s string, w int) []string {
	if w <= 0 || width(s) <= w {
		return []string{s}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		switch {
		case line == "":
			line = word
		case width(line)+1+width(word) > w:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// fold is wrap that breaks long words too, for where a line that is too long
// would tear the drawing.
func fold(s string, w int) []string {
	var out []string
	for _, line := range wrap(s, w) {
		for runes := []rune(line); w > 0 && len(runes) > w; runes = []rune(line) {
			out, line = append(out, string(runes[:w])), string(runes[w:])
		}
		out = append(out, line)
	}
	return out
}

// age is a length of time as kubectl shows it.
func age(d time.Duration) string { return duration.HumanDuration(d) }

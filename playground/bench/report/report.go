// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report holds the figures of a benchmark beside what they are compared
// with, and draws them as a table. It measures nothing.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Figure is one number for each contender.
type Figure struct {
	Name string `json:"name"`
	Unit string `json:"unit,omitempty"`
	// Digits are those after the point that are worth printing.
	Digits int `json:"-"`
	// Goal is what Ours should not exceed; nil if there is none. Below says that
	// Ours must be less than it.
	Goal  *float64 `json:"goal,omitempty"`
	Below bool     `json:"below,omitempty"`
	// Ours is what was measured.
	Ours Value `json:"sluice"`
	// Argo is what Argo Rollouts 1.10.1 was measured at elsewhere, Peer what the
	// peer was measured at in this run: first with its defaults, then with
	// --qps 1000 --burst 2000.
	Argo [2]Value `json:"argoElsewhere"`
	Peer [2]Value `json:"peer"`
}

// A Value is a number, or nil where nothing was measured.
type Value *float64

// Of returns v as a Value.
func Of(v float64) Value { return &v }

// Met reports whether the goal was met. It is false where there is none.
func (f *Figure) Met() bool {
	if f.Goal == nil || f.Ours == nil {
		return false
	}
	if f.Below {
		return *f.Ours < *f.Goal
	}
	return *f.Ours <= *f.Goal
}

// A Section is a table and what is to be said about it.
type Section struct {
	Title   string   `json:"title"`
	Figures []Figure `json:"figures"`
	Notes   []string `json:"notes,omitempty"`
}

// A Report is all that was measured in one run.
type Report struct {
	Machine  []string  `json:"machine"`
	Sections []Section `json:"sections"`
}

// Goals returns how many goals there were and how many were met.
func (r *Report) Goals() (met, all int) {
	for i := range r.Sections {
		for j := range r.Sections[i].Figures {
			f := &r.Sections[i].Figures[j]
			if f.Goal == nil || f.Ours == nil {
				continue
			}
			all++
			if f.Met() {
				met++
			}
		}
	}
	return met, all
}

// Write stores the report as JSON in a file.
func (r *Report) Write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// The widths of the columns, 98 together.
const (
	nameWidth  = 34
	valueWidth = 9
	goalWidth  = 15
	otherWidth = 9
	peerWidth  = 11
)

// Table draws the section in at most 100 columns.
func (s *Section) Table() string {
	peer, argo := s.has(func(f *Figure) [2]Value { return f.Peer }), s.has(func(f *Figure) [2]Value { return f.Argo })
	var b strings.Builder
	b.WriteString(s.Title + "\n")
	head := pad("", nameWidth) + left("sluice", valueWidth) + "  " + pad("goal", goalWidth)
	if argo {
		head += left("Argo¹", otherWidth) + left("qps1000¹", otherWidth)
	}
	if peer {
		head += left("peer", peerWidth) + left("qps1000", peerWidth)
	}
	b.WriteString(strings.TrimRight(head, " ") + "\n")
	for i := range s.Figures {
		b.WriteString(strings.TrimRight(s.Figures[i].line(argo, peer), " ") + "\n")
	}
	for _, n := range s.Notes {
		b.WriteString("  " + n + "\n")
	}
	return b.String()
}

// Footnote explains the columns that Table marks.
const Footnote = "¹ Argo Rollouts 1.10.1, measured elsewhere on the same kind of machine: with its default rate\n" +
	"  limits, and with --qps 1000 --burst 2000."

func (s *Section) has(column func(*Figure) [2]Value) bool {
	for i := range s.Figures {
		if c := column(&s.Figures[i]); c[0] != nil || c[1] != nil {
			return true
		}
	}
	return false
}

func (f *Figure) line(argo, peer bool) string {
	name := "  " + f.Name
	if f.Unit != "" {
		name += ", " + f.Unit
	}
	line := pad(name, nameWidth) + left(f.number(f.Ours), valueWidth) + "  " + pad(f.verdict(), goalWidth)
	if argo {
		line += left(f.number(f.Argo[0]), otherWidth) + left(f.number(f.Argo[1]), otherWidth)
	}
	if peer {
		line += left(f.compared(f.Peer[0]), peerWidth) + left(f.compared(f.Peer[1]), peerWidth)
	}
	return line
}

func (f *Figure) number(v Value) string {
	if v == nil {
		return "-"
	}
	return strconv.FormatFloat(*v, 'f', f.Digits, 64)
}

// compared is a peer's number with its ratio to ours.
func (f *Figure) compared(v Value) string {
	if v == nil || f.Ours == nil || *f.Ours == 0 {
		return f.number(v)
	}
	return fmt.Sprintf("%s %.1fx", f.number(v), *v / *f.Ours)
}

func (f *Figure) verdict() string {
	if f.Goal == nil {
		return ""
	}
	sign, word := "<= ", " met"
	if f.Below {
		sign = "< "
	}
	switch {
	case f.Ours == nil:
		word = ""
	case !f.Met():
		word = " missed"
	}
	return sign + f.number(f.Goal) + word
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 0)) }

func left(s string, n int) string {
	return strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 1)) + s
}

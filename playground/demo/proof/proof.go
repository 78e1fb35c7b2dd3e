// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package proof holds what the guide promises, row by row, against what was seen.
// It sees nothing itself.
package proof

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// A Row is one promise of the guide.
type Row struct {
	// Number is the row of the acceptance table.
	Number int
	// Promise is what must be seen, in a few words.
	Promise string
}

// Rows are the promises that the demo shows.
var Rows = []Row{
	{1, "traffic goes 10, 25, 50, 100 % and back to 100/0 on the new version"},
	{2, "every query for the canary carries the canary's hash"},
	{3, "the Secret's keys are read as the guide spells them, and a rotation is followed"},
	{4, "result < 0.01 is a Successful measurement"},
	{5, "the band holds the step without a verdict, and passes when readings recover"},
	{6, "failureLimit: 2 aborts on the third failing measurement"},
	{7, "failureCondition wins where both hold; abortCondition fails at once"},
	{8, "a breach: run Failed, Rollout Degraded, traffic back to stable, no command"},
	{9, "403 is an Error that names site, status and cause, no key; the Rollout holds"},
	{10, "no series is Inconclusive and holds; no error series is zero errors"},
	{11, "a step's analysis decides before the next step"},
	{12, "the background guard aborts at 50 %, long after its count of 5"},
	{13, "the first revision goes to 100 % without analysis"},
	{14, "get --watch, promote, promote --full, abort, undo and describe work as written"},
}

// A sight is one thing that was looked for.
type sight struct {
	ok   bool
	text string
}

// A Ledger collects what was seen for each row. It is safe for concurrent use.
type Ledger struct {
	mu     sync.Mutex
	sights map[int][]sight
	notes  []string
}

// Check notes for a row whether something that must be seen was, and says what.
func (l *Ledger) Check(row int, ok bool, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sights == nil {
		l.sights = map[int][]sight{}
	}
	l.sights[row] = append(l.sights[row], sight{ok, fmt.Sprintf(format, args...)})
}

// Note adds a line below the table.
func (l *Ledger) Note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, fmt.Sprintf(format, args...))
}

// Missing are the numbers of the rows that were not seen, or not all of them.
func (l *Ledger) Missing() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []int
	for _, r := range Rows {
		if !l.seen(r.Number) {
			out = append(out, r.Number)
		}
	}
	return out
}

// seen reports whether everything that was looked for in a row was seen, and
// anything was. The lock is held.
func (l *Ledger) seen(row int) bool {
	for _, s := range l.sights[row] {
		if !s.ok {
			return false
		}
	}
	return len(l.sights[row]) > 0
}

// Table draws the rows and the notes to fit into a number of columns, at least
// 60.
func (l *Ledger) Table(columns int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	const margin = 9
	room := max(columns, 60) - margin
	indent := strings.Repeat(" ", margin)
	var b strings.Builder
	for _, r := range Rows {
		mark := "✔"
		if !l.seen(r.Number) {
			mark = "✖"
		}
		fmt.Fprintf(&b, " %2d  %s   %s\n", r.Number, mark, strings.Join(wrap(r.Promise, room), "\n"+indent))
		if len(l.sights[r.Number]) == 0 {
			b.WriteString(indent + "  not seen\n")
		}
		for _, s := range l.sights[r.Number] {
			dot := "· "
			if !s.ok {
				dot = "✖ "
			}
			b.WriteString(indent + dot + strings.Join(wrap(s.text, room-2), "\n"+indent+"  ") + "\n")
		}
	}
	for i, n := range l.notes {
		if i == 0 {
			b.WriteString("\n")
		}
		b.WriteString(" " + strings.Join(wrap(n, room+margin-2), "\n ") + "\n")
	}
	return b.String()
}

// wrap breaks text into lines of at most limit characters where it can.
func wrap(text string, limit int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > limit {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

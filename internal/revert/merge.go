// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/utils/diff"
	"github.com/sergi/go-diff/diffmatchpatch"
)

// An edit replaces lines from to to (not included) of a text.
type edit struct {
	from, to int
	with     []string
}

// lines cuts a text into lines that keep their ends.
func lines(s string) []string { return slices.Collect(strings.Lines(s)) }

// edits are what makes a of base, in order.
func edits(base, a string) []edit {
	var out []edit
	at, open := 0, false
	for _, d := range diff.Do(base, a) {
		text := lines(d.Text)
		if d.Type == diffmatchpatch.DiffEqual {
			at, open = at+len(text), false
			continue
		}
		if !open {
			out, open = append(out, edit{from: at, to: at}), true
		}
		e := &out[len(out)-1]
		if d.Type == diffmatchpatch.DiffDelete {
			at += len(text)
			e.to = at
		} else {
			e.with = append(e.with, text...)
		}
	}
	return out
}

// merge makes both of two changes to base: it returns false when they touch
// the same lines, or lines next to each other, as git does.
func merge(base, ours, theirs string) (string, bool) {
	if slices.ContainsFunc([]string{base, ours, theirs}, notText) {
		return "", false
	}
	mine, others := edits(base, ours), edits(base, theirs)
	for _, a := range mine {
		for _, b := range others {
			same := a.from == b.from && a.to == b.to && slices.Equal(a.with, b.with)
			if a.from <= b.to && b.from <= a.to && !same {
				return "", false
			}
		}
	}
	all := append(mine, others...)
	slices.SortStableFunc(all, func(a, b edit) int { return a.from - b.from })
	all = slices.CompactFunc(all, func(a, b edit) bool { return a.from == b.from && a.to == b.to })
	var out strings.Builder
	text, at := lines(base), 0
	for _, e := range all {
		out.WriteString(strings.Join(text[at:e.from], ""))
		out.WriteString(strings.Join(e.with, ""))
		at = e.to
	}
	out.WriteString(strings.Join(text[at:], ""))
	return out.String(), true
}

func notText(s string) bool { return bytes.IndexByte([]byte(s), 0) >= 0 }

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// screenOf asks the operating system whether w is a terminal, and how large.
func screenOf(w io.Writer) func() (int, int, bool) {
	return func() (int, int, bool) {
		f, ok := w.(*os.File)
		if !ok || !term.IsTerminal(int(f.Fd())) {
			return 0, 0, false
		}
		columns, rows, err := term.GetSize(int(f.Fd()))
		if err != nil || columns <= 0 {
			return 80, 24, true
		}
		return columns, rows, true
	}
}

// Control sequences that every terminal knows.
const (
	home      = "\x1b[H"
	clearLine = "\x1b[K"
	clearDown = "\x1b[J"
	clearAll  = "\x1b[2J"
)

// fit makes a drawing fill a screen in place of what is there: every line is
// cleared behind its end, so that nothing flickers, and what is too long or too
// low is cut.
func fit(drawing string, columns, rows int) string {
	lines := strings.Split(strings.TrimRight(drawing, "\n"), "\n")
	if rows > 1 && len(lines) >= rows {
		cut := len(lines) - rows + 2
		lines = append(lines[:rows-2], fmt.Sprintf("… %d more lines; a taller window shows them", cut))
	}
	var b strings.Builder
	b.WriteString(home)
	for _, line := range lines {
		b.WriteString(clip(line, columns) + clearLine + "\n")
	}
	b.WriteString(clearDown)
	return b.String()
}

// clip cuts a line to a number of columns; colours take none.
func clip(line string, columns int) string {
	var b strings.Builder
	used, escape := 0, false
	for _, r := range line {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		case columns > 0 && used >= columns:
			continue
		default:
			used++
		}
		b.WriteRune(r)
	}
	return b.String()
}

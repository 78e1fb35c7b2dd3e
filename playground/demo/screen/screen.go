// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package screen writes for a person: lines that stay, and below them, on a
// terminal, a drawing that is redrawn in place. Where there is no terminal the
// drawing is left out, and what changed is said in lines. It knows nothing of
// what it writes.
package screen

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Options say what is written to.
type Options struct {
	// Out is where it is written to; it must be set.
	Out io.Writer
	// Size returns the columns and lines of the terminal; nil means that Out is
	// none.
	Size func() (columns, lines int)
	// Color marks with colour; only on a terminal.
	Color bool
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// plainColumns is how wide text may be where there is no terminal.
const plainColumns = 110

// A Screen is what is written to. It is safe for concurrent use.
type Screen struct {
	opts  Options
	began time.Time

	mu    sync.Mutex
	drawn int      // lines of the drawing that are on the terminal
	image []string // the drawing
	said  string   // the last change
}

// New returns a Screen whose clock starts now.
func New(o Options) *Screen {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Screen{opts: o, began: o.Now()}
}

// Terminal reports whether drawings are shown.
func (s *Screen) Terminal() bool { return s.opts.Size != nil }

// Color reports whether colours are shown.
func (s *Screen) Color() bool { return s.opts.Color && s.Terminal() }

// Columns is how wide a line may be.
func (s *Screen) Columns() int {
	if s.opts.Size == nil {
		return plainColumns
	}
	columns, _ := s.opts.Size()
	return max(columns, 20)
}

// Lines is how many lines a drawing may have; 0 where none is shown.
func (s *Screen) Lines() int {
	if s.opts.Size == nil {
		return 0
	}
	_, lines := s.opts.Size()
	return max(lines-2, 1)
}

// Elapsed is the time since the Screen was made.
func (s *Screen) Elapsed() time.Duration { return s.opts.Now().Sub(s.began) }

// Say writes lines that stay, above the drawing.
func (s *Screen) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.write(strings.TrimRight(fmt.Sprintf(format, args...), "\n") + "\n")
	s.paint()
}

// Change says, with the time, how things are now, unless that is what it said
// last; what does not fit on a line is left out. On a terminal the drawing shows
// it.
func (s *Screen) Change(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const margin = len("  1234.5s  ")
	if text = clip(text, plainColumns-margin); text == s.said {
		return
	}
	s.said = text
	if s.opts.Size == nil {
		s.write(fmt.Sprintf("  %6.1fs  %s\n", s.Elapsed().Seconds(), text))
	}
}

// Draw replaces the drawing.
func (s *Screen) Draw(text string) {
	if s.opts.Size == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	image := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if strings.Join(image, "\n") == strings.Join(s.image, "\n") {
		return
	}
	s.erase()
	s.image = image
	s.paint()
}

// Clear takes the drawing away.
func (s *Screen) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.image, s.said = nil, ""
}

// erase removes the drawing from the terminal. The lock is held.
func (s *Screen) erase() {
	if s.drawn > 0 {
		s.write(fmt.Sprintf("\x1b[%dA\x1b[J", s.drawn))
		s.drawn = 0
	}
}

// paint puts the drawing on the terminal, as much of it as fits. The lock is
// held.
func (s *Screen) paint() {
	if s.opts.Size == nil || len(s.image) == 0 {
		return
	}
	columns, lines := s.opts.Size()
	image := s.image
	if room := max(lines-2, 1); len(image) > room {
		image = append(append([]string{}, image[:room-1]...), fmt.Sprintf("… %d more lines", len(s.image)-room+1))
	}
	var b strings.Builder
	for _, line := range image {
		b.WriteString(clip(line, columns-1))
		b.WriteByte('\n')
	}
	s.write(b.String())
	s.drawn = len(image)
}

func (s *Screen) write(text string) { _, _ = io.WriteString(s.opts.Out, text) }

// clip cuts a line to a number of columns; colour codes take none.
func clip(line string, columns int) string {
	var b strings.Builder
	used := 0
	for rest := line; rest != ""; {
		if strings.HasPrefix(rest, "\x1b[") {
			if end := strings.IndexByte(rest, 'm'); end >= 0 {
				b.WriteString(rest[:end+1])
				rest = rest[end+1:]
				continue
			}
		}
		r, n := utf8.DecodeRuneInString(rest)
		if used < columns {
			b.WriteRune(r)
		}
		used++
		rest = rest[n:]
	}
	return b.String()
}

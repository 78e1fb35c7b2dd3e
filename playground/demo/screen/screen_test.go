// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package screen_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/playground/demo/screen"
)

// clock is a time that only the test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func TestWithoutATerminalOnlyChangesAreSaid(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := &clock{now: time.Unix(1000, 0)}
	s := screen.New(screen.Options{Out: &out, Color: true, Now: c.Now})
	s.Say("Release %d", 1)
	s.Draw("a tree")
	s.Change("10 %")
	c.now = c.now.Add(1500 * time.Millisecond)
	s.Change("10 %")
	s.Change("25 %")
	s.Clear()
	s.Say("done\n")
	want := "Release 1\n     0.0s  10 %\n     1.5s  25 %\ndone\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if s.Terminal() || s.Color() {
		t.Errorf("Terminal() = %t, Color() = %t, want neither", s.Terminal(), s.Color())
	}
}

// emulate plays what was written to a terminal and returns what is on it.
func emulate(t *testing.T, text string) []string {
	t.Helper()
	lines := []string{""}
	for rest := text; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "\x1b["):
			end := strings.IndexAny(rest, "AJm")
			if rest[end] == 'A' {
				up := 0
				for _, d := range rest[2:end] {
					up = 10*up + int(d-'0')
				}
				// What follows is always an erase to the end.
				lines = append(lines[:max(len(lines)-1-up, 0)], "")
			}
			rest = rest[end+1:]
		case rest[0] == '\n':
			lines = append(lines, "")
			rest = rest[1:]
		default:
			i := strings.IndexAny(rest, "\n\x1b")
			if i < 0 {
				i = len(rest)
			}
			lines[len(lines)-1] += rest[:i]
			rest = rest[i:]
		}
	}
	return lines
}

func TestOnATerminalTheDrawingStaysBelow(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		play func(*screen.Screen)
		want []string
	}{
		"a new drawing replaces the old": {
			play: func(s *screen.Screen) { s.Say("title"); s.Draw("a\nb\nc"); s.Draw("d\n") },
			want: []string{"title", "d", ""},
		},
		"lines go above the drawing": {
			play: func(s *screen.Screen) { s.Draw("a\nb"); s.Say("one"); s.Say("two") },
			want: []string{"one", "two", "a", "b", ""},
		},
		"a change is not said, the drawing shows it": {
			play: func(s *screen.Screen) { s.Change("10 %"); s.Draw("a") },
			want: []string{"a", ""},
		},
		"nothing is left after clearing": {
			play: func(s *screen.Screen) { s.Draw("a\nb"); s.Clear(); s.Say("end") },
			want: []string{"end", ""},
		},
		"a long drawing is cut at the screen's height": {
			play: func(s *screen.Screen) { s.Draw("1\n2\n3\n4\n5\n6\n7\n8") },
			want: []string{"1", "2", "3", "… 5 more lines", ""},
		},
		"a wide line is cut at the screen's width": {
			play: func(s *screen.Screen) { s.Draw("\x1b[32m⟳ " + strings.Repeat("x", 40) + "\x1b[0m") },
			want: []string{"⟳ " + strings.Repeat("x", 17), ""},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			s := screen.New(screen.Options{Out: &out, Size: func() (int, int) { return 20, 6 }})
			tc.play(s)
			if diff := cmp.Diff(tc.want, emulate(t, out.String())); diff != "" {
				t.Errorf("on the terminal (-want +got):\n%s", diff)
			}
		})
	}
}

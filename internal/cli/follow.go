// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sluice.dev/sluice/internal/cli/kube"
)

const (
	// settle is how long to wait for more changes after one: what belongs
	// together arrives one by one.
	settle = 150 * time.Millisecond
	// syncLimit is how long the first look at everything may take.
	syncLimit = 30 * time.Second
)

// A scene draws what is known, at a time; small asks for fewer lines. At the
// zero time it leaves out what changes by itself. It returns false when there
// is nothing more to follow.
type scene func(at time.Time, small bool) (drawing string, more bool)

// follow draws a scene whenever what it shows changes, until ctx ends. On a
// terminal it redraws in place, elsewhere it writes one drawing after another.
func (p *program) follow(ctx context.Context, w *kube.Watch, draw scene) error {
	if !w.Synced(ctx, syncLimit) {
		if ctx.Err() != nil {
			return nil
		}
		return unsynced(w)
	}
	f := &follower{program: p, watch: w, draw: draw}
	_, _, f.live = p.Screen()
	if f.live {
		write(p.Out, clearAll)
	}
	f.run(ctx)
	return nil
}

// unsynced says why the first look at everything did not come about.
func unsynced(w *kube.Watch) error {
	if err := w.Lost(); err != nil {
		return fmt.Errorf("watch %w", err)
	}
	return fmt.Errorf("watch the API server: no answer for %s", syncLimit)
}

type follower struct {
	*program
	watch *kube.Watch
	draw  scene
	live  bool
	last  string
	lost  bool
}

func (f *follower) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for f.show() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-f.watch.Changed:
			select {
			case <-ctx.Done():
				return
			case <-time.After(settle):
			}
		}
	}
}

// show draws when there is something new; false means that the scene is over.
func (f *follower) show() bool {
	if f.live {
		return f.redraw()
	}
	f.lost = f.tell(f.watch, f.lost)
	still, more := f.draw(time.Time{}, false)
	if still == f.last {
		return more
	}
	if f.last != "" {
		write(f.Out, "\n")
	}
	f.last = still
	drawing, _ := f.draw(f.Now(), false)
	write(f.Out, drawing)
	return more
}

// redraw draws on a terminal, smaller when it is too low.
func (f *follower) redraw() bool {
	now := f.Now()
	columns, rows, _ := f.Screen()
	drawing, more := f.draw(now, false)
	if strings.Count(drawing, "\n") >= rows {
		drawing, more = f.draw(now, true)
	}
	if err := f.watch.Lost(); err != nil {
		drawing = fmt.Sprintf("! no word from the API server, trying again: %v\n", err) + drawing
	}
	if text := fit(drawing, columns, rows); text != f.last {
		f.last = text
		write(f.Out, text)
	}
	return more
}

// tell says when the API server is lost and when it is back.
func (p *program) tell(w *kube.Watch, before bool) bool {
	err := w.Lost()
	switch {
	case err != nil && !before:
		writef(p.Err, "no word from the API server, trying again: %v\n", err)
	case err == nil && before:
		write(p.Err, "the API server answers again"+"\n")
	}
	return err != nil
}

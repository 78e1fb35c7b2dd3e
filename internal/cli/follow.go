// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"sluice.dev/sluice/internal/cli/kube"
)

const (
	// settle is how long to wait for more changes after one: what belongs
	// together arrives one by one.
	settle = 150 * time.Millisecond
	// syncLimit is how long the first look at everything may take.
	syncLimit = 30 * time.Second
	// lostFor is how long a lost connection is mentioned: about as long as it
	// takes to try again.
	lostFor = 20 * time.Second
)

// A scene draws what is known, at a time. At the zero time it leaves out what
// changes by itself. It returns false when there is nothing more to follow.
type scene func(at time.Time) (drawing string, more bool)

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
		fmt.Fprint(p.Out, clearAll)
	}
	return f.run(ctx)
}

// unsynced says why the first look at everything did not come about.
func unsynced(w *kube.Watch) error {
	select {
	case err := <-w.Lost:
		return fmt.Errorf("watch the API server: %w", err)
	default:
		return fmt.Errorf("watch the API server: no answer for %s", syncLimit)
	}
}

type follower struct {
	*program
	watch *kube.Watch
	draw  scene
	live  bool
	last  string
	lost  error
	until time.Time
}

func (f *follower) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	if !f.show() {
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-f.watch.Lost:
			f.note(err)
		case <-f.watch.Changed:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(settle):
			}
		case <-tick.C:
			if !f.live {
				continue
			}
		}
		if !f.show() {
			return nil
		}
	}
}

// note remembers that the connection was lost; off a terminal it says so at
// once.
func (f *follower) note(err error) {
	if !f.live && f.lost == nil {
		fmt.Fprintf(f.Err, "lost the API server, trying again: %v\n", err)
	}
	f.lost, f.until = err, f.Now().Add(lostFor)
}

// show draws when there is something new; false means that the scene is over.
func (f *follower) show() bool {
	now := f.Now()
	if f.lost != nil && now.After(f.until) {
		f.lost = nil
	}
	drawing, more := f.draw(now)
	if f.live {
		if f.lost != nil {
			drawing = fmt.Sprintf("! lost the API server, trying again: %v\n\n", f.lost) + drawing
		}
		columns, rows, _ := f.Screen()
		if text := fit(drawing, columns, rows); text != f.last {
			f.last = text
			fmt.Fprint(f.Out, text)
		}
		return more
	}
	if still, _ := f.draw(time.Time{}); still != f.last {
		if f.last != "" {
			fmt.Fprintln(f.Out)
		}
		f.last = still
		fmt.Fprint(f.Out, drawing)
	}
	return more
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package demo runs the guide: one command puts up a real API server, real
// traffic and the controller, plays releases good and bad, and says which of the
// guide's promises were seen. It decides nothing about a release; the controller
// does.
package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice.dev/sluice/playground/demo/proof"
	"sluice.dev/sluice/playground/demo/screen"
	"sluice.dev/sluice/playground/demo/stage"
	"sluice.dev/sluice/playground/demo/story"
	"sluice.dev/sluice/playground/demo/witness"
)

// DefaultFactor is what waiting times are divided by, so that the demo takes
// under five minutes: a minute becomes one and a half seconds.
const DefaultFactor = 40

// Options say what to run.
type Options struct {
	// Assets is the folder of the control plane's program files.
	Assets string
	// Sluice is the path of the product's program.
	Sluice string
	// Factor divides every waiting time; 0 means DefaultFactor, 1 is the
	// guide's own pace.
	Factor float64
	// Rate is the number of users' requests a second; 0 means 200.
	Rate int
	// Keep stays when the releases are over, until ctx ends.
	Keep bool
	// Screen is what is written to; it must be set.
	Screen *screen.Screen
}

// ErrNotSeen is returned, wrapped, when a promise of the guide was not seen.
var ErrNotSeen = errors.New("not everything that the guide promises was seen")

// Run plays the demo and takes everything down again. It returns nil only if
// every row was seen.
func Run(ctx context.Context, o Options) (err error) {
	if o.Factor == 0 {
		o.Factor = DefaultFactor
	}
	o.Screen.Say("Putting up the stage")
	s, err := stage.Up(ctx, stage.Options{
		Assets: o.Assets, Sluice: o.Sluice, Factor: o.Factor, Rate: o.Rate,
		Say: func(format string, args ...any) { o.Screen.Say("  "+format, args...) },
	})
	if err != nil {
		return err
	}
	defer func() { //nolint:contextcheck // it is taken down although ctx may have ended
		o.Screen.Clear()
		err = errors.Join(err, s.Down())
	}()
	o.Screen.Say("  kubeconfig      %s", s.Cluster.Kubeconfig())
	o.Screen.Say("  controller log  %s", s.ControllerLog())

	p := &story.Play{
		Stage: s, Witness: witness.New(stage.Namespace, story.Name), Ledger: &proof.Ledger{},
		Screen: o.Screen, Factor: o.Factor,
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	if err := p.Witness.Follow(watching, s.Config()); err != nil {
		return err
	}
	painted := make(chan struct{})
	go func() { defer close(painted); paint(watching, p) }()
	defer func() { stop(); <-painted }()

	began := time.Now()
	played := p.Perform(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.Screen.Clear()
	verdict := report(p, time.Since(began), played)
	if o.Keep {
		keep(ctx, p)
	}
	return verdict
}

// report writes the table and returns what was missing.
func report(p *story.Play, took time.Duration, played error) error {
	if played != nil {
		p.Screen.Say("\nThe play was broken off: %v\n\nThe end of the controller's log:\n%s", played, stage.Tail(p.Stage.ControllerLog()))
	}
	users := p.Stage.Load.Total()
	p.Ledger.Note("Altogether %d users' requests through the mesh, %d failed, %d were never sent for want of connections; %.0f s.",
		users.Requests, users.Failures, users.Dropped, took.Seconds())
	p.Screen.Say("\nWhat the guide promises, and what was seen (rows of the acceptance table)\n\n%s", p.Ledger.Table(p.Screen.Columns()))
	missing := p.Ledger.Missing()
	switch {
	case played != nil:
		return played
	case len(missing) > 0:
		return fmt.Errorf("%w: rows %s", ErrNotSeen, strings.Trim(fmt.Sprint(missing), "[]"))
	}
	p.Screen.Say("All %d rows were seen.", len(proof.Rows))
	return nil
}

// keep stays until ctx ends, with the tree drawn, and says what can be tried.
func keep(ctx context.Context, p *story.Play) {
	p.Screen.Say("\nEverything stays up until Ctrl-C. In another window:")
	p.Screen.Say("\n  export KUBECONFIG=%s", p.Stage.Cluster.Kubeconfig())
	p.Screen.Say("  export PATH=%s:$PATH", p.Stage.Programs())
	p.Screen.Say("")
	for _, line := range []string{
		"get rollout checkout -n payments --watch",
		"set image checkout checkout=registry.internal/payments/checkout:2.0.0-errors8 -n payments",
		"promote checkout -n payments --full",
		"abort checkout -n payments",
		"undo checkout -n payments",
	} {
		p.Screen.Say("  kubectl-argo-rollouts %s", line)
	}
	p.Screen.Say("\nAn image's tag says how it behaves: 2.0.0, 2.0.0-errors8, 2.0.0-tail900, 2.0.0-errors25-at50, 2.0.0-errors2-for60.")
	<-ctx.Done()
}

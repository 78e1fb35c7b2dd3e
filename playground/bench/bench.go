// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bench measures the controller on a real control plane and prints each
// figure beside its goal, what Argo Rollouts was measured at, and, if there is
// one, a peer in the same run. It judges nothing: a goal that was missed is
// printed, not an error.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"sluice.dev/sluice/playground/bench/aborts"
	"sluice.dev/sluice/playground/bench/canaries"
	"sluice.dev/sluice/playground/bench/report"
	"sluice.dev/sluice/playground/bench/rig"
)

// Options say what to measure.
type Options struct {
	// Assets is the folder of the control plane's program files.
	Assets string
	// Sluice is the product's program, Peer another controller's or empty.
	Sluice, Peer string
	// Sizes are the numbers of canaries at once.
	Sizes []int
	// Rounds is how often twenty aborts are measured, alone and at once each.
	Rounds int
	// Idle is how long the idle controller is listened to; 0 leaves it out.
	Idle time.Duration
	// Profiles is a folder for Go profiles of ours; empty takes none. Taking
	// them costs CPU time.
	Profiles string
	// Logs is a folder that the controllers' logs and the audit logs are kept
	// in; empty keeps none.
	Logs string
	// Flags are further flags for our controller.
	Flags []string
	// JSON is a file that the report is written to as well; empty for none.
	JSON string
	// Out is where the tables go, Progress what is being done.
	Out, Progress io.Writer
}

// pprofAddress is where our controller serves its profiles, if it is asked to.
const pprofAddress = "127.0.0.1:16060"

// contenders are ours and the peer with both settings.
func (o *Options) contenders() []rig.Contender {
	ours := rig.Contender{Name: "sluice", Path: o.Sluice, Args: append([]string{"controller", "--metricsPort=0", "--healthzPort=0"}, o.Flags...)}
	if o.Profiles != "" {
		ours.Args = append(ours.Args, "--enable-pprof-address="+pprofAddress)
	}
	all := []rig.Contender{ours}
	if o.Peer != "" {
		ports := []string{"--metricsPort=18090", "--healthzPort=18080"}
		all = append(all,
			rig.Contender{Name: "peer", Path: o.Peer, Args: ports},
			rig.Contender{Name: "peer with qps 1000", Path: o.Peer, Args: append(slices.Clone(ports), "--qps=1000", "--burst=2000")})
	}
	return all
}

// say tells a person what is being done.
func (o *Options) say(format string, args ...any) {
	_, _ = fmt.Fprintf(o.Progress, format+"\n", args...)
}

// Run measures and prints. An error means that something broke.
func Run(ctx context.Context, o Options) error {
	all := report.Report{Machine: machine()}
	for _, line := range all.Machine {
		_, _ = fmt.Fprintln(o.Out, line)
	}
	show := func(sections ...report.Section) {
		for i := range sections {
			_, _ = fmt.Fprint(o.Out, "\n"+sections[i].Table())
		}
		all.Sections = append(all.Sections, sections...)
	}
	for i, n := range o.Sizes {
		sections, err := o.canaries(ctx, n, i == 0)
		if err != nil {
			return err
		}
		show(sections...)
	}
	if o.Rounds > 0 {
		sections, err := o.aborts(ctx)
		if err != nil {
			return err
		}
		show(sections...)
	}
	met, goals := all.Goals()
	_, _ = fmt.Fprintf(o.Out, "\n%d of %d goals met\n%s\n", met, goals, report.Footnote)
	if o.JSON == "" {
		return nil
	}
	return all.Write(o.JSON)
}

// on runs a benchmark of one contender on a rig of its own.
func (o *Options) on(ctx context.Context, c rig.Contender, do func(*rig.Rig, *rig.Process) error) (err error) {
	r, err := rig.Up(ctx, o.Assets)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Keep(o.Logs, c.Name), r.Down()) }()
	p, err := r.Launch(ctx, c)
	if err != nil {
		return err
	}
	defer p.Stop()
	if err := do(r, p); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return nil
}

// canaries measures n canaries at once and, after them, idling.
func (o *Options) canaries(ctx context.Context, n int, idle bool) ([]report.Section, error) {
	var costs [3]*canaries.Cost
	var idles [3]*canaries.Idle
	for i, c := range o.contenders() {
		o.say("%s: %d canaries at once", c.Name, n)
		err := o.on(ctx, c, func(r *rig.Rig, p *rig.Process) (err error) {
			run := &canaries.Run{Rig: r, Process: p, N: n}
			if i == 0 && o.Profiles != "" {
				run.Profile = o.profile(n)
			}
			if err := run.Prepare(ctx); err != nil {
				return err
			}
			if costs[i], err = run.Measure(ctx); err != nil || !idle || o.Idle == 0 {
				return err
			}
			o.say("%s: idle for %s", c.Name, o.Idle)
			if err := rig.Pause(ctx, settle); err != nil {
				return err
			}
			idles[i], err = run.Idle(ctx, o.Idle)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	out := []report.Section{costSection(n, costs)}
	if idles[0] != nil {
		out = append(out, idleSection(idles))
	}
	return out, nil
}

// settle is the time between the last canary and the idle controller: longer
// than the delays after which old ReplicaSets are scaled down.
const settle = 35 * time.Second

// profile returns what takes profiles while n canaries are under way.
func (o *Options) profile(n int) func(context.Context) func() error {
	d := time.Duration(4+n/20) * time.Second
	return func(ctx context.Context) func() error {
		return rig.Profile(ctx, pprofAddress, filepath.Join(o.Profiles, strconv.Itoa(n)+"-"), d)
	}
}

// aborts measures aborts, alone and at once.
func (o *Options) aborts(ctx context.Context) ([]report.Section, error) {
	var taken [3]*abortTimes
	for i, c := range o.contenders() {
		o.say("%s: %d aborts one at a time, and %d, %d at once", c.Name, o.Rounds*aborts.Together, o.Rounds*aborts.Together, aborts.Together)
		err := o.on(ctx, c, func(r *rig.Rig, p *rig.Process) (err error) {
			taken[i], err = o.abort(ctx, r, p)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return abortSections(taken), nil
}

// An abortTimes is what one contender took.
type abortTimes struct {
	alone, atOnce []aborts.Sample
	fsync         *rig.Histogram
}

func (o *Options) abort(ctx context.Context, r *rig.Rig, p *rig.Process) (*abortTimes, error) {
	b, err := aborts.New(ctx, r, p)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	// The first round is for an API server that has just started and has just
	// been given CRDs; it does not count.
	if _, err := b.AtOnce(ctx); err != nil {
		return nil, err
	}
	before, err := r.Fsync(ctx)
	if err != nil {
		return nil, err
	}
	t := &abortTimes{}
	for round := range o.Rounds {
		alone, err := b.Alone(ctx)
		if err != nil {
			return nil, err
		}
		atOnce, err := b.AtOnce(ctx)
		if err != nil {
			return nil, err
		}
		t.alone, t.atOnce = append(t.alone, alone...), append(t.atOnce, atOnce...)
		o.say("  round %d of %d", round+1, o.Rounds)
	}
	after, err := r.Fsync(ctx)
	if err != nil {
		return nil, err
	}
	t.fsync = after.Since(before)
	return t, nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/act"
	"sluice.dev/sluice/internal/cli/kube"
	"sluice.dev/sluice/internal/drill"
)

// A coded error says which code to exit with.
type coded struct {
	error
	code int
}

func (c coded) Unwrap() error { return c.error }

// The exit codes of a drill besides 0.
const (
	codeBlind  = 1
	codeNotRun = 2
)

type drilling struct {
	drill.Options
	env, args            []string
	expect, output       string
	yes, dryRun, cleanUp bool
	terminalIn           func() bool
}

func drillCommand(p *program) *cobra.Command {
	d := &drilling{}
	c := &cobra.Command{
		Use:   "drill ROLLOUT_NAME",
		Short: "Prove that the gates abort: release a version that is bad on purpose",
		Long: "Starts a release that is bad on purpose, watches which gate aborts it and how long that takes,\n" +
			"and puts everything back. Before any weight above --max-weight the traffic goes back to 0, so that\n" +
			"a blind gate cannot promote it, also when this command is killed; drill --clean-up then finishes.\n\n" +
			"Real users get the bad version's answers: --dry-run shows how many. Exit codes: 0 a gate aborted,\n" +
			"1 the gate was blind, 2 the drill could not be run to its end.",
		Example: p.examples(
			"# What would it harm?", "drill checkout --set-env ERROR_RATE=0.2 --dry-run", "",
			"# One request in five fails; does the gate see it?", "drill checkout --set-env ERROR_RATE=0.2 --expect error-rate=0.2", "",
			"# An image that is known to be bad", "drill checkout --image registry.example.com/checkout:broken --yes", "",
			"# After a drill that was killed", "drill checkout --clean-up"),
		Args: func(c *cobra.Command, args []string) error {
			if err := named("rollout", true)(c, args); err != nil {
				return coded{err, codeNotRun}
			}
			return nil
		},
		ValidArgsFunction: p.complete(kube.Rollouts, true),
		RunE: func(c *cobra.Command, args []string) error {
			d.terminalIn = func() bool {
				f, ok := c.InOrStdin().(*os.File)
				return ok && term.IsTerminal(int(f.Fd()))
			}
			err := p.drill(c, bare(args[0]), d)
			if _, ok := errors.AsType[coded](err); err == nil || ok {
				return err
			}
			return coded{err, codeNotRun}
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return coded{err, codeNotRun} })
	f := c.Flags()
	f.StringVar(&d.Image, "image", "", "The image of a version that is known to be bad")
	f.StringArrayVar(&d.env, "set-env", nil, "An environment variable that makes the version bad, as NAME=VALUE")
	f.StringArrayVar(&d.args, "set-arg", nil, "An argument that makes the version bad; it is added to those of the container")
	f.StringVarP(&d.Container, "container", "c", "", "The container to change; the first one if left out")
	f.StringVar(&d.expect, "expect", "", "What a metric should measure of it, as METRIC=NUMBER or NUMBER")
	f.Int32Var(&d.MaxWeight, "max-weight", 0, "The largest weight that the bad version may get; 0: the first after the first gate, unless that is all traffic")
	f.DurationVar(&d.Limit, "time-limit", 0, "End the drill after this time; 0: from the times of the steps and gates")
	f.BoolVar(&d.SyncPaused, "sync-paused", false, "The GitOps tool that the rollout belongs to is told to leave it alone")
	f.BoolVar(&d.yes, "yes", false, "Do not ask")
	f.BoolVar(&d.dryRun, "dry-run", false, "Show what would be done and harmed, and do nothing")
	f.BoolVar(&d.cleanUp, "clean-up", false, "Finish a drill that was interrupted")
	f.StringVarP(&d.output, "output", "o", "", "Print the report as json")
	return c
}

func (p *program) drill(c *cobra.Command, name string, d *drilling) error {
	ctx := c.Context()
	if err := d.complete(); err != nil {
		return err
	}
	client, err := p.client()
	if err != nil {
		return err
	}
	raw, err := kube.Raw(ctx, client, kube.Rollouts, name)
	if err != nil {
		return err
	}
	ro := &v1alpha1.Rollout{}
	if err := json.Unmarshal(raw, ro); err != nil {
		return fmt.Errorf("read rollout '%s': %w", name, err)
	}
	run := &drillRun{program: p, client: client, json: d.output == "json", name: name}
	if d.cleanUp {
		return run.finish(ctx, ro)
	}
	plan, err := drill.New(ro, raw, func(ref v1alpha1.AnalysisTemplateRef) (*v1alpha1.AnalysisTemplateSpec, error) {
		return kube.TemplateSpec(ctx, client, ref)
	}, d.Options, p.Now())
	if err != nil {
		return err
	}
	if d.dryRun {
		return run.show(plan)
	}
	write(run.talk(), plan.Text())
	if err := d.confirm(c, name); err != nil {
		return err
	}
	return run.start(ctx, ro, plan)
}

// complete reads the flags.
func (d *drilling) complete() error {
	if d.output != "" && d.output != "json" {
		return fmt.Errorf("--output %q: json is the only one", d.output)
	}
	for _, pair := range d.env {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return fmt.Errorf("--set-env %q is not NAME=VALUE", pair)
		}
		d.Env = append(d.Env, drill.Var{Name: name, Value: value})
	}
	d.Args = d.args
	if d.Limit < 0 || d.MaxWeight < 0 {
		return errors.New("--time-limit and --max-weight cannot be negative")
	}
	if d.expect != "" {
		metric, number, ok := strings.Cut(d.expect, "=")
		if !ok {
			metric, number = "", d.expect
		}
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return fmt.Errorf("--expect %q is not METRIC=NUMBER", d.expect)
		}
		d.Expect = &drill.Truth{Metric: metric, Value: value}
	}
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	d.ID = hex.EncodeToString(id[:])
	return nil
}

// confirm asks a person at a terminal; anybody else has to say yes before.
func (d *drilling) confirm(c *cobra.Command, name string) error {
	switch {
	case d.yes:
		return nil
	case !d.terminalIn():
		return fmt.Errorf("users will get the bad version's answers, and there is no terminal to ask at: give --yes; %w", act.ErrRefused)
	}
	writef(c.ErrOrStderr(), "Users will get the bad version's answers. Type %s to start: ", name)
	line, _ := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	if strings.TrimSpace(line) != name {
		return fmt.Errorf("not confirmed; %w", act.ErrRefused)
	}
	return nil
}

func printJSON(p *program, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	write(p.Out, string(text)+"\n")
	return nil
}

// unattended is how long the clean-up may take once nobody waits for it.
const unattended = time.Minute

// aside is a context that outlives the person who pressed Ctrl-C.
func aside(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), unattended)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo runs the guide on this machine: a real Kubernetes control plane,
// pods that serve requests, a mesh, users, a Datadog and the controller. It plays
// releases good and bad, draws what happens, and ends with a table of what the
// guide promises and what was seen. It exits with 1 if something was not.
//
//	make demo
//	make demo ARGS=--keep
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/go-logr/logr"
	"golang.org/x/term"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/playground/demo"
	"sluice.dev/sluice/playground/demo/screen"
)

// errInterrupted is why the demo ends on Ctrl-C.
var errInterrupted = errors.New("interrupted")

func main() {
	os.Exit(run(os.Args[1:]))
}

// run is main without the exit: 0 when every row was seen, 1 when one was not,
// 2 when the flags are wrong and 130 after Ctrl-C.
func run(args []string) int {
	// The libraries' own logs are not for the person who watches.
	ctrllog.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 2
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel(errInterrupted)
		// A second one does not wait: the children die with us.
		<-signals
		os.Exit(130)
	}()
	err = demo.Run(ctx, o)
	switch {
	case ctx.Err() != nil && o.Keep && err == nil, err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "demo: interrupted; everything was taken down")
		return 130
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	return 1
}

// parse reads the flags.
func parse(args []string) (demo.Options, error) {
	o := demo.Options{}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&o.Sluice, "sluice", "bin/sluice", "the product's program, which `make build` makes")
	flags.StringVar(&o.Assets, "controlplane", os.Getenv("KUBEBUILDER_ASSETS"), "folder of the control plane, as `make controlplane` prints it")
	flags.IntVar(&o.Rate, "rate", 200, "users' requests a second")
	flags.BoolVar(&o.Keep, "keep", false, "stay when the releases are over, until Ctrl-C")
	pace := flags.String("pace", strconv.Itoa(demo.DefaultFactor), "what waiting times are divided by, or `real` for the guide's own")
	plain := flags.Bool("plain", false, "print changes instead of drawing, as without a terminal")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *pace == "real" {
		*pace = "1"
	}
	factor, err := strconv.ParseFloat(*pace, 64)
	if err != nil || factor < 1 {
		return o, fmt.Errorf("--pace %s: give a number from 1, or real", *pace)
	}
	o.Factor = factor
	o.Screen = screen.New(screen.Options{Out: os.Stdout, Size: size(*plain), Color: os.Getenv("NO_COLOR") == ""})
	return o, nil
}

// size returns what measures the terminal, nil if there is none.
func size(plain bool) func() (columns, lines int) {
	fd := int(os.Stdout.Fd())
	if plain || !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return func() (int, int) {
		columns, lines, err := term.GetSize(fd)
		if err != nil {
			return 80, 24
		}
		return columns, lines
	}
}

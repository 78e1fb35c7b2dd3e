// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures the controller on a real control plane: many canaries
// at once, idling, and aborts. Goals that are missed are printed and are no
// error: it exits with 0 unless something broke.
//
//	make bench
//	make bench ARGS="--quick --json bench.json"
//	make bench PEER=$(make -s peer)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/playground/bench"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run is main without the exit: 0 when everything was measured, 1 when something
// broke, 2 when the flags are wrong and 130 after Ctrl-C.
func run(args []string) int {
	ctrllog.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err = bench.Run(ctx, o)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "bench: interrupted; everything was taken down")
		return 130
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}

// parse reads the flags.
func parse(args []string) (bench.Options, error) {
	o := bench.Options{Out: os.Stdout, Progress: os.Stderr}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.Sluice, "sluice", "bin/sluice", "the product's program, which `make build` makes")
	flags.StringVar(&o.Assets, "controlplane", os.Getenv("KUBEBUILDER_ASSETS"), "folder of the control plane, as `make controlplane` prints it")
	flags.StringVar(&o.Peer, "peer", "", "another controller's program, or the folder that `make peer` prints, measured with its defaults and with --qps 1000 --burst 2000")
	flags.StringVar(&o.JSON, "json", "", "file to write the figures to as well")
	flags.StringVar(&o.Profiles, "profiles", "", "folder for Go profiles of our controller; taking them costs CPU time")
	flags.StringVar(&o.Logs, "logs", "", "folder to keep the controllers' logs and the audit logs in")
	flags.DurationVar(&o.Idle, "idle", time.Minute, "how long the idle controller is listened to; 0 leaves it out")
	flags.IntVar(&o.Rounds, "rounds", 10, "how often twenty aborts are measured, alone and at once each; 0 leaves them out")
	sizes := flags.String("canaries", "100,500", "numbers of canaries at once; empty leaves them out")
	quick := flags.Bool("quick", false, "a short run: 100 canaries, 2 rounds, 15 s idle")
	more := flags.String("flags", "", "further flags for our controller, separated by spaces")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		*sizes, o.Rounds, o.Idle = "100", 2, 15*time.Second
	}
	o.Peer = program(o.Peer)
	o.Flags = strings.Fields(*more)
	for text := range strings.SplitSeq(*sizes, ",") {
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return o, fmt.Errorf("--canaries %s: give numbers from 1, separated by commas", *sizes)
		}
		o.Sizes = append(o.Sizes, n)
	}
	return o, nil
}

// program is the controller's file in the folder that make peer prints, or the
// path as it is.
func program(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, "rollouts-controller")
	}
	return path
}

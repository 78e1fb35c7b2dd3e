// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"flag"
	"io"
	"log/slog"
	"os"
	"strconv"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// maxVerbosity is the highest verbosity that is ever written.
const maxVerbosity = 2

// setLogger makes every package log to standard error in one format.
func setLogger(c Config) {
	log := newLogger(os.Stderr, c)
	ctrl.SetLogger(log)
	klog.SetLogger(log.WithName("kubernetes"))
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	_ = flags.Set("v", strconv.Itoa(c.KlogLevel))
}

func newLogger(out io.Writer, c Config) logr.Logger {
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil || level < slog.LevelDebug {
		level = slog.LevelInfo
	}
	if level == slog.LevelDebug {
		// logr's V(1) and V(2), and no more whatever --kloglevel says: from V(8)
		// the Kubernetes client logs the bodies of answers, Secrets among them.
		level = slog.Level(-maxVerbosity)
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "text" {
		return logr.FromSlogHandler(slog.NewTextHandler(out, options))
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(out, options))
}

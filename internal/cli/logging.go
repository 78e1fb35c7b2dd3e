// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"flag"
	"io"
	"strconv"
	"sync"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"sluice.dev/sluice/internal/cli/kube"
)

// level is a log level that is handed to klog when it is set.
type level struct{ value int }

func (l *level) String() string { return strconv.Itoa(l.value) }
func (l *level) Type() string   { return "int" }

// Set is called by the flag's parser.
func (l *level) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil {
		return err
	}
	l.value = n
	set := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(set)
	return set.Set("v", s)
}

// logging adds the flags that say how much the client library logs.
func logging(p *program, fs *pflag.FlagSet) {
	fs.VarP(&p.verbosity, "kloglevel", "v", "How much the client library logs to standard error: 6 shows requests, 8 their bodies")
	fs.String("loglevel", "info", "Accepted for compatibility; it does nothing")
	// A flag that was just declared exists.
	_ = fs.MarkHidden("loglevel")
}

// hush keeps the client library from writing across what commands draw.
var hush = sync.OnceFunc(func() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
})

// client makes a client from what the flags say.
func (p *program) client() (*kube.Client, error) {
	if p.verbosity.value == 0 {
		hush()
	}
	return p.flags.Client()
}

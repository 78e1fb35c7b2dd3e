// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"strings"
	"testing"
)

// The Kubernetes client logs headers from V(6) and the bodies of answers from
// V(8), Secrets among them; internal/itest/keys sees it happen to a logger that
// lets them through.
func TestNoLevelWritesTheBodiesOfAnswers(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		for _, level := range []string{"debug", "DEBUG", "debug-10", "debug-6", "info", "error", "nonsense", ""} {
			var out bytes.Buffer
			log := newLogger(&out, Config{LogLevel: level, LogFormat: format, KlogLevel: 10})
			for v := 3; v < 12; v++ {
				log.V(v).Info("the body of an answer")
				log.WithName("kubernetes").WithValues("a", "b").V(v).Info("the body of an answer")
			}
			if out.Len() != 0 {
				t.Errorf("level %q, %s: wrote %s", level, format, out.String())
			}
			log.V(maxVerbosity).Info("detail")
			if want := strings.EqualFold(level, "debug"); want != (out.Len() > 0) {
				t.Errorf("level %q, %s: detail was written: %t, want %t", level, format, out.Len() > 0, want)
			}
		}
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"
)

// TestMain sets defaults that the command line cannot undo: a failing property
// prints its seed and leaves no file, and the collector runs less often. The
// model check keeps many small worlds: collecting them less often halves
// its time.
func TestMain(m *testing.M) {
	_ = flag.Set("rapid.nofailfile", "true")
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"os"
	"runtime/debug"
	"testing"
)

// The model check keeps many small worlds: collecting them less often halves
// its time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

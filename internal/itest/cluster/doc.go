// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster tests the control plane that the other integration tests and
// the demo run on: that it comes up whole, makes pods ready, survives what the
// fault tests do to it, and leaves nothing behind. It tests nothing of Sluice's
// own behaviour.
package cluster

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package peer tests compatibility against the real programs of Argo Rollouts:
// its kubectl plugin on our controller, our commands on its controller, and the
// change from one controller to the other and back in the middle of releases.
// It is part of the long runs; PEER_BIN names the folder that make peer prints.
package peer

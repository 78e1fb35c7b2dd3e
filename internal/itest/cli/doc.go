// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli tests the command line on a real API server: that what it sends
// is accepted and lands in the right fields, and that watching survives the
// server. No controller runs here, so it tests nothing that one does.
package cli

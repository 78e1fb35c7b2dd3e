// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pass tests the two halves of a pass that touch the API server, observe
// and apply, one call at a time and without a controller that mends what they
// leave.
package pass

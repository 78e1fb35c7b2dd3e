// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package teardown deletes Rollouts in the middle of a release, in every way
// that there is, and looks at what is left of the traffic.
package teardown

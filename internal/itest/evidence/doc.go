// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package evidence tests on a real control plane that what is on record of a
// release is what happened.
package evidence

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keys tests on a real control plane where keys come from, and where
// they never go.
package keys

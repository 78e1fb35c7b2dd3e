// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops tests on a real control plane what has to do with Git: that
// changes by hand are told, and that an abort is reverted there.
package gitops

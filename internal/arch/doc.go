// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package arch holds no code: its tests keep the import rules and the size
// budgets of this module.
package arch

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout tests the rollout controller on a real control plane.
package rollout

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package kill

// kills is how often the controller is killed.
const kills = 200

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && !long

package kill

// kills is how often the controller is killed. `make test-full` does it 200
// times.
const kills = 20

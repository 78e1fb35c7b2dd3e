// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package itest installs the chart with Helm on a real control plane, and runs
// releases with the rights that it grants. Its tests run in `make test-chart`
// and `make test-rights`.
package itest

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package charts holds the Helm chart in sluice, and the tests that need no
// cluster. It is a module of its own, so that the product does not depend on
// Helm.
package charts

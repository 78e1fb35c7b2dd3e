// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package defaulting compares internal/podtemplate, which knows the API server's
// defaults by heart, with the API server's own code. It holds nothing but tests:
// they live here because that code, k8s.io/kubernetes, is too heavy for the
// product's module.
package defaulting

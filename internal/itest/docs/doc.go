// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs runs the commands of the documentation, in the order in which a
// reader meets them, and has a real API server accept its manifests.
package docs

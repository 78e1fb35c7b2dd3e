// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package analysis tests the analysis controller on a real control plane, with
// a server that speaks Datadog's wire format.
package analysis

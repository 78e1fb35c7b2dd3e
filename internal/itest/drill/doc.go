// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package drill tests `sluice drill` on a real control plane with the
// controller and a Datadog: gates that abort, gates that are blind, and drills
// that are killed. The pods serve nothing; what a bad version would do to the
// metrics is written to Datadog.
package drill

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kill kills the controller at random moments while it works on
// releases, takes the API server away, and checks on the audit log that nothing
// that was promised was broken on the way.
package kill

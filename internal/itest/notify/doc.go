// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package notify tests on a real control plane that people are told: after an
// outage, after a crash, in order, and of an incident once.
package notify

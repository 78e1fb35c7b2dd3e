// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package app

// forbidCore does nothing: the controller runs on Linux, and on a developer's
// machine there are no keys.
func forbidCore() error { return nil }

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package cluster

import "syscall"

// attributes put a component into a process group of its own, so that Ctrl-C in a
// terminal reaches us first. What outlives us is ended by the next Start.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

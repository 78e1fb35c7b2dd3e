// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import "syscall"

// ownGroup keeps Ctrl-C from a child, and ends it when we are gone.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import "syscall"

// attributes put a component into a process group of its own, so that Ctrl-C in a
// terminal reaches us first, and have the system kill it when we are gone.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

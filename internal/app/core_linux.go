// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import "syscall"

// forbidCore keeps a crash from writing this process's memory, and the keys in
// it, to a file or a collector. A limit of one byte forbids both: a pipe to a
// collector ignores every other limit.
func forbidCore() error {
	return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 1, Max: 1})
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package modbuild

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the file's lock if nobody holds it. The system gives it back when
// the file is closed, also when the process is killed.
func tryLock(file *os.File) (bool, error) {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return false, nil
	}
	return err == nil, err
}

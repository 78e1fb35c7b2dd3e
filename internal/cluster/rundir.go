// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	lockFile = "lock"
	pidFile  = "pids"
)

// How lockDir deals with a lock that somebody else holds.
const (
	wait   = 0
	noWait = syscall.LOCK_NB
)

// runDir is the folder of one cluster. It is locked while its owner lives, so
// that the next one can tell what a killed owner has left behind and remove it.
type runDir struct {
	path string
	lock *os.File
}

// newRunDir makes a folder in root, and clears away those of dead owners.
func newRunDir(root string) (*runDir, error) {
	if root == "" {
		var err error
		if root, err = defaultRoot(); err != nil {
			return nil, err
		}
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("make the folder %s absolute: %w", root, err)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for clusters: %w", err)
	}
	// One at a time, or the sweep could take a folder that is just being made.
	guard, err := lockDir(root, wait)
	if err != nil {
		return nil, fmt.Errorf("lock the folder for clusters: %w", err)
	}
	defer guard.Close()
	sweep(root)
	path, err := os.MkdirTemp(root, "cluster-")
	if err != nil {
		return nil, fmt.Errorf("make the cluster's folder: %w", err)
	}
	lock, err := lockDir(path, noWait)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the cluster's folder: %w", err), os.RemoveAll(path))
	}
	return &runDir{path: path, lock: lock}, nil
}

func defaultRoot() (string, error) {
	if dir := os.Getenv("SLUICE_CACHE"); dir != "" {
		return filepath.Join(dir, "run"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the cluster's files: %w; set SLUICE_CACHE", err)
	}
	return filepath.Join(dir, "sluice", "run"), nil
}

// lockDir takes the folder's lock, which lasts until the file is closed or this
// process ends.
func lockDir(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|how); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// record notes a process of this cluster, for the sweep of a later one.
func (d *runDir) record(pid int) error {
	file, err := os.OpenFile(filepath.Join(d.path, pidFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("note a process: %w", err)
	}
	_, err = fmt.Fprintln(file, pid)
	return errors.Join(err, file.Close())
}

// remove deletes the folder. It deletes before it unlocks, so that a sweep never
// meets half of it.
func (d *runDir) remove() error {
	err := os.RemoveAll(d.path)
	if err != nil {
		err = fmt.Errorf("remove the cluster's files: %w", err)
	}
	return errors.Join(err, d.lock.Close())
}

// sweep removes the folders whose owners are dead, and ends the processes that
// outlived them. It is a courtesy: what cannot be removed is left.
func sweep(root string) {
	dirs, err := filepath.Glob(filepath.Join(root, "cluster-*", lockFile))
	if err != nil {
		return
	}
	for _, name := range dirs {
		dir := filepath.Dir(name)
		lock, err := lockDir(dir, noWait)
		if err != nil {
			continue // its owner lives
		}
		killOrphans(dir)
		_ = os.RemoveAll(dir)
		_ = lock.Close()
	}
}

// killOrphans ends the recorded processes that are still what they were: all of
// them carry the folder's name in their arguments.
func killOrphans(dir string) {
	content, err := os.ReadFile(filepath.Join(dir, pidFile))
	if err != nil {
		return
	}
	for line := range strings.FieldsSeq(string(content)) {
		pid, err := strconv.Atoi(line)
		if err != nil || pid <= 1 {
			continue
		}
		//nolint:noctx // answers at once.
		args, err := exec.Command("ps", "-o", "args=", "-p", line).Output()
		if err == nil && strings.Contains(string(args), dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

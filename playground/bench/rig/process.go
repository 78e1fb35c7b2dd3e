// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// grace is how long a controller may take to end.
	grace = 5 * time.Second
	// tick is the unit in which Linux counts a process's time; it is the same on
	// every machine that Go runs on.
	tick = 10 * time.Millisecond
	// megabyte is what memory is printed in.
	megabyte = 1e6
)

// A Process is a controller that runs until it is stopped or this program ends.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // to be read after done
}

func start(cmd *exec.Cmd, log string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the controller's log: %w", err)
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, ownGroup()
	p := &Process{cmd: cmd, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The system may tie a child to the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	return p, nil
}

// Ended returns why the process has ended, with the end of its log, or nil while
// it runs.
func (p *Process) Ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("the controller ended (%w); the end of its log:\n%s", errors.Join(p.err), p.Tail())
	default:
		return nil
	}
}

// Stop ends the process, by force if it takes long, and returns when it is gone.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// CPU is the time that the process has spent computing, in user mode and in the
// kernel, to 10 ms.
func (p *Process) CPU() (time.Duration, error) {
	data, err := os.ReadFile(p.proc("stat"))
	if err != nil {
		return 0, fmt.Errorf("read the controller's CPU time: %w", err)
	}
	// The name is in parentheses and may hold anything.
	_, rest, _ := bytes.Cut(data, []byte(") "))
	fields := strings.Fields(string(rest))
	const user, system = 11, 12 // fields 14 and 15 of proc(5), counted from the third
	if len(fields) <= system {
		return 0, fmt.Errorf("read the controller's CPU time: %s has %d fields", p.proc("stat"), len(fields))
	}
	u, err1 := strconv.ParseInt(fields[user], 10, 64)
	s, err2 := strconv.ParseInt(fields[system], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("read the controller's CPU time: %w", err)
	}
	return time.Duration(u+s) * tick, nil
}

// Memory returns the resident memory of the process now and the most that it has
// been since it started, in megabytes of a million bytes.
func (p *Process) Memory() (now, peak float64, err error) {
	data, err := os.ReadFile(p.proc("status"))
	if err != nil {
		return 0, 0, fmt.Errorf("read the controller's memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		name, rest, _ := strings.Cut(line, ":")
		into := map[string]*float64{"VmRSS": &now, "VmHWM": &peak}[name]
		if into == nil {
			continue
		}
		kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read the controller's memory: %w", err)
		}
		*into = kb * 1024 / megabyte
	}
	return now, peak, nil
}

func (p *Process) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), name)
}

// Tail returns the last lines of the process's log.
func (p *Process) Tail() string {
	const lines = 20
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

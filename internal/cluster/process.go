// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// process is one component that was started and belongs to this program alone.
type process struct {
	name string
	log  string // path of its output
	pid  int
	done chan struct{} // closed when it has ended and was waited for
	err  error         // why it ended; to be read after done
}

// launch starts a program that ends when this one does. Its output is appended
// to log.
func launch(name, path string, args []string, log string) (*process, error) {
	p := &process{name: name, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The system ties a child to the thread that started it, and would kill it
		// with that thread: this goroutine keeps the thread for the child's life.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p.run(path, args, started)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) run(path string, args []string, started chan<- error) {
	file, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		started <- err
		return
	}
	defer file.Close()
	cmd := exec.Command(path, args...) //nolint:noctx // lives until it is killed.
	cmd.Dir = filepath.Dir(p.log)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil
	p.err = cmd.Wait()
	close(p.done)
}

// environment is what a component sees of ours. The rest stays out because
// etcd reads every ETCD_ variable as a flag.
func environment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// alive reports whether the process has not ended.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal reaches the process and its children. A process that has ended is left
// alone: its number may be somebody else's by now.
func (p *process) signal(s syscall.Signal) error {
	if !p.alive() {
		return fmt.Errorf("signal %s (%s): it has ended", p.name, s)
	}
	if err := syscall.Kill(-p.pid, s); err != nil {
		return fmt.Errorf("signal %s (%s): %w", p.name, s, err)
	}
	return nil
}

// kill ends the process, also one that is paused. Wait for done to know.
func (p *process) kill() {
	_ = p.signal(syscall.SIGKILL) // fails only if it has ended already
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/pace"
)

const (
	// grace is how long the controller may take to end.
	grace = 5 * time.Second
	// leaderTimeout is how long it may take to lead.
	leaderTimeout = 30 * time.Second
	// errorBackoff is the controller's own first wait after a measurement that
	// could not be taken.
	errorBackoff = 10 * time.Second
	// tail is how many lines of a log are shown when something went wrong.
	tail = 15
)

// A Process is a program that runs until it is stopped or this one ends.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // to be read after done
}

// start starts a program. Its process group is its own, so that Ctrl-C in a
// terminal reaches only us.
func start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	cmd.SysProcAttr = ownGroup()
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

// Alive reports whether the process has not ended.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

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

// environment is ours with the demo's cluster and the demo's programs first.
func environment(s *Stage) []string {
	env := make([]string, 0, len(os.Environ())+3)
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		// A key for the real Datadog must not reach the demo's.
		if name != "KUBECONFIG" && name != "PATH" && !strings.HasPrefix(name, "DD_") {
			env = append(env, e)
		}
	}
	return append(env,
		"KUBECONFIG="+s.Cluster.Kubeconfig(),
		"PATH="+s.bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"POD_NAMESPACE="+ControllerNamespace)
}

// launchController starts the product's controller.
func launchController(s *Stage) (*Process, error) {
	log, err := os.OpenFile(s.ControllerLog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the controller's log: %w", err)
	}
	defer func() { _ = log.Close() }()                                // the child has its own
	cmd := exec.Command(filepath.Join(s.bin, "sluice"), "controller", //nolint:noctx // it lives until Down stops it
		"--kubeconfig="+s.Cluster.Kubeconfig(),
		"--metricsPort=0", "--healthzPort=0",
		"--analysis-error-backoff="+pace.Duration(errorBackoff, s.opts.Factor).String())
	cmd.Env = environment(s)
	cmd.Stdout, cmd.Stderr = log, log
	return start(cmd)
}

// waitForLeader waits until the controller holds its lease.
func waitForLeader(ctx context.Context, s *Stage) error {
	began := time.Now()
	for {
		lease, err := s.Kube.CoordinationV1().Leases(ControllerNamespace).Get(ctx, v1alpha1.LeaseName, metav1.GetOptions{})
		switch {
		case err == nil && lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "":
			s.opts.Say("the controller, process %d, leads after %.1f s", s.controller.PID(), time.Since(began).Seconds())
			return nil
		case err != nil && !apierrors.IsNotFound(err):
			return fmt.Errorf("read the controller's lease: %w", err)
		case !s.controller.Alive():
			return fmt.Errorf("the controller ended (%w); the end of its log:\n%s", s.controller.err, Tail(s.ControllerLog()))
		case time.Since(began) > leaderTimeout:
			return fmt.Errorf("the controller does not lead after %s; the end of its log:\n%s", leaderTimeout, Tail(s.ControllerLog()))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Command is a command line as a person would type it, ready to run with the
// demo's cluster and programs. The first word is looked up among them.
func (s *Stage) Command(ctx context.Context, line ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, line[0]), line[1:]...)
	cmd.Env = environment(s)
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // as Ctrl-C does
	cmd.WaitDelay = grace
	return cmd
}

// Tail returns the last lines of a log.
func Tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	const most = 64 << 10
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd) // else all of it
	}
	data, err := io.ReadAll(f)
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-tail):], "\n")
}

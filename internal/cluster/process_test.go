// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 10 * time.Second

// asParent makes this test binary, started again, a program that starts a
// component and then waits to be killed.
const asParent = "SLUICE_TEST_PARENT"

func TestMain(m *testing.M) {
	if log := os.Getenv(asParent); log != "" {
		p, err := launch("child", "/bin/sleep", []string{"60"}, log)
		if err != nil {
			os.Exit(1)
		}
		_, _ = os.Stdout.WriteString(strconv.Itoa(p.pid) + "\n")
		<-p.done
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// waitGone waits until the process does not exist, or is dead and nobody's.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		out, err := exec.CommandContext(t.Context(), "ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
		if err != nil || strings.HasPrefix(string(out), "Z") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs: %s", pid, out)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestComponentsDieWithTheirParent(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), self)
	parent.Env = append(os.Environ(), asParent+"="+filepath.Join(t.TempDir(), "log"))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	waitGone(t, child)
}

func TestKillReachesThePausedAndTheChildren(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	p, err := launch("shell", "/bin/sh", []string{"-c", "sleep 60 & echo $!; wait"}, log)
	if err != nil {
		t.Fatal(err)
	}
	var child int
	for deadline := time.Now().Add(patience); child == 0; <-time.After(5 * time.Millisecond) {
		content, err := os.ReadFile(log)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("no child: %q (%v)", content, err)
		}
		child, _ = strconv.Atoi(strings.TrimSpace(string(content)))
	}
	if err := p.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.kill()
	<-p.done
	waitGone(t, child)
	if p.alive() {
		t.Error("alive after its end")
	}
	if err := p.signal(syscall.SIGTERM); err == nil {
		t.Error("a process that has ended was signalled")
	}
}

func TestComponentsSeeNoFlagsInTheEnvironment(t *testing.T) {
	t.Setenv("ETCD_NAME", "other")
	log := filepath.Join(t.TempDir(), "log")
	p, err := launch("env", "/usr/bin/env", nil, log)
	if err != nil {
		t.Fatal(err)
	}
	<-p.done
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), "ETCD_NAME") || !strings.Contains(string(content), "PATH=") {
		t.Errorf("environment:\n%s", content)
	}
}

func TestLaunchFailsAtOnceWithoutTheProgram(t *testing.T) {
	t.Parallel()
	_, err := launch("etcd", "/nonexistent", nil, filepath.Join(t.TempDir(), "log"))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "start etcd") {
		t.Errorf("error %v, want that etcd does not exist", err)
	}
}

func TestSweepClearsUpAfterTheDead(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	living, err := newRunDir(root)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := newRunDir(root)
	if err != nil {
		t.Fatal(err)
	}
	// A component that outlived its parent, and one whose number is somebody
	// else's by now.
	orphan := sleeper(t, dead.path)
	stranger := sleeper(t, "/elsewhere")
	for _, p := range []*process{orphan, stranger} {
		if err := dead.record(p.pid); err != nil {
			t.Fatal(err)
		}
	}
	if err := dead.lock.Close(); err != nil { // what the system does when a process dies
		t.Fatal(err)
	}

	next, err := newRunDir(root)
	if err != nil {
		t.Fatal(err)
	}
	<-orphan.done
	if !stranger.alive() {
		t.Error("a process of somebody else was killed")
	}
	for path, want := range map[string]bool{living.path: true, dead.path: false, next.path: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it to be there: %v", path, err, want)
		}
	}
	for _, d := range []*runDir{living, next} {
		if err := d.remove(); err != nil {
			t.Error(err)
		}
	}
}

// sleeper is a process with the word among its arguments.
func sleeper(t *testing.T, word string) *process {
	t.Helper()
	p, err := launch("sleeper", "/bin/sh", []string{"-c", "sleep 60; :", word}, filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		<-p.done
	})
	return p
}

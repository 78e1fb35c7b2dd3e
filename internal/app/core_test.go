// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package app

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMain is also the program that crashes.
func TestMain(m *testing.M) {
	switch os.Getenv("SLUICE_TEST_CRASH") {
	case "forbidden":
		if forbidCore() != nil {
			os.Exit(3)
		}
		fallthrough
	case "allowed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGABRT) // there is no way back
		select {}
	}
	os.Exit(m.Run())
}

// crash runs this program until it crashes, where cores may be as large as they
// like, and says whether it left one.
func crash(t *testing.T, how string) (core bool, files []string) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `ulimit -c unlimited && exec "$0"`, self)
	cmd.Env, cmd.Dir = append(os.Environ(), "SLUICE_TEST_CRASH="+how, "GOTRACEBACK=crash"), dir
	_ = cmd.Run() // it ends by a signal
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGABRT {
		t.Skipf("the program did not end as it should (%v): this machine does not let it", cmd.ProcessState)
	}
	files, err = filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return status.CoreDump(), files
}

func TestACrashLeavesNoCore(t *testing.T) {
	t.Parallel()
	if core, _ := crash(t, "allowed"); !core {
		t.Skip("this machine writes no cores at all")
	}
	if core, files := crash(t, "forbidden"); core || len(files) != 0 {
		t.Errorf("it left a core: %t, files %v", core, files)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package itest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A repository is where a team keeps the manifests of one service.
type repository struct {
	testing.TB
	dir string
}

func newRepository(t *testing.T, files map[string]string) repository {
	t.Helper()
	r := repository{TB: t, dir: filepath.Join(t.TempDir(), "config-repo")}
	if err := os.MkdirAll(filepath.Join(r.dir, "payments"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("init", "--quiet", "--initial-branch=main")
	r.commit("checkout 1.0.0", files)
	return r
}

// commit writes files and commits them. It returns the commit's hash.
func (r repository) commit(message string, files map[string]string) string {
	r.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.dir, "payments", name), []byte(text), 0o600); err != nil {
			r.Fatal(err)
		}
	}
	r.git("add", "--all")
	r.git("commit", "--quiet", "--message", message)
	return r.git("rev-parse", "HEAD")
}

// revert undoes the last commit, as a merge of a revert does.
func (r repository) revert() string {
	r.Helper()
	r.git("revert", "--no-edit", "HEAD")
	return r.git("rev-parse", "HEAD")
}

func (r repository) git(args ...string) string {
	r.Helper()
	cmd := exec.CommandContext(r.Context(), "git", append([]string{"-c", "user.name=CI", "-c", "user.email=ci@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

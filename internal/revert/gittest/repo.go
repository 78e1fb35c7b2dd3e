// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package gittest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Repo is the server's repository, and a working copy of it in which people
// work.
type Repo struct{ dir, work string }

// Commit writes files (an empty text removes one), commits and pushes them to
// main as a person would, and returns the commit.
func (r *Repo) Commit(message string, files map[string]string) (string, error) {
	if err := r.pull(); err != nil {
		return "", err
	}
	for name, text := range files {
		path := filepath.Join(r.work, filepath.FromSlash(name))
		if text == "" {
			if err := os.Remove(path); err != nil {
				return "", fmt.Errorf("remove a file: %w", err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return "", fmt.Errorf("make a folder: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write a file: %w", err)
		}
	}
	if err := r.Work([]string{"add", "--all"}, []string{"commit", "--quiet", "--allow-empty", "-m", message}, []string{"push", "--quiet", "origin", "HEAD:main"}); err != nil {
		return "", err
	}
	return r.Head()
}

// pull brings the working copy to the server's main.
func (r *Repo) pull() error {
	if _, err := git("-C", r.work, "fetch", "--quiet", "origin"); err != nil {
		return err
	}
	if _, err := r.bare("rev-parse", "--verify", "--quiet", "main"); err != nil {
		return nil //nolint:nilerr // nothing was pushed yet
	}
	return r.Work([]string{"checkout", "--quiet", "-B", "main", "origin/main"})
}

// Work runs git commands in the working copy.
func (r *Repo) Work(commands ...[]string) error {
	for _, c := range commands {
		if _, err := git(append([]string{"-C", r.work}, c...)...); err != nil {
			return err
		}
	}
	return nil
}

// Head is the commit of main on the server.
func (r *Repo) Head() (string, error) { return r.bare("rev-parse", "main") }

// Rev is the commit that a revision, such as main~1, names on the server.
func (r *Repo) Rev(rev string) (string, error) { return r.bare("rev-parse", "--verify", rev) }

// Same reports whether two commits hold the same files.
func (r *Repo) Same(a, b string) (bool, error) {
	out, err := r.bare("diff", "--stat", a, b)
	return out == "", err
}

// Write writes a file in the working copy.
func (r *Repo) Write(name, text string) error {
	return os.WriteFile(filepath.Join(r.work, filepath.FromSlash(name)), []byte(text), 0o600)
}

// Subjects are those of the commits of a branch on the server, the newest first.
func (r *Repo) Subjects(branch string) ([]string, error) {
	out, err := r.bare("log", "--format=%s", branch)
	return strings.Split(out, "\n"), err
}

// Show is a file, or "" if there is none, or the message of a commit with
// %B as name.
func (r *Repo) Show(branch, name string) string {
	if name == "%B" {
		out, _ := r.bare("log", "-1", "--format=%an <%ae>%n%B", branch)
		return out
	}
	out, err := git("-C", r.dir, "show", branch+":"+name)
	if err != nil {
		return ""
	}
	return out
}

// Branches are those of the server.
func (r *Repo) Branches() ([]string, error) {
	out, err := r.bare("for-each-ref", "--format=%(refname:short)", "refs/heads")
	return strings.Fields(out), err
}

// Hook installs a hook on the server.
func (r *Repo) Hook(name, script string) error {
	path := filepath.Join(r.dir, "hooks", name)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil { //nolint:gosec // a hook is a program
		return fmt.Errorf("install a hook: %w", err)
	}
	return nil
}

// Check reports what is broken in the server's repository.
func (r *Repo) Check() error {
	_, err := r.bare("fsck", "--strict", "--full")
	return err
}

func (r *Repo) bare(args ...string) (string, error) {
	out, err := git(append([]string{"-C", r.dir}, args...)...)
	return strings.TrimSpace(out), err
}

func git(args ...string) (string, error) {
	cmd := exec.Command("git", args...) //nolint:noctx,gosec // tests choose it, and it ends by itself
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=A Person", "GIT_AUTHOR_EMAIL=person@example.com", "GIT_COMMITTER_NAME=A Person", "GIT_COMMITTER_EMAIL=person@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

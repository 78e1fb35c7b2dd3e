// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package docs_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice.dev/sluice/internal/itest/bed"
)

const root = "../../.."

// A session is a shell of a reader who has cloned the source, has kubectl, helm
// and our program on the PATH, and a kubeconfig.
type session struct {
	*bed.Bed
	dir string
	env []string
}

func newSession(b *bed.Bed) *session {
	b.Helper()
	s := &session{Bed: b, dir: b.TempDir()}
	home, bin := b.TempDir(), b.TempDir()
	sluice := program(b.TB, os.Getenv("SLUICE_BIN"), "SLUICE_BIN")
	kubectl := program(b.TB, filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), "KUBEBUILDER_ASSETS")
	helm := program(b.TB, filepath.Join(filepath.Dir(sluice), "helm"), "SLUICE_BIN")
	for name, target := range map[string]string{
		"sluice": sluice, "kubectl-argo-rollouts": sluice, "kubectl": kubectl, "helm": helm,
	} {
		s.link(target, filepath.Join(bin, name))
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		if abs, err := filepath.Abs(filepath.Join(root, e.Name())); err == nil && e.Name() != "bin" {
			s.link(abs, filepath.Join(s.dir, e.Name()))
		}
	}
	s.link(bin, filepath.Join(s.dir, "bin"))
	if err := os.Mkdir(filepath.Join(home, ".kube"), 0o700); err != nil {
		b.Fatal(err)
	}
	s.link(b.Cluster.Kubeconfig(), filepath.Join(home, ".kube", "config"))
	s.env = []string{"PATH=" + bin + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + home, "DD_API_KEY=api", "DD_APP_KEY=app"}
	return s
}

func program(tb testing.TB, path, variable string) string {
	tb.Helper()
	abs, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(abs)
	}
	if err != nil || path == "" {
		tb.Fatalf("%s does not lead to %q: run `make test-integration`, which builds it", variable, path)
	}
	return abs
}

func (s *session) link(target, name string) {
	s.Helper()
	if err := os.Symlink(target, name); err != nil {
		s.Fatal(err)
	}
}

var (
	fails  = regexp.MustCompile(`(?m)^(.*\S)\s+# exits with (\d+)\b.*$`)
	lasts  = regexp.MustCompile(`(?m)^(.* (?:--watch|controller --kubeconfig)\b.*)$`)
	around = [2]string{"set -eu\n[ ! -f .env ] || . ./.env\n", "\nexport -p > .env\n"}
)

// script is what is run for a block: a command that goes on until it is stopped
// is stopped at the end, and must not have failed by then; one that says which
// code it exits with must do so.
func script(text string) string {
	text = fails.ReplaceAllString(text, "code=0; $1 || code=$$?; [ $$code -eq $2 ]")
	text = lasts.ReplaceAllString(text, "$1\nwatches=\"$${watches:-} $$!\"")
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if i+1 < len(lines) && strings.HasPrefix(lines[i+1], "watches=") {
			command, _, _ := strings.Cut(line, "  #")
			lines[i] = command + " &"
		}
	}
	end := ""
	if strings.Contains(text, "--watch") { // it is given a moment to fail in
		end = "\nsleep 1"
	}
	end += "\nfor p in ${watches:-}; do if kill $p 2>/dev/null; then wait $p || true; else wait $p; fi; done; unset watches\n"
	return around[0] + strings.Join(lines, "\n") + end + around[1]
}

// limit bounds a block, in which there may be several waits. It is for broken
// code, not for slow machines.
const limit = 5 * bed.Patience

// run runs a block as a shell would, and returns what it printed.
func (s *session) run(where, text string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), limit)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-c", script(text))
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, s.env, &out, &out
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		s.Fatalf("%s: %v\n%s\nprinted:\n%s", where, err, text, out.String())
	}
	return out.String()
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice.dev/sluice/internal/cli"
)

var (
	shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")
	program    = regexp.MustCompile(`^(kubectl argo rollouts|bin/sluice|sluice) (.*)$`)
)

// Every command of ours that the documentation shows is one that the program
// has, with flags that it knows.
func TestCommandsInTheDocumentationExist(t *testing.T) {
	t.Parallel()
	found := 0
	for _, file := range documents(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
			for line := range strings.Lines(block[1]) {
				line, _, _ = strings.Cut(strings.TrimSpace(line), "  #")
				m := program.FindStringSubmatch(line)
				if m == nil || strings.HasPrefix(m[2], "controller") {
					continue
				}
				found++
				checkCommand(t, file, line, strings.Fields(m[2]))
			}
		}
	}
	if found < 8 {
		t.Errorf("found %d commands in the documentation; the pattern does not match any more", found)
	}
}

func checkCommand(t *testing.T, file, line string, words []string) {
	t.Helper()
	var out bytes.Buffer
	root := cli.New(cli.Options{Program: "kubectl-argo-rollouts", Out: &out, Err: &out})
	cmd, rest, err := root.Find(words)
	if err != nil || cmd == root {
		t.Errorf("%s: %q: there is no such command: %v", file, line, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: %q: %v", file, line, err)
		return
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Errorf("%s: %q: %v", file, line, err)
	}
}

func documents(t *testing.T) []string {
	t.Helper()
	files := []string{filepath.FromSlash("../../README.md"), filepath.FromSlash("../../CONTRIBUTING.md")}
	err := filepath.WalkDir(filepath.FromSlash("../../docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".md") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command verify checks what a reviewer would have to check by eye: that
// generated files are what their generators make, that go.mod files are tidy,
// and that every source file has its licence header. It changes nothing that
// was right. To add a check, add a line to checks.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

var checks = []struct {
	name string
	run  func() error
}{
	{"generated files are up to date", generated},
	{"go.mod files are tidy", tidy},
	{"source files are formatted", formatted},
	{"source files have a licence header", licensed},
	{"tests that the documentation names are there", named},
	{"workflows pin their actions by commit", pinned},
}

func main() {
	failed := false
	for _, c := range checks {
		err := c.run()
		if err == nil {
			fmt.Println("ok  ", c.name)
			continue
		}
		failed = true
		fmt.Printf("FAIL %s: %v\n", c.name, err)
	}
	if failed {
		os.Exit(1)
	}
}

func output(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...) //nolint:noctx // ends with this program
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), nil
}

// generated regenerates and compares the tree before and after.
func generated() error {
	before, err := output(".", "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	diffBefore, err := output(".", "git", "diff")
	if err != nil {
		return err
	}
	if _, err := output(".", "go", "generate", "./..."); err != nil {
		return err
	}
	after, err := output(".", "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	diffAfter, err := output(".", "git", "diff")
	if err != nil {
		return err
	}
	if before != after || diffBefore != diffAfter {
		return fmt.Errorf("run `make generate` and commit what changes:\n%s", after)
	}
	return nil
}

func tidy() error {
	files, err := output(".", "git", "ls-files", "go.mod", "*/go.mod")
	if err != nil {
		return err
	}
	var errs []error
	for file := range strings.FieldsSeq(files) {
		if file == "playground/peer/go.mod" || file == "playground/argocd/go.mod" || strings.HasPrefix(file, "playground/tofu/") {
			continue // their modules are downloaded by `make test-full` only, which checks them
		}
		dir := strings.TrimSuffix(strings.TrimSuffix(file, "go.mod"), "/")
		if dir == "" {
			dir = "."
		}
		if _, err := output(dir, "go", "mod", "tidy", "-diff"); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func formatted() error {
	files, err := sources()
	if err != nil {
		return err
	}
	out, err := output(".", "gofmt", append([]string{"-l"}, files...)...)
	if err != nil {
		return err
	}
	if out != "" {
		return fmt.Errorf("gofmt would change:\n%s", out)
	}
	return nil
}

func licensed() error {
	files, err := sources()
	if err != nil {
		return err
	}
	var missing []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		if !bytes.Contains(text[:min(len(text), 400)], []byte("SPDX-License-Identifier: Apache-2.0")) {
			missing = append(missing, file)
		}
	}
	if missing != nil {
		return fmt.Errorf("no header in:\n%s", strings.Join(missing, "\n"))
	}
	return nil
}

func sources() ([]string, error) {
	out, err := output(".", "git", "ls-files", "*.go")
	if err != nil {
		return nil, err
	}
	return strings.Fields(out), nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package modbuild

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strings"
)

// source is the module that a target is built from, with what decides whether a
// build that is already there is still the right one.
type source struct {
	target  Target
	dir     string // the module's folder
	version string // of the target, such as v1.37.2
	key     string // hash of all that the build depends on
}

// findSource looks for the target's module in dir and the folders above it.
func (t Target) findSource(dir string) (source, error) {
	for at := dir; ; at = filepath.Dir(at) {
		module := filepath.Join(at, filepath.FromSlash(t.Folder))
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			return t.readSource(module)
		}
		if at == filepath.Dir(at) {
			return source{}, fmt.Errorf("no folder %s in %s or above it: "+
				"run this from inside a checkout of Sluice", t.Folder, dir)
		}
	}
}

func (t Target) readSource(dir string) (source, error) {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return source{}, fmt.Errorf("read the module of the %s: %w", t.Name, err)
	}
	required := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(t.Module) + ` (v\d+\.\d+\.\d+\S*)(\s*//.*)?\s*$`)
	found := required.FindSubmatch(mod)
	if found == nil {
		return source{}, fmt.Errorf("%s requires no %s: "+
			"the version to build cannot be told", filepath.Join(dir, "go.mod"), t.Module)
	}
	src := source{target: t, dir: dir, version: string(found[1])}
	src.key, err = hashSource(dir, src.buildArgs("out"))
	return src, err
}

// name is the folder's name in the cache. It starts with the version for people;
// the hash is what tells two apart.
func (s source) name() string { return s.version + "-" + s.key }

// hashSource covers the modules with their checksums, the module's own code, the
// compiler, the platform and the flags. Tests are no part of a binary.
func hashSource(dir string, flags []string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", fmt.Errorf("list the code to build: %w", err)
	}
	files = append(files, filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum"))
	sort.Strings(files)
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s/%s\n%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, strings.Join(flags, "\n"))
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if err := hashFile(sum, name); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

func hashFile(sum io.Writer, name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read the code to build: %w", err)
	}
	fmt.Fprintf(sum, "%s %d\n", filepath.Base(name), len(content))
	if _, err := sum.Write(content); err != nil {
		return fmt.Errorf("hash %s: %w", name, err)
	}
	return nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

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

// source is the module that the control plane is built from, with what decides
// whether a binary that is already there is still the right one.
type source struct {
	dir     string // the module's folder
	version string // of Kubernetes, such as v1.37.2
	key     string // hash of all that the binary depends on
}

var kubernetesVersion = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v\d+\.\d+\.\d+\S*)\s*$`)

// findSource looks for playground/controlplane in dir and the folders above it.
func findSource(dir string) (source, error) {
	for at := dir; ; at = filepath.Dir(at) {
		module := filepath.Join(at, "playground", "controlplane")
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			return readSource(module)
		}
		if at == filepath.Dir(at) {
			return source{}, fmt.Errorf("no folder playground/controlplane in %s or above it: "+
				"run this from inside a checkout of Sluice", dir)
		}
	}
}

func readSource(dir string) (source, error) {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return source{}, fmt.Errorf("read the control plane's module: %w", err)
	}
	found := kubernetesVersion.FindSubmatch(mod)
	if found == nil {
		return source{}, fmt.Errorf("%s requires no k8s.io/kubernetes: "+
			"the version to build cannot be told", filepath.Join(dir, "go.mod"))
	}
	src := source{dir: dir, version: string(found[1])}
	src.key, err = hashSource(dir, src.buildArgs("out"))
	return src, err
}

// name is the folder's name in the cache. It starts with the version for people;
// the hash is what tells two apart.
func (s source) name() string { return s.version + "-" + s.key }

// hashSource covers the modules with their checksums, the command's own code, the
// compiler, the platform and the flags. Tests are no part of the binary.
func hashSource(dir string, flags []string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", fmt.Errorf("list the control plane's code: %w", err)
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
		return fmt.Errorf("read the control plane's code: %w", err)
	}
	fmt.Fprintf(sum, "%s %d\n", filepath.Base(name), len(content))
	if _, err := sum.Write(content); err != nil {
		return fmt.Errorf("hash %s: %w", name, err)
	}
	return nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command reproducible builds bin/sluice twice from the last commit, in two
// folders with different names, as `make build` does, and compares the bytes.
// With -caches each build compiles everything anew, which takes minutes.
package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	caches := flag.Bool("caches", false, "give each build an empty build cache")
	flag.Parse()
	if err := compare(*caches); err != nil {
		fmt.Fprintln(os.Stderr, "reproducible:", err)
		os.Exit(1)
	}
}

func compare(caches bool) error {
	top, err := os.MkdirTemp("", "sluice-reproducible-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(top)
	var sums [2][sha256.Size]byte
	for i, name := range []string{"one", filepath.Join("another", "folder")} {
		dir := filepath.Join(top, name)
		cache := ""
		if caches {
			cache = filepath.Join(top, fmt.Sprintf("cache-%d", i))
		}
		if sums[i], err = build(dir, cache); err != nil {
			return err
		}
		fmt.Printf("%x  bin/sluice in %s\n", sums[i], name)
	}
	if sums[0] != sums[1] {
		return errors.New("the two builds differ: compare them with `go version -m`, and look at what -trimpath and -buildvcs=false leave")
	}
	return nil
}

// build clones the repository into dir, without its tags and remotes being
// what it is built from, and builds there.
func build(dir, cache string) (sum [sha256.Size]byte, err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return sum, fmt.Errorf("make a folder: %w", err)
	}
	here, err := os.Getwd()
	if err != nil {
		return sum, fmt.Errorf("find this folder: %w", err)
	}
	for _, line := range [][]string{
		{"git", "clone", "--quiet", "--local", here, dir},
		{"make", "-C", dir, "build"},
	} {
		cmd := exec.Command(line[0], line[1:]...) //nolint:noctx // ends with this program
		cmd.Stderr = os.Stderr
		if cache != "" {
			cmd.Env = append(os.Environ(), "GOCACHE="+cache)
		}
		if err := cmd.Run(); err != nil {
			return sum, fmt.Errorf("%v: %w", line, err)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "bin", "sluice"))
	if err != nil {
		return sum, fmt.Errorf("read the build: %w", err)
	}
	return sha256.Sum256(data), nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package modbuild builds programs of other projects from pinned Go modules, once,
// into the user's cache outside the tree. The modules, their versions and their
// checksums are those of a small module in this repository; a build that is there
// already is found in a moment.
//
// It downloads nothing but Go modules and starts nothing that it has built.
package modbuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
)

// A Target is what is built.
type Target struct {
	// Name is what the target is called in the cache and in front of each line.
	Name string
	// Folder is that of the module which pins everything, from the root of a checkout.
	Folder string
	// Module is the one whose version is that of the target.
	Module string
	// What says what is built, and Patience how long it takes, to a person who waits.
	What, Patience string
	// Packages are the main packages that are built.
	Packages []string
	// Programs are the files that the build makes: one for each package.
	Programs []string
	// Links are further names of the first program.
	Links []string
	// Values are the string variables that are linked in, in order.
	Values func(version string) [][2]string
}

// Main builds the targets of the checkout that the working folder is in, if need
// be, and prints the folders that hold them, a line each. It does not return.
func Main(targets ...Target) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	for _, t := range targets {
		dir, err := t.run(ctx, os.Stderr)
		if err != nil {
			stop()
			fmt.Fprintf(os.Stderr, "%s: %v\n", t.Name, err)
			os.Exit(1)
		}
		fmt.Println(dir)
	}
	stop()
	os.Exit(0)
}

func (t Target) run(ctx context.Context, log io.Writer) (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working folder: %w", err)
	}
	src, err := t.findSource(wd)
	if err != nil {
		return "", err
	}
	root, err := cacheRoot()
	if err != nil {
		return "", err
	}
	c := cache{root: filepath.Join(root, t.Name), target: t, log: log}
	return c.ensure(ctx, src.name(), func(ctx context.Context, dir string) error {
		return src.build(ctx, dir, log)
	})
}

// files are all the names that a finished build has.
func (t Target) files() []string {
	return append(append([]string{}, t.Programs...), t.Links...)
}

// main reports whether a package is one of the programs, which are compiled last.
func (t Target) main(pkg string) bool {
	return slices.Contains(t.Packages, pkg) || pkg == "sluice.dev/sluice/"+t.Folder
}

// cacheRoot is the folder under which everything that Sluice caches lives.
func cacheRoot() (string, error) {
	if dir := os.Getenv("SLUICE_CACHE"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("make SLUICE_CACHE=%s absolute: %w", dir, err)
		}
		return abs, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", errors.New("no cache folder: neither SLUICE_CACHE, XDG_CACHE_HOME nor HOME is set; " +
			"set SLUICE_CACHE to a folder that may grow to 700 MB")
	}
	return filepath.Join(dir, "sluice"), nil
}

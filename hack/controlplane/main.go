// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controlplane builds the Kubernetes control plane that the demo and the
// integration tests run on, and prints the folder that holds it.
//
// The folder is in the user's cache, outside the tree, and has the program files
// etcd, kube-apiserver, kube-controller-manager and kube-scheduler, all of them
// links to one binary built from playground/controlplane. It is the value that
// KUBEBUILDER_ASSETS wants. The first run compiles Kubernetes, which takes about
// ten minutes on two cores; every later run finds the folder and does nothing.
//
// It starts nothing: that is what internal/cluster does with the folder.
//
//	export KUBEBUILDER_ASSETS=$(go run ./hack/controlplane | tail -n 1)
//
// SLUICE_CACHE names another cache folder than the user's own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := run(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
		stop()
		os.Exit(1)
	}
	fmt.Println(dir)
}

// run returns the folder with the control plane of this tree, built if need be.
func run(ctx context.Context) (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working folder: %w", err)
	}
	src, err := findSource(wd)
	if err != nil {
		return "", err
	}
	root, err := cacheRoot()
	if err != nil {
		return "", err
	}
	c := cache{root: filepath.Join(root, "controlplane"), log: os.Stderr}
	return c.ensure(ctx, src.name(), func(ctx context.Context, out string) error {
		return src.build(ctx, out, os.Stderr)
	})
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
			"set SLUICE_CACHE to a folder that may grow to 300 MB")
	}
	return filepath.Join(dir, "sluice"), nil
}

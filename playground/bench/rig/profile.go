// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Profile writes Go profiles of the process that serves them at address into a
// folder: of the CPU, for a time from now on, and of the heap and all
// allocations when the returned function is called. Profiling costs CPU time.
func Profile(ctx context.Context, address, prefix string, d time.Duration) (stop func() error) {
	done := make(chan error, 1)
	go func() {
		done <- fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, int(d.Seconds())), prefix+"cpu.pprof")
	}()
	return func() error {
		return errors.Join(<-done,
			fetch(ctx, "http://"+address+"/debug/pprof/allocs", prefix+"allocs.pprof"),
			fetch(ctx, "http://"+address+"/debug/pprof/heap", prefix+"heap.pprof"),
			fetch(ctx, "http://"+address+"/debug/pprof/goroutine", prefix+"goroutine.pprof"))
	}
}

func fetch(ctx context.Context, url, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask for a profile: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask for a profile: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make a folder for profiles: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write a profile: %w", err)
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}

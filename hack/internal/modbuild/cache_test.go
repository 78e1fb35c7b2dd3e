// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package modbuild

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// twoNames is a target with one program under two names.
var twoNames = Target{Name: "controlplane", Programs: []string{"controlplane"}, Links: []string{"etcd", "kube-apiserver"}}

// builder counts how often it is asked and writes a file that looks like a program.
func builder(count *atomic.Int32) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		count.Add(1)
		return os.WriteFile(filepath.Join(dir, "controlplane"), []byte("program"), 0o755)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestEnsureBuildsOnce(t *testing.T) {
	t.Parallel()
	var built atomic.Int32
	c := cache{root: filepath.Join(t.TempDir(), "cache"), target: twoNames, log: t.Output()}
	for range 2 {
		dir, err := c.ensure(t.Context(), "v1-a", builder(&built))
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(c.root, "v1-a"); dir != want {
			t.Errorf("folder %s, want %s", dir, want)
		}
		want := []string{"controlplane", "etcd", "kube-apiserver"}
		if diff := cmp.Diff(want, entries(t, dir)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	}
	if got := built.Load(); got != 1 {
		t.Errorf("built %d times, want once", got)
	}
}

func TestEnsureBuildsOnceForManyCallers(t *testing.T) {
	t.Parallel()
	var built atomic.Int32
	root := t.TempDir()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			c := cache{root: root, target: twoNames, log: t.Output()}
			if _, err := c.ensure(t.Context(), "v1-a", builder(&built)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := built.Load(); got != 1 {
		t.Errorf("built %d times, want once", got)
	}
}

func TestEnsureLeavesNothingOfAFailedBuild(t *testing.T) {
	t.Parallel()
	c := cache{root: t.TempDir(), target: twoNames, log: t.Output()}
	broken := errors.New("does not compile")
	_, err := c.ensure(t.Context(), "v1-a", func(_ context.Context, dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "controlplane"), []byte("half"), 0o755); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	if diff := cmp.Diff([]string{".lock"}, entries(t, c.root)); diff != "" {
		t.Errorf("cache (-want +got):\n%s", diff)
	}
}

func TestEnsureGivesUpWaitingWhenToldTo(t *testing.T) {
	t.Parallel()
	c := cache{root: t.TempDir(), target: twoNames, log: t.Output()}
	unlock, err := c.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var built atomic.Int32
	if _, err := c.ensure(ctx, "v1-a", builder(&built)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if built.Load() != 0 {
		t.Error("built without the lock")
	}
}

func TestEnsureRepairsADamagedBuild(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(dir string) error{
		"a link is gone":        func(dir string) error { return os.Remove(filepath.Join(dir, "etcd")) },
		"the program is gone":   func(dir string) error { return os.Remove(filepath.Join(dir, "controlplane")) },
		"the program is empty":  func(dir string) error { return os.Truncate(filepath.Join(dir, "controlplane"), 0) },
		"it is not executable":  func(dir string) error { return os.Chmod(filepath.Join(dir, "controlplane"), 0o644) },
		"the folder is a stump": os.RemoveAll,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var built atomic.Int32
			c := cache{root: t.TempDir(), target: twoNames, log: t.Output()}
			dir, err := c.ensure(t.Context(), "v1-a", builder(&built))
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := c.ensure(t.Context(), "v1-a", builder(&built)); err != nil {
				t.Fatal(err)
			}
			if built.Load() != 2 || !c.whole(dir) {
				t.Errorf("built %d times and whole %v, want a second build that is whole", built.Load(), c.whole(dir))
			}
		})
	}
}

func TestEnsureKeepsTheTwoBuildsLastUsed(t *testing.T) {
	t.Parallel()
	var built atomic.Int32
	c := cache{root: t.TempDir(), target: twoNames, log: t.Output()}
	old := time.Now()
	for _, name := range []string{"v1-a", "v1-b"} {
		dir, err := c.ensure(t.Context(), name, builder(&built))
		if err != nil {
			t.Fatal(err)
		}
		old = old.Add(-time.Hour) // a was used after b
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(c.root, partial+"killed"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ensure(t.Context(), "v1-c", builder(&built)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".lock", "v1-a", "v1-c"}, entries(t, c.root)); diff != "" {
		t.Errorf("cache (-want +got):\n%s", diff)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package modbuild

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// kept is how many builds stay in the cache. Two, so that going back and forth
// between two branches does not compile everything each time.
const kept = 2

// partial marks a folder that is being built. It is renamed when it is whole, so
// a folder without the mark is always whole.
const partial = ".partial-"

// cache holds finished builds of a target, one folder each.
type cache struct {
	root   string
	target Target
	log    io.Writer
}

// ensure returns the folder called name, after building it if it is not there.
// Of several callers at once, in any process, one builds and the others wait.
func (c cache) ensure(ctx context.Context, name string, build func(ctx context.Context, dir string) error) (string, error) {
	dir := filepath.Join(c.root, name)
	if c.whole(dir) {
		c.touch(dir)
		return dir, nil
	}
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if c.whole(dir) { // somebody else built it while we waited
		c.touch(dir)
		return dir, nil
	}
	if err := c.publish(ctx, dir, build); err != nil {
		return "", err
	}
	c.prune(name)
	return dir, nil
}

// publish builds into a folder of its own and renames it into place.
func (c cache) publish(ctx context.Context, dir string, build func(ctx context.Context, dir string) error) error {
	temp, err := os.MkdirTemp(c.root, partial)
	if err != nil {
		return fmt.Errorf("make a folder to build in: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755); err != nil {
		return fmt.Errorf("open the folder to other users: %w", err)
	}
	if err := build(ctx, temp); err != nil {
		return err
	}
	for _, name := range c.target.Links {
		if err := os.Symlink(c.target.Programs[0], filepath.Join(temp, name)); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil { // damaged by hand, or it would have been whole
		return fmt.Errorf("remove a damaged build: %w", err)
	}
	if err := os.Rename(temp, dir); err != nil {
		return fmt.Errorf("put the build into place: %w", err)
	}
	return nil
}

// whole reports whether dir holds everything: the programs, not empty and
// executable, under each of their names.
func (c cache) whole(dir string) bool {
	for _, name := range c.target.files() {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// touch records that dir was used, which is what prune goes by. A cache on a
// read-only disk is still a good cache, so an error means nothing.
func (c cache) touch(dir string) {
	now := time.Now()
	_ = os.Chtimes(dir, now, now)
}

// prune removes the builds that were not used lately, and what interrupted runs
// left behind. It is called with the lock held, so no partial folder is live.
func (c cache) prune(current string) {
	entries, err := os.ReadDir(c.root)
	if err != nil {
		return
	}
	type build struct {
		name string
		used time.Time
	}
	var others []build
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil || !e.IsDir() || e.Name() == current:
		case strings.HasPrefix(e.Name(), partial):
			c.remove(e.Name())
		default:
			others = append(others, build{e.Name(), info.ModTime()})
		}
	}
	sort.Slice(others, func(i, j int) bool { return others[i].used.After(others[j].used) })
	for i, b := range others {
		if i >= kept-1 {
			c.remove(b.name)
		}
	}
}

func (c cache) remove(name string) {
	if err := os.RemoveAll(filepath.Join(c.root, name)); err != nil {
		fmt.Fprintf(c.log, "%s: cannot remove the old build %s: %v\n", c.target.Name, name, err)
	}
}

// lock waits until no other process builds into the same cache.
func (c cache) lock(ctx context.Context) (unlock func(), err error) {
	name := filepath.Join(c.root, ".lock")
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the cache's lock: %w", err)
	}
	for told := false; ; told = true {
		locked, err := tryLock(file)
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		if locked {
			return func() { file.Close() }, nil
		}
		if !told {
			fmt.Fprintf(c.log, "%s: another run is building it, waiting for that one\n", c.target.Name)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for the other run that holds %s: %w", name, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package export writes files to where they outlive the cluster: a folder, or a
// bucket of an S3-compatible object store. It does not know what is in them, and
// it never retries: whoever asked decides when to ask again.
package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A Folder is a directory, such as one on a mounted volume.
type Folder struct{ path string }

// NewFolder returns the folder at path, which is made when it is needed.
func NewFolder(path string) *Folder { return &Folder{path: path} }

// Check makes the folder if it is not there, and says why no file can be written
// in it.
func (f *Folder) Check() error {
	if err := os.MkdirAll(f.path, 0o750); err != nil {
		return fmt.Errorf("make the folder %s: %w", f.path, err)
	}
	probe, err := os.CreateTemp(f.path, temporary)
	if err != nil {
		return fmt.Errorf("write in the folder %s: %w", f.path, err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return fmt.Errorf("write in the folder %s: %w", f.path, err)
	}
	return nil
}

// temporary is what files are called until they are complete.
const temporary = ".sluice-*.tmp"

// Name is "folder".
func (f *Folder) Name() string { return "folder" }

// Put writes data under file, which is relative to the folder. A reader sees the
// old file or the new one, never a part of it, and neither does one after a
// crash.
func (f *Folder) Put(_ context.Context, file, _ string, data []byte) error {
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return fmt.Errorf("%q leads out of the folder", file)
	}
	path := filepath.Join(f.path, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	part, err := os.CreateTemp(filepath.Dir(path), temporary)
	if err != nil {
		return fmt.Errorf("begin it: %w", err)
	}
	_, errWrite := part.Write(data)
	err = errors.Join(errWrite, part.Chmod(0o640), part.Sync(), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write it: %w", err), os.Remove(part.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open its folder: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("sync its folder: %w", err)
	}
	return nil
}

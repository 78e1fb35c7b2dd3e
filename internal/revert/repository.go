// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
)

// maxFile bounds the files that are looked into or merged.
const maxFile = 4 << 20

// A repository is what was fetched of one, in memory, and what was added.
type repository struct {
	store *memory.Storage
	head  *object.Commit
	// added are the new objects.
	added []plumbing.Hash
}

// parent is the commit of the branch before c: nil when there is none, or none
// was fetched.
func (r *repository) parent(c *object.Commit) (*object.Commit, error) {
	if len(c.ParentHashes) == 0 {
		return nil, nil //nolint:nilnil // the first commit has none
	}
	p, err := object.GetCommit(r.store, c.ParentHashes[0])
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, nil //nolint:nilnil // it was not fetched
	}
	if err != nil {
		return nil, notify.Errorf(outbox.Later, "read commit %s: %v", c.ParentHashes[0], err)
	}
	return p, nil
}

// entry is the file or folder of a commit at a path; zero when there is none.
func (r *repository) entry(c *object.Commit, path string) object.TreeEntry {
	tree, err := c.Tree()
	if err != nil {
		return object.TreeEntry{}
	}
	if path == "." {
		return object.TreeEntry{Hash: tree.Hash}
	}
	e, err := tree.FindEntry(path)
	if err != nil {
		return object.TreeEntry{}
	}
	return *e
}

// changes are what makes to of from.
func (r *repository) changes(ctx context.Context, from, to *object.Commit) (object.Changes, error) {
	a, err := from.Tree()
	if err == nil {
		var b *object.Tree
		if b, err = to.Tree(); err == nil {
			var out object.Changes
			if out, err = object.DiffTreeContext(ctx, a, b); err == nil {
				return out, nil
			}
		}
	}
	return nil, notify.Errorf(outbox.Later, "compare commits %s and %s: %v", from.Hash, to.Hash, err)
}

// text is the content of a file; empty when it is none, or a large one.
func (r *repository) text(h plumbing.Hash) string {
	blob, err := object.GetBlob(r.store, h)
	if err != nil || blob.Size > maxFile {
		return ""
	}
	reader, err := blob.Reader()
	if err != nil {
		return ""
	}
	defer reader.Close()
	data, err := io.ReadAll(reader)
	if err != nil {
		return ""
	}
	return string(data)
}

// add stores a new object.
func (r *repository) add(encode func(plumbing.EncodedObject) error) (plumbing.Hash, error) {
	o := r.store.NewEncodedObject()
	if err := encode(o); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("make a git object: %w", err)
	}
	h, err := r.store.SetEncodedObject(o)
	if err != nil {
		return h, fmt.Errorf("make a git object: %w", err)
	}
	r.added = append(r.added, h)
	return h, nil
}

func (r *repository) blob(text string) (plumbing.Hash, error) {
	return r.add(func(o plumbing.EncodedObject) error {
		o.SetType(plumbing.BlobObject)
		w, err := o.Writer()
		if err != nil {
			return err
		}
		defer w.Close()
		_, err = io.WriteString(w, text)
		return err
	})
}

// commit adds c on top of the head.
func (r *repository) commit(c *object.Commit, by v1alpha1.GitAuthor, now time.Time) (plumbing.Hash, error) {
	c.Author = object.Signature{Name: by.Name, Email: by.Email, When: now}
	c.Committer, c.ParentHashes = c.Author, []plumbing.Hash{r.head.Hash}
	return r.add(c.Encode)
}

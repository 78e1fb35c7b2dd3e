// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
)

// errSame says that undoing a commit changes nothing.
var errSame = errors.New("nothing changes")

// undo makes the tree of the head without what bad did: of a merge, what it
// brought to the branch. It refuses what was changed again since, as git does.
func undo(ctx context.Context, repo *repository, bad *object.Commit) (plumbing.Hash, error) {
	parent, err := repo.parent(bad)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	changes, err := repo.changes(ctx, bad, parent)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	want := map[string]object.TreeEntry{}
	for _, ch := range changes {
		name := ch.From.Name
		if name == "" {
			name = ch.To.Name
		}
		now := leaf(repo.entry(repo.head, name))
		next, ok, err := repo.undone(now, leaf(ch.From.TreeEntry), leaf(ch.To.TreeEntry))
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if !ok {
			return plumbing.ZeroHash, notify.Errorf(outbox.Never, "commit %s cannot be reverted without a conflict, and Git was left alone: %s was changed again since. Revert it by hand", bad.Hash, name)
		}
		if next != now {
			want[name] = next
		}
	}
	if len(want) == 0 {
		return plumbing.ZeroHash, errSame
	}
	root, err := repo.head.Tree()
	if err != nil {
		return plumbing.ZeroHash, notify.Errorf(outbox.Later, "read the files of commit %s: %v", repo.head.Hash, err)
	}
	h, _, err := repo.rewrite(root, want)
	return h, err
}

// leaf is e without its name: what a place holds.
func leaf(e object.TreeEntry) object.TreeEntry {
	return object.TreeEntry{Mode: e.Mode, Hash: e.Hash}
}

// undone is what a place holds after a change from before to bad was taken back
// from what it holds now. ok is false for a conflict.
func (r *repository) undone(now, bad, before object.TreeEntry) (next object.TreeEntry, ok bool, err error) {
	switch {
	case now == bad, now == before:
		return before, true, nil
	case !regular(now) || !regular(bad) || !regular(before):
		return now, false, nil
	}
	for _, e := range []object.TreeEntry{now, bad, before} {
		if size, err := r.store.EncodedObjectSize(e.Hash); err != nil || size > maxFile {
			return now, false, nil //nolint:nilerr // what cannot be merged is a conflict
		}
	}
	text, ok := merge(r.text(bad.Hash), r.text(now.Hash), r.text(before.Hash))
	if !ok {
		return now, false, nil
	}
	next.Mode = now.Mode
	if now.Mode == bad.Mode {
		next.Mode = before.Mode
	}
	next.Hash, err = r.blob(text)
	return next, true, err
}

func regular(e object.TreeEntry) bool {
	return e.Mode == filemode.Regular || e.Mode == filemode.Executable || e.Mode == filemode.Deprecated
}

// rewrite stores tree with the places of want changed; a zero entry removes
// one. empty says that nothing is left of it.
func (r *repository) rewrite(tree *object.Tree, want map[string]object.TreeEntry) (h plumbing.Hash, empty bool, err error) {
	entries, deeper := slices.Clone(tree.Entries), map[string]map[string]object.TreeEntry{}
	for name, e := range want {
		folder, rest, nested := strings.Cut(name, "/")
		if !nested {
			entries = put(entries, name, e)
			continue
		}
		if deeper[folder] == nil {
			deeper[folder] = map[string]object.TreeEntry{}
		}
		deeper[folder][rest] = e
	}
	for folder, inner := range deeper {
		sub := &object.Tree{}
		if i := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == folder && e.Mode == filemode.Dir }); i >= 0 {
			if sub, err = object.GetTree(r.store, entries[i].Hash); err != nil {
				return h, false, fmt.Errorf("read folder %s: %w", folder, err)
			}
		}
		e := object.TreeEntry{Mode: filemode.Dir}
		var gone bool
		if e.Hash, gone, err = r.rewrite(sub, inner); err != nil {
			return h, false, err
		}
		if gone {
			e = object.TreeEntry{}
		}
		entries = put(entries, folder, e)
	}
	if len(entries) == 0 {
		return h, true, nil
	}
	sort.Sort(object.TreeEntrySorter(entries))
	h, err = r.add((&object.Tree{Entries: entries}).Encode)
	return h, false, err
}

// put sets the entry of a name, or removes it when e is zero.
func put(entries []object.TreeEntry, name string, e object.TreeEntry) []object.TreeEntry {
	entries = slices.DeleteFunc(entries, func(o object.TreeEntry) bool { return o.Name == name })
	if e == (object.TreeEntry{}) {
		return entries
	}
	e.Name = name
	return append(entries, e)
}

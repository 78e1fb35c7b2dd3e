// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
)

// hexadecimal is a commit as annotations name it.
var hexadecimal = regexp.MustCompile(`^[0-9a-f]{7,40}$`)

// find returns the commit to revert, or in done a sentence that says why there
// is nothing to do. An error says that it cannot be told.
func find(ctx context.Context, repo *repository, r *Request) (bad *object.Commit, done string, err error) {
	s := &search{repo: repo, r: r}
	for _, ref := range r.Images {
		s.images = append(s.images, parse(ref))
	}
	bad, err = s.culprit(ctx)
	if err != nil {
		return nil, "", err
	}
	newer, err := s.newer(bad)
	if err != nil {
		return nil, "", err
	}
	for _, c := range newer {
		if marked(c.Message, r) || reverts(c.Message, bad) {
			return nil, fmt.Sprintf("commit %s has reverted commit %s already", c.Hash, bad.Hash), nil
		}
	}
	if len(s.images) > 0 && !s.asked() {
		return nil, fmt.Sprintf("commit %s brought in the aborted template, and Git does not ask for it any more", bad.Hash), nil
	}
	return bad, "", nil
}

// A search looks through the history of a path.
type search struct {
	repo   *repository
	r      *Request
	images []image
	// files are those that the culprit changed.
	files []file
}

func (s *search) where() string {
	return fmt.Sprintf("branch %s of %s", s.r.Target.Branch, s.r.Target.Repository)
}

// culprit is the newest commit that brought in the images of the template, or,
// if the template has no new ones, the newest commit of the path if the
// annotation names it. Only the commits that the branch itself went through are
// looked at: a merge counts as one.
func (s *search) culprit(ctx context.Context) (*object.Commit, error) {
	named := strings.ToLower(strings.TrimSpace(s.r.Commit))
	for c := s.repo.head; c != nil; {
		parent, err := s.repo.parent(c)
		if err != nil {
			return nil, err
		}
		if parent == nil {
			break
		}
		if s.files, err = s.touched(ctx, parent, c); err != nil {
			return nil, err
		}
		is := hexadecimal.MatchString(named) && strings.HasPrefix(c.Hash.String(), named)
		if len(s.files) > 0 {
			if it, err := s.judge(c, is); it || err != nil {
				return c, err
			}
		}
		c = parent
	}
	return nil, s.unknown()
}

// judge reports whether c, which changed the files of s, is the culprit. named
// says that the annotation names it.
func (s *search) judge(c *object.Commit, named bool) (it bool, err error) {
	brought := s.brought(s.files)
	switch {
	case len(s.images) == 0 && named && !s.r.ByHand:
		return true, nil
	case len(s.images) == 0:
		return false, s.unknown()
	case brought == len(s.images), brought > 0 && named:
		return true, nil
	case brought > 0:
		return false, s.cannot("commit %s brought in some of its images (%s) and not all", c.Hash, strings.Join(s.r.Images, ", "))
	}
	return false, nil
}

func (s *search) cannot(format string, args ...any) error {
	return notify.Errorf(outbox.Never, "it cannot be told which commit brought in the aborted template, and Git was left alone: %s (%s, path %s)", fmt.Sprintf(format, args...), s.where(), s.r.Target.Path)
}

// unknown says why no commit was found.
func (s *search) unknown() error {
	if len(s.images) == 0 {
		if s.r.ByHand {
			return s.cannot("its images are those of the stable template, and the spec was changed by hand")
		}
		return s.cannot("its images are those of the stable template, and the annotation sluice.dev/commit does not name the newest commit of the path")
	}
	return s.cannot("none of the last %d commits brought in %s there", depth, strings.Join(s.r.Images, ", "))
}

// A file is one that a commit changed: what it was and what it became. One
// that is not a small text is empty.
type file struct{ name, was, is string }

// touched are the files below the path that c changed.
func (s *search) touched(ctx context.Context, parent, c *object.Commit) ([]file, error) {
	before, after := s.repo.entry(parent, s.r.Target.Path), s.repo.entry(c, s.r.Target.Path)
	if before == after {
		return nil, nil
	}
	changes, err := s.repo.changes(ctx, parent, c)
	if err != nil {
		return nil, err
	}
	var out []file
	for _, ch := range changes {
		if !below(ch.From.Name, s.r.Target.Path) && !below(ch.To.Name, s.r.Target.Path) {
			continue
		}
		out = append(out, file{ch.To.Name, s.repo.text(ch.From.TreeEntry.Hash), s.repo.text(ch.To.TreeEntry.Hash)})
	}
	return out, nil
}

func below(name, folder string) bool {
	return name != "" && (folder == "." || name == folder || strings.HasPrefix(name, folder+"/"))
}

// brought counts the images that files name now and did not before.
func (s *search) brought(files []file) int {
	n := 0
	for i := range s.images {
		was, is := false, false
		for _, f := range files {
			was, is = was || s.images[i].in(f.was), is || s.images[i].in(f.is)
		}
		if is && !was {
			n++
		}
	}
	return n
}

// asked reports whether one of the files that the culprit changed names one of
// the images still.
func (s *search) asked() bool {
	for _, f := range s.files {
		text := ""
		if e := s.repo.entry(s.repo.head, f.name); f.name != "" {
			text = s.repo.text(e.Hash)
		}
		for i := range s.images {
			if s.images[i].in(text) {
				return true
			}
		}
	}
	return false
}

// newer are the commits of the branch that are not part of c's history, as far
// as they were fetched.
func (s *search) newer(c *object.Commit) ([]*object.Commit, error) {
	old, err := s.repo.reach(c.Hash, nil)
	if err != nil {
		return nil, err
	}
	fresh, err := s.repo.reach(s.repo.head.Hash, old)
	if err != nil {
		return nil, err
	}
	out := make([]*object.Commit, 0, len(fresh))
	for _, f := range fresh {
		out = append(out, f)
	}
	return out, nil
}

// reach are the commits that h has in its history, itself included, without
// those of except. What was not fetched ends it.
func (r *repository) reach(h plumbing.Hash, except map[plumbing.Hash]*object.Commit) (map[plumbing.Hash]*object.Commit, error) {
	out, queue := map[plumbing.Hash]*object.Commit{}, []plumbing.Hash{h}
	for len(queue) > 0 {
		next := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if out[next] != nil || except[next] != nil {
			continue
		}
		c, err := object.GetCommit(r.store, next)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		if err != nil {
			return nil, notify.Errorf(outbox.Later, "read commit %s: %v", next, err)
		}
		out[next] = c
		queue = append(queue, c.ParentHashes...)
	}
	return out, nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revert undoes in Git the commit that brought in a pod template which
// was aborted. It speaks git over HTTPS and, for pull requests, GitHub's REST
// API. It decides neither when (the outbox does) nor whether a release is
// aborted, and it keeps nothing between calls: that a revert was made already is
// read from the repository, so a crash at any moment makes no second one.
package revert

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
)

const (
	// patience bounds one call.
	patience = 100 * time.Second
	// maxRaces is how often a branch may move while the commit is on its way.
	maxRaces = 5
)

// errMoved says that the branch is not any more where it was.
var errMoved = errors.New("the branch moved")

// A Request is one aborted attempt.
type Request struct {
	Target      v1alpha1.GitRevert
	Credentials Credentials
	// Namespace, Name and UID are the Rollout's.
	Namespace, Name, UID string
	Revision             string
	Attempt              int32
	// Why it was aborted.
	Why string
	// Images are those of the aborted template that the stable one does not have.
	Images []string
	// Commit is what the Rollout's annotation said of the template; may be empty,
	// wrong, or of another repository.
	Commit string
	// ByHand says that the spec was changed by hand, so that the template may not
	// be the one in Git.
	ByHand bool
}

// mark identifies the attempt in the message of the commit.
func (r *Request) mark() string { return fmt.Sprintf("%s/%s/%d", r.UID, r.Revision, max(r.Attempt, 1)) }

// who names the Rollout.
func (r *Request) who() string { return r.Namespace + "/" + r.Name }

// A Result is what was done.
type Result struct {
	// Made says that this call pushed a commit or opened a pull request.
	Made bool
	// Text tells people.
	Text string
}

// A Service makes reverts, one at a time: each holds a part of a repository in
// memory.
type Service struct {
	// hosts that may be talked to, with the port if it is not 443.
	hosts  map[string]bool
	client *http.Client
	now    func() time.Time
	turn   chan struct{}
}

// New returns a Service that talks to hosts by client, whose redirects it does
// not follow. now is the clock.
func New(hosts []string, client *http.Client, now func() time.Time) *Service {
	s := &Service{hosts: map[string]bool{}, now: now, turn: make(chan struct{}, 1)}
	for _, h := range hosts {
		s.hosts[normal(h)] = true
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.client = &c
	return s
}

// Revert makes the revert, unless it was made before or is not needed any more.
// Its errors are [notify.Error]s.
func (s *Service) Revert(ctx context.Context, r *Request) (Result, error) {
	t, err := s.target(r)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return Result{}, notify.Errorf(outbox.Soon, "other reverts are under way")
	}
	for range maxRaces {
		result, err := s.once(ctx, t)
		if !errors.Is(err, errMoved) {
			return result, err
		}
	}
	return Result{}, notify.Errorf(outbox.Soon, "branch %s of %s moved each of the %d times that the revert was to be pushed", r.Target.Branch, t.name, maxRaces)
}

// once makes the revert on the branch as it is now.
func (s *Service) once(ctx context.Context, t *target) (Result, error) {
	repo, err := t.fetch(ctx)
	if err != nil {
		return Result{}, err
	}
	bad, done, err := find(ctx, repo, t.Request)
	if err != nil || done != "" {
		return Result{Text: done}, err
	}
	if t.pulls != nil {
		if link, err := t.pulls.find(ctx, t.branchName(bad)); err != nil || link != "" {
			return Result{Text: "the pull request that reverts it was opened already: " + link}, err
		}
	}
	tree, err := undo(ctx, repo, bad)
	if errors.Is(err, errSame) {
		return Result{Text: fmt.Sprintf("Git says already what it said before commit %s", bad.Hash)}, nil
	}
	if err != nil {
		return Result{}, err
	}
	return s.send(ctx, t, repo, tree, bad)
}

// send makes the commit, and pushes or proposes it.
func (s *Service) send(ctx context.Context, t *target, repo *repository, tree plumbing.Hash, bad *object.Commit) (Result, error) {
	commit, err := repo.commit(&object.Commit{TreeHash: tree, Message: message(t.Request, bad)}, t.Target.Author, s.now())
	if err != nil {
		return Result{}, err
	}
	if t.pulls == nil {
		if err := t.push(ctx, repo, t.Target.Branch, repo.head.Hash, commit); err != nil {
			return Result{}, err
		}
		return Result{Made: true, Text: fmt.Sprintf("commit %s on branch %s of %s reverts commit %s", commit, t.Target.Branch, t.name, bad.Hash)}, nil
	}
	return s.propose(ctx, t, repo, commit, bad)
}

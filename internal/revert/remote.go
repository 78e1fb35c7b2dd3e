// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/memory"

	"sluice.dev/sluice/internal/httpclient"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"
)

// depth is how many commits are fetched from each head.
const depth = 100

// endpoint is how the repository is talked to.
func (t *target) endpoint() (transport.Transport, *transport.Endpoint, transport.AuthMethod, error) {
	ep, err := transport.NewEndpoint(t.url.String())
	if err != nil {
		return nil, nil, nil, t.failed("open", err)
	}
	client := githttp.NewClientWithOptions(t.service.client, &githttp.ClientOptions{RedirectPolicy: githttp.NoFollowRedirects})
	return client, ep, &githttp.BasicAuth{Username: t.Credentials.Username, Password: t.Credentials.Secret.Reveal()}, nil
}

// fetch reads the newest commits of the branch.
func (t *target) fetch(ctx context.Context) (*repository, error) {
	client, ep, auth, err := t.endpoint()
	if err != nil {
		return nil, err
	}
	s, err := client.NewUploadPackSession(ep, auth)
	if err != nil {
		return nil, t.failed("read", err)
	}
	defer s.Close()
	refs, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, t.failed("read", err)
	}
	head, ok := refs.References[branchRef(t.Target.Branch).String()]
	if !ok {
		return nil, notify.Errorf(outbox.Broken, "%s has no branch %s", t.name, t.Target.Branch)
	}
	req := packp.NewUploadPackRequestFromCapabilities(refs.Capabilities)
	req.Wants = []plumbing.Hash{head}
	if refs.Capabilities.Supports(capability.Shallow) {
		req.Depth = packp.DepthCommits(depth)
		if err := req.Capabilities.Set(capability.Shallow); err != nil {
			return nil, t.failed("read", err)
		}
	}
	resp, err := s.UploadPack(ctx, req)
	if err != nil {
		return nil, t.failed("read", err)
	}
	defer func() { _ = resp.Close() }()
	repo := &repository{store: memory.NewStorage()}
	if err := unpack(repo.store, demultiplexed(req.Capabilities, resp)); err != nil {
		if errors.Is(err, errTooLarge) {
			return nil, notify.Errorf(outbox.Never, "the newest %d commits of %s are too large to be read here: %v. Revert by hand", depth, t.name, err)
		}
		return nil, t.failed("read", err)
	}
	if repo.head, err = object.GetCommit(repo.store, head); err != nil {
		return nil, t.failed("read", err)
	}
	return repo, nil
}

func branchRef(name string) plumbing.ReferenceName { return plumbing.NewBranchReferenceName(name) }

// receive opens the session in which a branch is moved from one commit, and
// returns what the server can do. errMoved says that the branch is elsewhere.
func (t *target) receive(ctx context.Context, branch string, from plumbing.Hash) (transport.ReceivePackSession, *capability.List, error) {
	client, ep, auth, err := t.endpoint()
	if err != nil {
		return nil, nil, err
	}
	s, err := client.NewReceivePackSession(ep, auth)
	if err != nil {
		return nil, nil, t.failed("write to", err)
	}
	refs, err := s.AdvertisedReferencesContext(ctx)
	if err == nil && refs.References[branchRef(branch).String()] == from {
		return s, refs.Capabilities, nil
	}
	_ = s.Close()
	if err != nil {
		return nil, nil, t.failed("write to", err)
	}
	return nil, nil, errMoved
}

// push sends what was added to repo, and moves a branch from one commit to
// another; from none when it is new. errMoved says that the branch is elsewhere.
func (t *target) push(ctx context.Context, repo *repository, branch string, from, to plumbing.Hash) error {
	s, can, err := t.receive(ctx, branch, from)
	if err != nil {
		return err
	}
	defer s.Close()
	var pack bytes.Buffer
	if _, err := packfile.NewEncoder(&pack, repo.store, false).Encode(repo.added, 0); err != nil {
		return t.failed("write to", err)
	}
	req := packp.NewReferenceUpdateRequestFromCapabilities(can)
	req.Commands = []*packp.Command{{Name: branchRef(branch), Old: from, New: to}}
	req.Packfile = io.NopCloser(&pack)
	report, err := s.ReceivePack(ctx, req)
	if report == nil {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return t.failed("write to", err)
	}
	if err == nil {
		return nil
	}
	return t.refused(ctx, branch, from, err)
}

// refused says what a server that took the objects and not the branch means.
func (t *target) refused(ctx context.Context, branch string, from plumbing.Hash, why error) error {
	s, _, err := t.receive(ctx, branch, from)
	if err != nil {
		return err
	}
	defer s.Close()
	return notify.Errorf(outbox.Refused, "%s does not take the revert on branch %s: %s", t.name, branch, t.clean(why))
}

// failed says for people why the repository could not be read or written.
func (t *target) failed(what string, err error) error {
	e := notify.Errorf(outbox.Later, "%s %s: %s", what, t.name, t.clean(err))
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		e = notify.Errorf(outbox.Broken, "%s %s: it refuses the credentials in Secret %s/%s; give the bot the right to read and write its contents", what, t.name, t.Namespace, t.Target.SecretRef.Name)
	case errors.Is(err, transport.ErrRepositoryNotFound), errors.Is(err, transport.ErrEmptyRemoteRepository):
		e = notify.Errorf(outbox.Broken, "%s %s: there is no such repository, it is empty, or the credentials in Secret %s/%s may not see it", what, t.name, t.Namespace, t.Target.SecretRef.Name)
	}
	return e
}

// clean is an error without what nobody may read.
func (t *target) clean(err error) string {
	return httpclient.Clean(httpclient.Redact(err.Error(), t.Credentials.Secret.Reveal()), 500)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"sluice.dev/sluice/internal/fit"
	"sluice.dev/sluice/internal/httpclient"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/notify/wire"
	"sluice.dev/sluice/internal/outbox"
)

// maxTitle is how long a title may be.
const maxTitle = 250

// maxAnswer bounds an answer of the API.
const maxAnswer = 4 << 20

// pulls are the pull requests of one repository on GitHub.
type pulls struct {
	client            *http.Client
	base, owner, repo string
	into              string
	credentials       Credentials
}

// propose pushes the commit to a branch of its own, unless an earlier try did,
// and opens the pull request.
func (s *Service) propose(ctx context.Context, t *target, repo *repository, commit plumbing.Hash, bad *object.Commit) (Result, error) {
	branch := t.branchName(bad)
	err := t.push(ctx, repo, branch, plumbing.ZeroHash, commit)
	if err != nil && !errors.Is(err, errMoved) { // it is there: an earlier try pushed it
		return Result{}, err
	}
	subject, body, _ := strings.Cut(message(t.Request, bad), "\n")
	link, err := t.pulls.open(ctx, branch, fit.Bytes(subject, maxTitle), strings.TrimSpace(body))
	if err != nil {
		return Result{}, err
	}
	return Result{Made: true, Text: fmt.Sprintf("pull request %s reverts commit %s", link, bad.Hash)}, nil
}

// A pull is what is read of a pull request.
type pull struct {
	HTMLURL string `json:"html_url"`
	Head    struct {
		Ref string `json:"ref"`
	} `json:"head"`
}

// find returns the address of the pull request from branch, open or not; empty
// when there is none.
func (p *pulls) find(ctx context.Context, branch string) (string, error) {
	query := url.Values{"head": {p.owner + ":" + branch}, "state": {"all"}, "per_page": {"100"}}
	status, data, err := p.do(ctx, http.MethodGet, "?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	var list []pull
	if status != http.StatusOK || json.Unmarshal(data, &list) != nil {
		return "", notify.Errorf(outbox.Later, "list pull requests of %s/%s: GitHub answered %d with something else", p.owner, p.repo, status)
	}
	for _, found := range list {
		if found.Head.Ref == branch { // a server that ignores the query names them all
			return found.HTMLURL, nil
		}
	}
	return "", nil
}

// open opens the pull request from branch.
func (p *pulls) open(ctx context.Context, branch, title, body string) (string, error) {
	status, data, err := p.do(ctx, http.MethodPost, "", map[string]string{"title": title, "head": branch, "base": p.into, "body": body})
	if err != nil {
		return "", err
	}
	if status == http.StatusUnprocessableEntity {
		if link, err := p.find(ctx, branch); err != nil || link != "" {
			return link, err
		}
		return "", notify.Errorf(outbox.Refused, "GitHub does not open a pull request from %s into %s of %s/%s: %s", branch, p.into, p.owner, p.repo, p.clean(data))
	}
	var made pull
	if status != http.StatusCreated || json.Unmarshal(data, &made) != nil {
		return "", notify.Errorf(outbox.Later, "open a pull request of %s/%s: GitHub answered %d with something else", p.owner, p.repo, status)
	}
	return made.HTMLURL, nil
}

// do asks the API about pull requests. What is no error is a status below 300,
// or 422.
func (p *pulls) do(ctx context.Context, method, query string, in any) (status int, data []byte, err error) {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return 0, nil, fmt.Errorf("encode a pull request: %w", err)
		}
	}
	at := fmt.Sprintf("%s/repos/%s/%s/pulls%s", p.base, url.PathEscape(p.owner), url.PathEscape(p.repo), query)
	req, err := http.NewRequestWithContext(ctx, method, at, &body)
	if err != nil {
		return 0, nil, fmt.Errorf("ask GitHub: %w", err)
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("User-Agent", "sluice")
	req.Header.Set("Authorization", "Bearer "+p.credentials.Secret.Reveal())
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, nil, notify.Errorf(outbox.Later, "GitHub did not answer: %s", p.clean([]byte(err.Error())))
	}
	defer resp.Body.Close()
	data, err = httpclient.ReadBody(resp.Body, maxAnswer)
	if err != nil {
		return 0, nil, notify.Errorf(outbox.Later, "GitHub's answer: %s", p.clean([]byte(err.Error())))
	}
	return resp.StatusCode, data, p.judge(resp, data)
}

// judge is what a status means.
func (p *pulls) judge(resp *http.Response, data []byte) error {
	code := resp.StatusCode
	e := notify.Errorf(outbox.Later, "GitHub answered %d about %s/%s: %s", code, p.owner, p.repo, p.clean(data))
	e.Status, e.After = code, wire.After(resp.Header)
	switch {
	case code < 300 || code == http.StatusUnprocessableEntity:
		return nil
	case code < 400:
		e.Fate, e.Message = outbox.Broken, fmt.Sprintf("GitHub redirects pull requests of %s/%s elsewhere: was the repository moved? Redirects are not followed", p.owner, p.repo)
	case code == http.StatusForbidden && (e.After > 0 || resp.Header.Get("X-Ratelimit-Remaining") == "0"):
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound:
		e.Fate = outbox.Broken
	}
	return e
}

func (p *pulls) clean(text []byte) string {
	return httpclient.Clean(httpclient.Redact(string(text), p.credentials.Secret.Reveal()), 300)
}

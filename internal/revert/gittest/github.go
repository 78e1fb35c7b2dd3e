// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package gittest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

const apiPath = "/api/v3"

// A Pull is a pull request.
type Pull struct {
	Number                  int
	Title, Head, Base, Body string
	State                   string
}

// A hub is GitHub's API for the pull requests of acme/config.
type hub struct {
	repo *Repo
	url  string
	note func(*http.Request)

	mu    sync.Mutex
	pulls []Pull
}

// Pulls are the pull requests that were opened.
func (h *hub) Pulls() []Pull {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.pulls)
}

// ClosePull closes a pull request as somebody would who does not want it.
func (h *hub) ClosePull(number int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pulls[number-1].State = "closed"
}

// Forget makes it so that no pull request was opened yet.
func (h *hub) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pulls = nil
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func problem(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest"})
}

func (h *hub) api(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Authorization") != "Bearer "+Password:
		problem(w, http.StatusUnauthorized, "Bad credentials")
	case r.URL.Path != apiPath+"/repos/acme/config/pulls":
		problem(w, http.StatusNotFound, "Not Found")
	case r.Header.Get("Accept") != "application/vnd.github+json" || r.Header.Get("User-Agent") == "":
		problem(w, http.StatusForbidden, "Request forbidden by administrative rules")
	case r.Method == http.MethodGet:
		h.note(r)
		h.list(w, r)
	case r.Method == http.MethodPost:
		h.note(r)
		h.create(w, r)
	default:
		problem(w, http.StatusMethodNotAllowed, "no such method")
	}
}

func (h *hub) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	state := query.Get("state")
	if state == "" {
		state = "open"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []any{}
	for _, p := range h.pulls {
		if (state == "all" || state == p.State) && (query.Get("head") == "" || query.Get("head") == "acme:"+p.Head) {
			out = append(out, h.wire(p))
		}
	}
	answer(w, http.StatusOK, out)
}

func (h *hub) wire(p Pull) map[string]any {
	return map[string]any{
		"number": p.Number, "state": p.State, "title": p.Title, "body": p.Body, "html_url": fmt.Sprintf("%s/acme/config/pull/%d", h.url, p.Number),
		"head": map[string]any{"ref": p.Head, "label": "acme:" + p.Head}, "base": map[string]any{"ref": p.Base, "label": "acme:" + p.Base},
	}
}

func (h *hub) create(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Title string `json:"title"`
		Head  string `json:"head"`
		Base  string `json:"base"`
		Body  string `json:"body"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		problem(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	head := strings.TrimPrefix(in.Head, "acme:")
	branches, err := h.repo.Branches()
	invalid := func(field, why string) {
		answer(w, http.StatusUnprocessableEntity, map[string]any{"message": "Validation Failed", "errors": []any{map[string]string{"resource": "PullRequest", "field": field, "code": "invalid", "message": why}}})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err != nil || in.Title == "" || len(in.Title) > 256:
		invalid("title", "title is missing or too long")
	case !slices.Contains(branches, head):
		invalid("head", "head does not exist")
	case !slices.Contains(branches, in.Base):
		invalid("base", "base does not exist")
	case slices.ContainsFunc(h.pulls, func(p Pull) bool { return p.Head == head && p.State == "open" }):
		invalid("head", "A pull request already exists for acme:"+head+".")
	default:
		p := Pull{Number: len(h.pulls) + 1, Title: in.Title, Head: head, Base: in.Base, Body: in.Body, State: "open"}
		h.pulls = append(h.pulls, p)
		answer(w, http.StatusCreated, h.wire(p))
	}
}

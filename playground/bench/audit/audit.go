// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit reads an API server's audit log and counts what one user asked
// for. It changes nothing.
package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// An Entry is one request as the log has it.
type Entry struct {
	Verb     string    `json:"verb"`
	URI      string    `json:"requestURI"`
	Stage    string    `json:"stage"`
	Received time.Time `json:"requestReceivedTimestamp"`
	// Done is when the answer was complete.
	Done time.Time `json:"stageTimestamp"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	Object struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Answer struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// Kind is the verb and the resource, such as "patch rollouts/status".
func (e *Entry) Kind() string {
	resource := e.Object.Resource
	if resource == "" {
		resource = e.URI
	}
	if e.Object.Subresource != "" {
		resource += "/" + e.Object.Subresource
	}
	return e.Verb + " " + resource
}

// Event reports whether the request is about an Event.
func (e *Entry) Event() bool { return e.Object.Resource == "events" }

// Standing reports whether the request is what a controller keeps up anyway: a
// watch or its lease.
func (e *Entry) Standing() bool { return e.Verb == "watch" || e.Object.Resource == "leases" }

// Read returns the completed requests of a user that were received from a time
// on, in the order of the log. A last line that is still being written is left
// out.
func Read(path, user string, from time.Time) ([]Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	defer func() { _ = f.Close() }()
	mark := []byte(`"username":"` + user + `"`)
	var out []Entry
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		if !bytes.Contains(line, mark) {
			continue
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("read a line of the audit log: %w", err)
		}
		if e.User.Username == user && e.Stage != "RequestReceived" && !e.Received.Before(from) {
			out = append(out, e)
		}
	}
}

// A Tally counts requests.
type Tally struct {
	// Requests are those that are neither about Events nor standing, Events the
	// others, Conflicts those answered with 409, Errors those answered with
	// another code from 400.
	Requests, Events, Conflicts, Errors int
	// Kinds counts by verb and resource, Events and standing ones too.
	Kinds map[string]int
}

// Count tallies entries.
func Count(entries []Entry) Tally {
	t := Tally{Kinds: map[string]int{}}
	for i := range entries {
		e := &entries[i]
		t.Kinds[e.Kind()]++
		switch {
		case e.Standing():
			continue
		case e.Event():
			t.Events++
		default:
			t.Requests++
		}
		switch code := e.Answer.Code; {
		case code == 409:
			t.Conflicts++
		case code >= 400:
			t.Errors++
		}
	}
	return t
}

// Sorted returns the kinds, the most frequent first.
func (t *Tally) Sorted() []string {
	kinds := make([]string, 0, len(t.Kinds))
	for k := range t.Kinds {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b string) int {
		if d := t.Kinds[b] - t.Kinds[a]; d != 0 {
			return d
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
	return kinds
}

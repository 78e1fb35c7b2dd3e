// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadogtest

import (
	"regexp"
	"slices"
	"sync"
	"time"
)

// maxLog is how many requests are remembered.
const maxLog = 10_000

// A Request is one that the server received.
type Request struct {
	Time         time.Time
	Method, Path string
	Keys         Keys
	// Queries by name; the query of API v1 has the name "".
	Queries  map[string]string
	Formulas []string
	From, To time.Time
	// Status that was answered, 0 if none has been.
	Status int
}

// TagValues are the values that the queries' filters ask of a tag, sorted,
// each once.
func (r Request) TagValues(tag string) []string {
	pattern := regexp.MustCompile(`[{,]\s*` + regexp.QuoteMeta(tag) + `:([^,}\s]*)`)
	var values []string
	for _, q := range r.Queries {
		for _, m := range pattern.FindAllStringSubmatch(q, -1) {
			values = append(values, m[1])
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// Requests are the latest requests, at most 10,000, the oldest first.
func (s *Server) Requests() []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return slices.Clone(s.log.entries)
}

type requestLog struct {
	mu      sync.Mutex
	dropped int
	entries []Request
}

// add returns the number of the request, counting from the first ever.
func (l *requestLog) add(r Request) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) >= maxLog {
		half := len(l.entries) / 2
		l.entries = slices.Delete(l.entries, 0, half)
		l.dropped += half
	}
	l.entries = append(l.entries, r)
	return l.dropped + len(l.entries) - 1
}

func (l *requestLog) replace(id int, r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := id - l.dropped; i >= 0 && i < len(l.entries) {
		l.entries[i] = r
	}
}

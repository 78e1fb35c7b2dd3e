// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice.dev/sluice/internal/metric"
)

const (
	// evidenceAge is how old the data may be that proves a count to exist.
	evidenceAge = 7 * 24 * time.Hour
	// proofAge is how long a proof is used before it is asked for again. It is
	// taken off the window that is asked for, so that no evidence is ever
	// older than evidenceAge.
	proofAge = time.Hour
	// maxProofs bounds the memory that proofs take.
	maxProofs = 4096
)

// zero tells whether a silent query is a count that is zero. It returns a note
// that says so, or why it cannot be shown.
func (s *source) zero(ctx context.Context, a asker, w metric.Window, f *columns, q namedQuery) (note, why string, err error) {
	if s.spec.tree == nil {
		return "", "the formula uses functions that only Datadog evaluates", nil
	}
	absent, ok := parseSelector(q.text)
	if !ok || !absent.count {
		return "", "only a plain query that ends in .as_count() counts events, and can be 0 when there are none", nil
	}
	scope, why := s.scope(f, q, absent)
	if why != "" {
		return "", why, nil
	}
	seen, err := s.exists(ctx, a, w, absent.sees(scope.key), scope.key)
	if err != nil {
		return "", "", err
	}
	if !seen {
		return "", fmt.Sprintf("it has had no data for any value of %s within the last 7 days, so the tag or the metric may be wrong", scope.key), nil
	}
	return fmt.Sprintf("query %q has no series where %s, and was taken as 0: it has had data for other values of %s within the last 7 days",
		q.name, scope.key+":"+scope.value, scope.key), "", nil
}

// scope finds the tag that scopes the absent query, and a query with data, to
// the canary; or why there is none.
func (s *source) scope(f *columns, q namedQuery, absent selector) (scope tag, why string) {
	why = "no other query of the formula has data"
	for _, other := range s.spec.queries {
		// Filled queries are as silent as this one was.
		if other == q || f.queries[other.name].silent() || slices.Contains(f.filled, other.name) {
			continue
		}
		present, ok := parseSelector(other.text)
		if !ok {
			why = fmt.Sprintf("the scope of query %q is not a plain list of tags", other.name)
			continue
		}
		if t, ok := canaryTag(absent, present, s.env.PodTemplateHash); ok {
			return t, ""
		}
		why = fmt.Sprintf("it shares no tag with query %q that can be told to be the canary's (a pod-template hash or a version)", other.name)
	}
	return tag{}, why
}

// exists tells whether query, grouped by key, has data for some value of key.
func (s *source) exists(ctx context.Context, a asker, w metric.Window, query, key string) (bool, error) {
	id := proofID(a.creds, query)
	if s.proofs.valid(id, w.To) {
		return true, nil
	}
	t, err := a.scalar(ctx, scalarAttributes{
		From:     w.To.Add(proofAge - evidenceAge).UnixMilli(),
		To:       w.To.UnixMilli(),
		Queries:  []scalarQuery{{"sum", "metrics", soleName, query}},
		Formulas: []scalarFormula{{soleName}},
	})
	if err != nil {
		return false, whileProving(err)
	}
	if !t.has(key) {
		return false, nil
	}
	s.proofs.keep(id, w.To.Add(proofAge))
	return true, nil
}

// whileProving says in err which question it was that failed.
func whileProving(err error) error {
	var e *metric.Error
	if !errors.As(err, &e) {
		return err
	}
	proving := *e
	proving.Message = "asking whether a silent count exists at all: " + e.Message
	return &proving
}

// has tells whether there is a number for some real value of the tag key.
func (t table) has(key string) bool {
	for _, g := range t.groups {
		if g.tag != key {
			continue
		}
		for row, values := range g.values {
			value := strings.Join(values, ",")
			// Datadog puts series that lack the tag under "N/A".
			if value == "" || strings.EqualFold(value, "N/A") {
				continue
			}
			for _, c := range t.numbers {
				if c.at(row).known() {
					return true
				}
			}
		}
	}
	return false
}

// proofID keeps organisations apart: the same query asked with another key may
// be answered by another organisation.
func proofID(c credentials, query string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.Join([]string{c.address.String(), c.apiKey.Reveal(), c.appKey.Reveal(), query}, "\x00")))
}

// proofs remembers which counts are known to exist, and until when.
type proofs struct {
	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time
}

func newProofs() *proofs { return &proofs{until: map[[sha256.Size]byte]time.Time{}} }

func (p *proofs) valid(id [sha256.Size]byte, at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := p.until[id]
	// A clock that was set back must not make a proof last longer.
	return at.Before(until) && !at.Before(until.Add(-proofAge))
}

func (p *proofs) keep(id [sha256.Size]byte, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.until) >= maxProofs {
		// Losing proofs costs one question each; keeping count of which to
		// lose would cost more.
		clear(p.until)
	}
	p.until[id] = until
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
	"regexp"
	"slices"
	"strings"
)

// A selector is a query that is plain enough to be changed: one metric, tags
// that must all hold, functions behind it.
type selector struct {
	aggregator, metric string
	// tags are the terms of the filter, in order.
	tags []tag
	// count tells whether it is a count of events (as_count).
	count bool
}

// A tag is a term of a filter.
type tag struct{ key, value string }

var selectorPattern = regexp.MustCompile(
	`^([a-z][a-z0-9]*):([A-Za-z][A-Za-z0-9_.]*)\{([^{}]*)\}(?:\s*by\s*\{[^{}]*\})?((?:\.[a-z_]+\([^()]*\))*)$`)

// parseSelector returns false for a query that is more than that.
func parseSelector(text string) (selector, bool) {
	m := selectorPattern.FindStringSubmatch(text)
	if m == nil {
		return selector{}, false
	}
	s := selector{aggregator: m[1], metric: m[2], count: strings.Contains(m[4], ".as_count()")}
	filter := strings.ReplaceAll(m[3], " AND ", ",")
	for term := range strings.SplitSeq(filter, ",") {
		term = strings.TrimSpace(term)
		if term == "*" || term == "" {
			continue
		}
		key, value, _ := strings.Cut(term, ":")
		if strings.ContainsAny(term, " ()!$\"") {
			return selector{}, false
		}
		s.tags = append(s.tags, tag{key, value})
	}
	return s, true
}

// specific tells whether t names one value.
func (t tag) specific() bool { return t.value != "" && !strings.ContainsAny(t.value, "*?") }

// sees returns the query for the values of key that s has data for, whatever
// they are.
func (s selector) sees(key string) string {
	var terms []string
	for _, t := range s.tags {
		if t.key != key {
			terms = append(terms, strings.TrimSuffix(t.key+":"+t.value, ":"))
		}
	}
	if len(terms) == 0 {
		terms = []string{"*"}
	}
	return s.aggregator + ":" + s.metric + "{" + strings.Join(terms, ",") + "} by {" + key + "}.as_count()"
}

// Tags that say where a service runs, not which revision of it.
var placeTags = []string{
	"service", "env", "cluster", "cluster_name", "kube_cluster_name", "kube_namespace", "namespace",
	"region", "datacenter", "availability-zone", "team",
}

// canaryTag returns the tag that scopes both queries to the canary. It is the
// absent query's tag whose value is the canary's hash, when that is known; else
// the one whose name speaks of a hash or a version; and the other query must
// have it too. If there is no such tag, it is the only one that they share,
// unless their filters contradict each other.
func canaryTag(absent, present selector, hash string) (tag, bool) {
	for _, mark := range []func(tag) bool{
		func(t tag) bool { return hash != "" && t.value == hash },
		func(t tag) bool { return strings.Contains(strings.ToLower(t.key), "hash") },
		func(t tag) bool { return strings.HasSuffix(strings.ToLower(t.key), "version") },
	} {
		if marked := filtered(absent.tags, mark); len(marked) > 0 {
			return only(filtered(marked, present.shares))
		}
	}
	if slices.ContainsFunc(absent.tags, present.contradicts) {
		return tag{}, false
	}
	shared := filtered(absent.tags, present.shares)
	if t, ok := only(filtered(shared, func(t tag) bool { return !slices.Contains(placeTags, strings.ToLower(t.key)) })); ok {
		return t, true
	}
	return only(shared)
}

// shares tells whether s is limited to exactly t.
func (s selector) shares(t tag) bool { return t.specific() && slices.Contains(s.tags, t) }

// contradicts tells whether s is limited to another value of t's key.
func (s selector) contradicts(t tag) bool {
	return slices.ContainsFunc(s.tags, func(own tag) bool { return own.key == t.key && own.value != t.value })
}

func filtered(tags []tag, keep func(tag) bool) []tag {
	var kept []tag
	for _, t := range tags {
		if keep(t) {
			kept = append(kept, t)
		}
	}
	return kept
}

func only(tags []tag) (tag, bool) {
	if len(tags) != 1 {
		return tag{}, false
	}
	return tags[0], true
}

var emptyTagPattern = regexp.MustCompile(`[{,]\s*([A-Za-z][A-Za-z0-9_./-]*):\s*[,}]`)

// emptyTag finds a tag without a value in the filter of a query.
func emptyTag(query string) (string, bool) {
	m := emptyTagPattern.FindStringSubmatch(query)
	if m == nil {
		return "", false
	}
	return m[1] + ":", true
}

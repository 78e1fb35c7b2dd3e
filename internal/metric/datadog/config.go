// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric"
)

const (
	v1 = "v1"
	v2 = "v2"

	defaultInterval   = 5 * time.Minute
	defaultTimeout    = 10 * time.Second
	defaultAggregator = "last"
	// soleName is the name on the wire of a query that has none.
	soleName = "query"
)

var aggregators = []string{"area", "avg", "l2norm", "last", "max", "mean", "min", "percentile", "sum"}

// A namedQuery is one query of a metric.
type namedQuery struct{ name, text string }

// A spec is a block of the API that makes sense.
type spec struct {
	version    string
	interval   time.Duration
	timeout    time.Duration
	aggregator string
	// queries are sorted by name; there is at least one.
	queries []namedQuery
	formula string
	// tree is the formula understood, nil if it is beyond us.
	tree       node
	secret     string
	namespaced bool
	// vault is a secret outside the cluster, nil for a Secret.
	vault *v1alpha1.VaultSecret
}

func misconfigured(format string, args ...any) error {
	return metric.Errorf(metric.Misconfigured, "provider.datadog: "+format, args...)
}

// parse checks what the schema cannot, and names the fields.
func parse(c v1alpha1.DatadogMetric) (spec, error) {
	s := spec{
		version:    c.APIVersion,
		aggregator: c.Aggregator,
		formula:    fold(c.Formula),
		secret:     c.SecretRef.Name,
		namespaced: c.SecretRef.Namespaced,
		vault:      c.SecretRef.Vault,
	}
	if s.version == "" {
		s.version = v1
	}
	var err error
	if s.interval, err = duration("interval", string(c.Interval), defaultInterval); err != nil {
		return spec{}, err
	}
	if s.timeout, err = duration("requestTimeout", string(c.RequestTimeout), defaultTimeout); err != nil {
		return spec{}, err
	}
	if err := s.checkFields(c); err != nil {
		return spec{}, err
	}
	if s.aggregator == "" {
		s.aggregator = defaultAggregator
	}
	s.queries = queriesOf(c)
	if err := s.checkQueries(); err != nil {
		return spec{}, err
	}
	return s, s.checkFormula()
}

func duration(field, text string, unset time.Duration) (time.Duration, error) {
	if strings.TrimSpace(text) == "" {
		return unset, nil
	}
	d, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil {
		return 0, misconfigured("%s %q is not a duration such as 5m or 30s", field, text)
	}
	if d <= 0 {
		return 0, misconfigured("%s must be more than 0, got %q", field, text)
	}
	return d, nil
}

// short writes 5m and not 5m0s.
func short(d time.Duration) string {
	text := d.String()
	text = strings.TrimSuffix(text, "0s")
	if text == "" || !strings.ContainsAny(text[len(text)-1:], "mh") {
		return d.String()
	}
	if t := strings.TrimSuffix(text, "0m"); strings.HasSuffix(t, "h") {
		return t
	}
	return text
}

// checkFields finds combinations of fields that cannot work.
func (s spec) checkFields(c v1alpha1.DatadogMetric) error {
	many, one := len(c.Queries) > 0, c.Query != ""
	switch {
	case s.namespaced && s.secret == "":
		return misconfigured("secretRef.namespaced needs secretRef.name")
	case s.vault != nil && s.secret != "":
		return misconfigured("secretRef.vault and secretRef.name exclude each other; keep one of them")
	case !one && !many:
		return misconfigured("one of query and queries is required")
	case one && many:
		return misconfigured("query and queries exclude each other; keep one of them")
	case s.version == v1:
		return s.checkV1(many)
	case s.version == v2:
		return s.checkV2(len(c.Queries))
	}
	return misconfigured("apiVersion must be v1 or v2, got %q", s.version)
}

func (s spec) checkV1(queries bool) error {
	switch {
	case queries || s.formula != "":
		return misconfigured("queries and formula need apiVersion: v2; with v1 (the default) use query")
	case s.aggregator != "":
		return misconfigured("aggregator needs apiVersion: v2; v1 has none")
	}
	return nil
}

func (s spec) checkV2(queries int) error {
	switch {
	case s.aggregator != "" && !slices.Contains(aggregators, s.aggregator):
		return misconfigured("aggregator must be one of %s, got %q", strings.Join(aggregators, ", "), s.aggregator)
	case s.formula != "" && queries == 0:
		return misconfigured("formula needs queries: it refers to them by name")
	case queries > 1 && s.formula == "":
		return misconfigured("queries holds %d queries, which needs a formula to make one value of them", queries)
	}
	return nil
}

func queriesOf(c v1alpha1.DatadogMetric) []namedQuery {
	if c.Query != "" {
		return []namedQuery{{soleName, fold(c.Query)}}
	}
	var qs []namedQuery
	for _, name := range slices.Sorted(maps.Keys(c.Queries)) {
		qs = append(qs, namedQuery{name, fold(c.Queries[name])})
	}
	return qs
}

func (s spec) checkQueries() error {
	for _, q := range s.queries {
		field := "query"
		if q.name != soleName || s.formula != "" {
			field = fmt.Sprintf("queries[%q]", q.name)
		}
		if q.text == "" {
			return misconfigured("%s is empty", field)
		}
		if tag, ok := emptyTag(q.text); ok {
			return misconfigured("%s filters by %q with no value, so it could never see what it is meant to watch: "+
				"the argument that should be there was empty; the query is %q", field, tag, q.text)
		}
	}
	return nil
}

// checkFormula fills in the tree.
func (s *spec) checkFormula() error {
	if s.formula == "" {
		return nil
	}
	tree, err := parseFormula(s.formula)
	if err != nil {
		// Datadog has many more functions than we evaluate ourselves.
		return nil //nolint:nilerr // Datadog itself says what is wrong with a formula.
	}
	var names []string
	for _, q := range s.queries {
		names = append(names, q.name)
	}
	for _, name := range references(tree) {
		if !slices.Contains(names, name) {
			return misconfigured("formula %q refers to %q, which is not in queries; they are %s",
				s.formula, name, strings.Join(names, ", "))
		}
	}
	s.tree = tree
	return nil
}

// fold makes one line of a query that was written as a block: its lines are
// joined without a space where the line end stood beside a bracket or comma,
// and with one elsewhere.
func fold(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if before := b.String(); before != "" &&
			!strings.ContainsAny(before[len(before)-1:], ",{(") && !strings.ContainsAny(line[:1], ",}).") {
			b.WriteByte(' ')
		}
		b.WriteString(line)
	}
	return b.String()
}

// text is the metric's query as people read it.
func (s spec) text() string {
	if s.formula == "" {
		return s.queries[0].text
	}
	var b strings.Builder
	b.WriteString(s.formula)
	for _, q := range s.queries {
		fmt.Fprintf(&b, "; %s = %s", q.name, q.text)
	}
	return b.String()
}

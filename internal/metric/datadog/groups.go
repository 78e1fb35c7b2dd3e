// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"sluice.dev/sluice/internal/metric"
)

// maxGroups is how many groups a measurement keeps: half of them the lowest,
// half the highest.
const maxGroups = 100

// A group is one row of a grouped answer as it is kept in Notes["groups"].
type group struct {
	Tags  map[string]string `json:"tags"`
	Value float64           `json:"value"`
}

// reading turns a column into a value: a number, or with groups a list of
// them. Cells without a number are left out; Value is nil if none is left.
func reading(t table, cells []cell) metric.Reading {
	var values []float64
	var groups []group
	for row, c := range cells {
		if c.known() {
			values = append(values, c.value)
			groups = append(groups, group{t.tags(row), c.value})
		}
	}
	switch {
	case len(values) == 0:
		return metric.Reading{}
	case len(t.groups) == 0:
		return metric.Reading{Value: values[0]}
	}
	return metric.Reading{Value: values, Notes: groupNotes(groups)}
}

// tags are the tags of one row.
func (t table) tags(row int) map[string]string {
	tags := make(map[string]string, len(t.groups))
	for _, g := range t.groups {
		if row < len(g.values) {
			tags[g.tag] = strings.Join(g.values[row], ",")
		}
	}
	return tags
}

func groupNotes(groups []group) map[string]string {
	slices.SortStableFunc(groups, func(a, b group) int {
		switch {
		case a.Value < b.Value:
			return -1
		case a.Value > b.Value:
			return 1
		}
		return 0
	})
	notes := map[string]string{}
	if n := len(groups); n > maxGroups {
		notes["groups_truncated"] = strconv.Itoa(n - maxGroups)
		groups = slices.Concat(groups[:maxGroups/2], groups[n-maxGroups/2:])
	}
	// Strings and finite numbers always encode.
	text, _ := json.Marshal(groups)
	notes["groups"] = string(text)
	return notes
}

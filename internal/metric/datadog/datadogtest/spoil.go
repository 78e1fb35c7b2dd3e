// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadogtest

import "encoding/json"

// nulled makes every measured value of an answer null. An answer without any
// gets one.
func nulled(text []byte) []byte {
	return spoil(text, func(values []any) []any {
		if len(values) == 0 {
			values = []any{nil}
		}
		for i, v := range values {
			values[i] = nil
			if point, ok := v.([]any); ok && len(point) == 2 {
				values[i] = []any{point[0], nil}
			}
		}
		return values
	}, false)
}

// emptied removes every series of an answer.
func emptied(text []byte) []byte {
	return spoil(text, func([]any) []any { return []any{} }, true)
}

// spoil changes the lists of values of either version's answer.
func spoil(text []byte, change func([]any) []any, groups bool) []byte {
	var answer map[string]any
	if json.Unmarshal(text, &answer) != nil {
		return text
	}
	if series, ok := answer["series"].([]any); ok {
		if groups {
			answer["series"] = []any{}
		}
		for _, s := range series {
			s := object(s)
			points, _ := s["pointlist"].([]any)
			s["pointlist"] = change(points)
		}
	}
	columns, _ := object(object(answer["data"])["attributes"])["columns"].([]any)
	for _, c := range columns {
		c := object(c)
		if values, ok := c["values"].([]any); ok && (groups || c["type"] == "number") {
			c["values"] = change(values)
		}
	}
	spoilt, err := json.Marshal(answer)
	if err != nil {
		return text
	}
	return spoilt
}

func object(v any) map[string]any {
	m, ok := v.(map[string]any)
	if !ok {
		return map[string]any{}
	}
	return m
}

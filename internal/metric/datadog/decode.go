// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package datadog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// A cell is one number, or the lack of one: null, NaN and the infinities are
// what Datadog makes of no data, of 0/0 and of x/0.
type cell struct {
	value float64
	there bool
}

func some(v float64) cell { return cell{v, !math.IsNaN(v) && !math.IsInf(v, 0)} }

func (c cell) known() bool { return c.there }

// UnmarshalJSON reads a number, null, or the name of a number that JSON lacks.
func (c *cell) UnmarshalJSON(b []byte) error {
	*c = cell{}
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	var number json.Number
	if err := json.Unmarshal(b, &number); err == nil {
		v, err := number.Float64()
		if err != nil {
			return fmt.Errorf("number %.40q is out of range", number)
		}
		*c = some(v)
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("%.40q is not a number", b)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(math.IsNaN(v) || math.IsInf(v, 0)) {
		return fmt.Errorf("%.40q is not a number", text)
	}
	return nil
}

// A numberColumn is one query or formula, a cell for each row.
type numberColumn struct {
	name  string
	cells []cell
}

func (c numberColumn) at(row int) cell {
	if row < len(c.cells) {
		return c.cells[row]
	}
	return cell{}
}

// silent tells whether no row has a value.
func (c numberColumn) silent() bool {
	for _, cell := range c.cells {
		if cell.known() {
			return false
		}
	}
	return true
}

// A groupColumn is one tag that the rows are grouped by.
type groupColumn struct {
	tag string
	// values has, for each row, the tag's values; usually one.
	values [][]string
}

// A table is the answer of API v2.
type table struct {
	groups  []groupColumn
	numbers []numberColumn
}

func (t table) rows() int {
	n := 0
	for _, c := range t.numbers {
		n = max(n, len(c.cells))
	}
	return n
}

// An answerError is a refusal that came with a 200, in Datadog's words.
type answerError struct{ words string }

func (e answerError) Error() string { return e.words }

// decodeScalar reads an answer of API v2.
func decodeScalar(body []byte) (table, error) {
	var answer struct {
		Data *struct {
			Attributes struct {
				Columns []struct {
					Name   string          `json:"name"`
					Type   string          `json:"type"`
					Values json.RawMessage `json:"values"`
				} `json:"columns"`
			} `json:"attributes"`
			Errors any `json:"errors"`
		} `json:"data"`
		Errors any `json:"errors"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return table{}, notJSON(body, err)
	}
	if words := joinWords(answer.Errors); words != "" {
		return table{}, answerError{words}
	}
	if answer.Data == nil {
		return table{}, errors.New("it has no data")
	}
	if words := joinWords(answer.Data.Errors); words != "" {
		return table{}, answerError{words}
	}
	var t table
	for i, c := range answer.Data.Attributes.Columns {
		if err := t.add(c.Name, c.Type, c.Values); err != nil {
			return table{}, fmt.Errorf("column %d (%.60q): %w", i, c.Name, err)
		}
	}
	return t, nil
}

func (t *table) add(name, kind string, values json.RawMessage) error {
	if len(values) == 0 {
		values = json.RawMessage("null")
	}
	switch kind {
	case "number":
		c := numberColumn{name: name}
		if err := json.Unmarshal(values, &c.cells); err != nil {
			return err
		}
		t.numbers = append(t.numbers, c)
	case "group":
		var raw []any
		if err := json.Unmarshal(values, &raw); err != nil {
			return err
		}
		c := groupColumn{tag: name}
		for _, v := range raw {
			c.values = append(c.values, tagValues(v))
		}
		t.groups = append(t.groups, c)
	default:
		return fmt.Errorf("its type is %.40q, not number or group", kind)
	}
	return nil
}

// tagValues reads ["a","b"] and, to be lenient, "a".
func tagValues(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var values []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				values = append(values, s)
			}
		}
		return values
	}
	return nil
}

// points is what is used of an answer of API v1.
type points struct {
	series int
	// last is the last point of the first series.
	last cell
}

// decodePoints reads an answer of API v1.
func decodePoints(body []byte) (points, error) {
	var answer struct {
		Status string `json:"status"`
		Error  any    `json:"error"`
		Errors any    `json:"errors"`
		Series *[]struct {
			Pointlist [][]cell `json:"pointlist"`
		} `json:"series"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return points{}, notJSON(body, err)
	}
	if words := joinWords(answer.Error, answer.Errors); words != "" {
		return points{}, answerError{words}
	}
	if answer.Status == "error" {
		return points{}, answerError{"status is error, without a reason"}
	}
	if answer.Series == nil {
		return points{}, errors.New("it has no series")
	}
	p := points{series: len(*answer.Series)}
	if p.series == 0 {
		return p, nil
	}
	list := (*answer.Series)[0].Pointlist
	if len(list) == 0 {
		return p, nil
	}
	last := list[len(list)-1]
	if len(last) != 2 {
		return points{}, fmt.Errorf("its last point has %d numbers, not a time and a value", len(last))
	}
	p.last = last[1]
	return p, nil
}

// notJSON shows the beginning of what came instead.
func notJSON(body []byte, err error) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New("the body is empty")
	}
	return fmt.Errorf("%w; it begins with %q", err, body[:min(len(body), 80)])
}

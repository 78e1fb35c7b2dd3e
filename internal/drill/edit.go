// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"sluice.dev/sluice/internal/act"
)

// decode reads JSON and keeps its numbers as they are written.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("read the rollout: %w", err)
	}
	return v, nil
}

// at is the value at a JSON pointer; false when there is none.
func at(doc any, path string) (any, bool) {
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch v := doc.(type) {
		case map[string]any:
			next, ok := v[part]
			if !ok {
				return nil, false
			}
			doc = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			doc = v[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

// edit changes the value at path of doc. A change gets a copy, or nil when
// there is none.
func edit(doc any, path string, change func(was any) (any, error)) (Edit, error) {
	e := Edit{Path: path}
	var err error
	was, there := at(doc, path)
	if there {
		if e.Was, err = json.Marshal(was); err != nil {
			return e, fmt.Errorf("encode %s: %w", path, err)
		}
		if was, err = decode(e.Was); err != nil {
			return e, err
		}
	}
	is, err := change(was)
	if err != nil {
		return e, err
	}
	if e.Is, err = json.Marshal(is); err != nil {
		return e, fmt.Errorf("encode %s: %w", path, err)
	}
	return e, nil
}

// An operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

func (e Edit) apply() operation { return operation{"add", e.Path, e.Is} }

func (e Edit) revert() operation {
	if e.Was == nil {
		return operation{Op: "remove", Path: e.Path}
	}
	return operation{"replace", e.Path, e.Was}
}

// state says what doc holds where the edit was made.
func (e Edit) state(doc any) (edited, original bool) {
	now, there := at(doc, e.Path)
	same := func(raw json.RawMessage) bool {
		if raw == nil {
			return !there
		}
		want, err := decode(raw)
		return err == nil && there && reflect.DeepEqual(want, now)
	}
	return same(e.Is), same(e.Was)
}

// annotation is the operation that sets an annotation of the object itself,
// with what has to come before it.
func annotation(doc any, key, value string) []operation {
	op := operation{"add", "/metadata/annotations/" + escape(key), value}
	if _, ok := at(doc, "/metadata/annotations"); ok {
		return []operation{op}
	}
	return []operation{{"add", "/metadata/annotations", map[string]string{key: value}}}
}

func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

// fenced makes one patch of ops that is refused with a conflict when the object
// has changed since doc was read.
func fenced(doc any, ops []operation) (act.Patch, error) {
	version, _ := at(doc, "/metadata/resourceVersion")
	body, err := json.Marshal(append([]operation{{"replace", "/metadata/resourceVersion", version}}, ops...))
	if err != nil {
		return act.Patch{}, fmt.Errorf("encode the patch: %w", err)
	}
	return act.Patch{Type: act.JSON, Body: body}, nil
}

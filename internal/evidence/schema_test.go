// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A published is the schema in the documentation. Keys that this test does not
// know make it fail.
type published struct {
	Schema      string                `json:"$schema"`
	Title       string                `json:"title"`
	Description string                `json:"description"`
	Ref         string                `json:"$ref"`
	Type        string                `json:"type"`
	Format      string                `json:"format"`
	Enum        []any                 `json:"enum"`
	Items       *published            `json:"items"`
	Properties  map[string]*published `json:"properties"`
	Required    []string              `json:"required"`
	Additional  *published            `json:"additionalProperties"`
	Defs        map[string]*published `json:"$defs"`
}

func schema(t *testing.T) *published {
	t.Helper()
	file, err := os.Open(filepath.FromSlash("../../docs/evidence.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d := json.NewDecoder(file)
	d.DisallowUnknownFields()
	s := &published{}
	if err := d.Decode(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// check returns what in value is not as s says, also fields that it does not
// name, which a reader would not expect from this version.
func (s *published) check(root *published, path string, value any) (wrong []string) {
	if s.Ref != "" {
		def := root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
		if def == nil {
			return []string{path + ": no definition " + s.Ref}
		}
		return def.check(root, path, value)
	}
	if got := kind(value, s.Type); got != s.Type {
		return []string{fmt.Sprintf("%s is %s, not %s", path, got, s.Type)}
	}
	if s.Enum != nil && !slices.Contains(s.Enum, value) {
		wrong = append(wrong, fmt.Sprintf("%s: %v is none of %v", path, value, s.Enum))
	}
	if s.Format == "date-time" {
		if _, err := time.Parse(time.RFC3339Nano, value.(string)); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", path, err))
		}
	}
	switch v := value.(type) {
	case []any:
		for i := range v {
			wrong = append(wrong, s.Items.check(root, fmt.Sprintf("%s[%d]", path, i), v[i])...)
		}
	case map[string]any:
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				wrong = append(wrong, path+"."+name+" is missing")
			}
		}
		for name, x := range v {
			p := s.Properties[name]
			if p == nil {
				p = s.Additional
			}
			if p == nil {
				wrong = append(wrong, path+"."+name+" is not in the schema")
				continue
			}
			wrong = append(wrong, p.check(root, path+"."+name, x)...)
		}
	}
	return wrong
}

// kind is the type of a JSON value; a whole number is what is asked for.
func kind(value any, want string) string {
	switch v := value.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if want == "integer" && v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "null"
}

func TestRecordsKeepToThePublishedSchema(t *testing.T) {
	t.Parallel()
	s := schema(t)
	all := samples()
	soiled := all["aborted"]
	soil(&soiled)
	all["hostile"] = soiled
	all["packed"] = func() Record {
		r := all["aborted"]
		data, err := Pack(r, 2400)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = Unpack(data); err != nil {
			t.Fatal(err)
		}
		return r
	}()
	for name, r := range all {
		data, err := JSON(&r)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := json.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range s.check(s, name, value) {
			t.Error(wrong)
		}
	}
	if wrong := s.check(s, "x", map[string]any{"version": 2.0, "more": nil, "runs": "none"}); len(wrong) < 10 {
		t.Errorf("a record that is none passes: %q", wrong)
	}
}

func TestThePublishedSchemaExplainsEveryField(t *testing.T) {
	t.Parallel()
	s := schema(t)
	defs := map[string]*published{"Record": s}
	maps.Copy(defs, s.Defs)
	for name, d := range defs {
		if d.Description == "" {
			t.Errorf("%s has no description", name)
		}
		for field, p := range d.Properties {
			if !strings.Contains(p.Description, field) {
				t.Errorf("%s.%s is explained as %q", name, field, p.Description)
			}
		}
	}
}

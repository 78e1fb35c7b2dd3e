// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command evidenceschema writes the JSON Schema of an evidence record from its
// Go types and their comments.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"sluice.dev/sluice/internal/evidence"
)

// A schema is as much of a JSON Schema as records need.
type schema struct {
	Schema               string             `json:"$schema,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Ref                  string             `json:"$ref,omitempty"`
	Type                 string             `json:"type,omitempty"`
	Format               string             `json:"format,omitempty"`
	Enum                 []any              `json:"enum,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	AdditionalProperties *schema            `json:"additionalProperties,omitempty"`
	Defs                 map[string]*schema `json:"$defs,omitempty"`
}

// enums are the fields that have few values.
var enums = map[string][]any{
	"Record.version": {evidence.Version},
	"Record.outcome": {"Promoted", "Aborted", "Superseded", evidence.InProgress},
}

func main() {
	in := flag.String("in", ".", "folder with the sources of package evidence")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "evidenceschema:", err)
		os.Exit(1)
	}
}

func run(in, out string) error {
	docs, err := comments(filepath.Join(in, "record.go"))
	if err != nil {
		return err
	}
	g := generator{docs: docs, defs: map[string]*schema{}}
	root := g.object(reflect.TypeFor[evidence.Record]())
	root.Schema, root.Title, root.Defs = "https://json-schema.org/draft/2020-12/schema", "Evidence of one attempt at a release", g.defs
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the schema: %w", err)
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}

// comments are the comments of types, and of their fields as Type.field with the
// name that the field has in JSON.
func comments(file string) (map[string]string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("read the types: %w", err)
	}
	out := map[string]string{}
	for _, d := range parsed.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range gen.Specs {
			ts, ok := s.(*ast.TypeSpec)
			if !ok {
				continue
			}
			out[ts.Name.Name] = words(gen.Doc.Text())
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range st.Fields.List {
				name, _, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
				out[ts.Name.Name+"."+name] = words(f.Doc.Text())
			}
		}
	}
	return out, nil
}

func words(text string) string { return strings.Join(strings.Fields(text), " ") }

type generator struct {
	docs map[string]string
	defs map[string]*schema
}

// object is the schema of a struct. Fields that it does not name are allowed: new
// ones may come.
func (g generator) object(t reflect.Type) *schema {
	s := &schema{Type: "object", Description: g.docs[t.Name()], Properties: map[string]*schema{}}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := g.value(f.Type)
		p.Description, p.Enum = g.docs[t.Name()+"."+name], enums[t.Name()+"."+name]
		s.Properties[name] = p
		if options == "" {
			s.Required = append(s.Required, name)
		}
	}
	return s
}

func (g generator) value(t reflect.Type) *schema {
	if t == reflect.TypeFor[time.Time]() {
		return &schema{Type: "string", Format: "date-time"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.value(t.Elem())
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return &schema{Type: "integer"}
	case reflect.Float64:
		return &schema{Type: "number"}
	case reflect.Slice:
		return &schema{Type: "array", Items: g.value(t.Elem())}
	case reflect.Map:
		return &schema{Type: "object", AdditionalProperties: g.value(t.Elem())}
	case reflect.Struct:
		if g.defs[t.Name()] == nil {
			g.defs[t.Name()] = &schema{}
			*g.defs[t.Name()] = *g.object(t)
		}
		return &schema{Ref: "#/$defs/" + t.Name()}
	default:
		panic("no schema for " + t.String())
	}
}

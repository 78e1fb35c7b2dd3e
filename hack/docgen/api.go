// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

const apiIntro = `# The API

The five kinds of ` + "`argoproj.io/v1alpha1`" + ` and what they are made of, from the Go types. **Bold** fields are required. Types of Kubernetes itself are named and not explained. What this version cannot do is refused with the condition ` + "`InvalidSpec`" + ` and the field's name, or by the API server.

`

// roots are the kinds.
var roots = []string{"Rollout", "AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun", "Experiment"}

// types are the declarations of the API package.
type types struct {
	fset *token.FileSet
	all  map[string]*ast.TypeSpec
	docs map[string]string
}

func kinds(root string) (string, error) {
	ts, err := readTypes(filepath.Join(root, "api", "v1alpha1"))
	if err != nil {
		return "", err
	}
	order := ts.reachable()
	var b, index strings.Builder
	for i, name := range order {
		if i > 0 {
			index.WriteString(" · ")
		}
		fmt.Fprintf(&index, "[%s](#%s)", name, strings.ToLower(name))
		ts.section(&b, name)
	}
	return made + apiIntro + index.String() + "\n" + b.String(), nil
}

func readTypes(dir string) (*types, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("find the types: %w", err)
	}
	ts := &types{fset: token.NewFileSet(), all: map[string]*ast.TypeSpec{}, docs: map[string]string{}}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(filepath.Base(file), "zz_") {
			continue
		}
		parsed, err := parser.ParseFile(ts.fset, file, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read the types: %w", err)
		}
		for _, d := range parsed.Decls {
			ts.add(d)
		}
	}
	return ts, nil
}

func (ts *types) add(d ast.Decl) {
	gen, ok := d.(*ast.GenDecl)
	if !ok || gen.Tok != token.TYPE {
		return
	}
	for _, s := range gen.Specs {
		spec, ok := s.(*ast.TypeSpec)
		if !ok {
			continue
		}
		doc := spec.Doc
		if doc == nil {
			doc = gen.Doc
		}
		ts.all[spec.Name.Name], ts.docs[spec.Name.Name] = spec, words(doc)
	}
}

// words is a comment without its markers, as one line.
func words(doc *ast.CommentGroup) string {
	var kept []string
	for line := range strings.Lines(doc.Text()) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "+") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, " ")
}

// reachable are the types with fields that the kinds are made of, in the order
// in which a reader meets them.
func (ts *types) reachable() []string {
	order := slices.Clone(roots)
	for i := 0; i < len(order); i++ {
		st, ok := ts.all[order[i]].Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range st.Fields.List {
			ast.Inspect(f.Type, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && ts.fields(id.Name) != nil && !slices.Contains(order, id.Name) {
					order = append(order, id.Name)
				}
				return true
			})
		}
	}
	return order
}

// fields are the fields of a type of ours, or nil.
func (ts *types) fields(name string) []*ast.Field {
	spec := ts.all[name]
	if spec == nil {
		return nil
	}
	if st, ok := spec.Type.(*ast.StructType); ok {
		return st.Fields.List
	}
	return nil
}

func (ts *types) section(b *strings.Builder, name string) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n", name, strings.ReplaceAll(ts.docs[name], "<", "&lt;"))
	t, rows := newTable("field", "type", "meaning"), 0
	for _, f := range ts.fields(name) {
		tag := ""
		if f.Tag != nil {
			tag = reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
		}
		json, options, _ := strings.Cut(tag, ",")
		if json == "" || json == "-" {
			continue
		}
		label := code(json)
		if !strings.Contains(options, "omit") {
			label = "**" + label + "**"
		}
		t.row(label, ts.typeName(f.Type), said(json, f.Doc))
		rows++
	}
	if rows > 0 {
		b.WriteString("\n" + t.String())
	}
}

// said is a field's comment without its name, which the table has already.
func said(name string, doc *ast.CommentGroup) string {
	text := words(doc)
	for _, verb := range []string{" is ", " are "} {
		if rest, ok := strings.CutPrefix(text, name+verb); ok {
			return rest
		}
	}
	return text
}

// typeName is a type as people write it in YAML, with a link to its table.
func (ts *types) typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return ts.typeName(e.X)
	case *ast.ArrayType:
		return "list of " + ts.typeName(e.Elt)
	case *ast.MapType:
		return "map of " + ts.typeName(e.Value)
	case *ast.Ident:
		return ts.named(e.Name)
	}
	var b bytes.Buffer
	_ = printer.Fprint(&b, ts.fset, e) // a buffer takes everything
	if name, ok := plain[b.String()]; ok {
		return name
	}
	_, name, _ := strings.Cut(b.String(), ".")
	return name
}

func (ts *types) named(name string) string {
	if ts.fields(name) != nil {
		return fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
	}
	if spec := ts.all[name]; spec != nil && name != "DurationString" {
		return ts.typeName(spec.Type)
	}
	if p, ok := plain[name]; ok {
		return p
	}
	return name
}

// plain are the names of types that say less than what is written for them.
var plain = map[string]string{
	"bool": "boolean", "int32": "integer", "int64": "integer", "int": "integer", "string": "string",
	"DurationString": "duration", "metav1.Time": "time", "metav1.Duration": "duration", "intstr.IntOrString": "integer or percentage",
	"metav1.ObjectMeta": "ObjectMeta", "apiextensionsv1.JSON": "any", "json.RawMessage": "any",
}

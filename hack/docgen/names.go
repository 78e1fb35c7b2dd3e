// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
)

const namesIntro = `# Conditions, reasons and events

The names that tools match on. They are those of Argo Rollouts unless a line says otherwise, and are never renamed. [What the messages mean](../troubleshooting.md) says what to do about them.

`

// wireNames lists the constants of conditions.go with their comments, a table
// for each group.
func wireNames(root string) (string, error) {
	file := filepath.Join(root, "api", "v1alpha1", "conditions.go")
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return "", fmt.Errorf("read the constants: %w", err)
	}
	var b strings.Builder
	b.WriteString(made + namesIntro)
	for _, d := range parsed.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST || !gen.Lparen.IsValid() {
			continue
		}
		if err := constants(&b, gen); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func constants(b *strings.Builder, gen *ast.GenDecl) error {
	t := newTable("name", "meaning")
	for _, s := range gen.Specs {
		spec, ok := s.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			continue
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			continue
		}
		name, err := strconv.Unquote(lit.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", spec.Names[0], err)
		}
		meaning := spec.Doc
		if meaning == nil {
			meaning = spec.Comment
		}
		text := strings.TrimPrefix(words(meaning), spec.Names[0].Name+" ")
		t.row(code(name), strings.TrimPrefix(text, "is "))
	}
	title, rest, _ := strings.Cut(words(gen.Doc), ". ")
	fmt.Fprintf(b, "## %s\n\n", strings.TrimSuffix(title, "."))
	if rest != "" {
		b.WriteString(rest + "\n\n")
	}
	b.WriteString(t.String() + "\n")
	return nil
}

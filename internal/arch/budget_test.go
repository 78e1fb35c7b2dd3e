// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// The budgets. A file or function that needs more wants to be two.
const (
	maxFunc       = 60
	maxFile       = 400
	maxParams     = 5
	maxMethods    = 15
	maxExported   = 40
	maxController = 10
)

// A source is one parsed file.
type source struct {
	path string
	fset *token.FileSet
	file *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	top := root(t)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || name == ".git" || name == "bin" || path == filepath.Join(top, "playground")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasPrefix(name, "zz_generated") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		out = append(out, source{rel, fset, file})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s source) test() bool  { return strings.HasSuffix(s.path, "_test.go") }
func (s source) pkg() string { return filepath.Dir(s.path) }
func (s source) lines(n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
}

func TestFilesAndFunctionsAreSmall(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		if n := s.fset.Position(s.file.End()).Line; n > maxFile {
			t.Errorf("%s has %d lines; the budget is %d", s.path, n, maxFile)
		}
		for _, d := range s.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := s.lines(fn); n > maxFunc {
				t.Errorf("%s: %s has %d lines; the budget is %d", s.path, fn.Name.Name, n, maxFunc)
			}
			if n := fn.Type.Params.NumFields(); n > maxParams {
				t.Errorf("%s: %s has %d parameters; the budget is %d", s.path, fn.Name.Name, n, maxParams)
			}
		}
	}
}

func TestPackagesAndTypesAreSmall(t *testing.T) {
	t.Parallel()
	methods, exported := map[string]int{}, map[string]int{}
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil {
					methods[s.pkg()+"."+receiver(d)]++
				} else if d.Name.IsExported() {
					exported[s.pkg()]++
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() {
						exported[s.pkg()]++
					}
				}
			}
		}
	}
	for name, n := range methods {
		if n > maxMethods && !strings.HasPrefix(name, "api/") {
			t.Errorf("%s has %d methods; the budget is %d", name, n, maxMethods)
		}
	}
	for pkg, n := range exported {
		if n > maxExported && !strings.HasPrefix(pkg, "api/") {
			t.Errorf("%s exports %d names; the budget is %d", pkg, n, maxExported)
		}
	}
}

func receiver(fn *ast.FuncDecl) string {
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return "?"
		}
	}
}

func TestReconcilersHaveFewFields(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test() || !strings.HasPrefix(s.path, "internal/controller/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			ts, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if st, ok := ts.Type.(*ast.StructType); ok && st.Fields.NumFields() > maxController {
				t.Errorf("%s: %s has %d fields; the budget is %d", s.path, ts.Name.Name, st.Fields.NumFields(), maxController)
			}
			return true
		})
	}
}

func TestEverythingExportedIsDocumented(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		documented[s.pkg()] = documented[s.pkg()] || s.file.Doc != nil
		for _, d := range s.file.Decls {
			undocumented(t, s, d)
		}
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

func undocumented(t *testing.T, s source, d ast.Decl) {
	t.Helper()
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || ast.IsExported(receiver(d))) {
			t.Errorf("%s: %s has no doc comment", s.path, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() && ts.Doc == nil && d.Doc == nil {
				t.Errorf("%s: %s has no doc comment", s.path, ts.Name.Name)
			}
		}
	}
}

func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if !s.test() || strings.HasPrefix(s.path, "internal/arch/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
					t.Errorf("%s:%d sleeps; wait for a condition, or use a fake clock", s.path, s.fset.Position(call.Pos()).Line)
				}
			}
			return true
		})
	}
}

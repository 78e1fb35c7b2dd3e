// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Command docgen writes the pages in docs/reference, and the tables of other
// pages that stand between markers, from the code that they describe. A line
// in pages is a page.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// made is what every page begins with.
const made = "<!-- Made by hack/docgen: run `go generate ./cmd/sluice`. -->\n"

// A page is a file below the root, and what makes its text.
type page struct {
	file string
	make func(root string) (string, error)
}

var pages = []page{
	{"docs/reference/cli.md", commandLine},
	{"docs/reference/flags.md", controllerFlags},
	{"docs/reference/api.md", kinds},
	{"docs/reference/values.md", chartValues},
	{"docs/reference/conditions-and-events.md", wireNames},
	{"docs/operations.md", between("metrics", metricsTable)},
}

func main() {
	root := flag.String("root", ".", "the root of the source")
	flag.Parse()
	if err := write(*root); err != nil {
		fmt.Fprintln(os.Stderr, "docgen:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	for _, p := range pages {
		text, err := p.text(root)
		if err != nil {
			return err
		}
		if err := os.WriteFile(p.path(root), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", p.file, err)
		}
	}
	return nil
}

func (p page) path(root string) string { return filepath.Join(root, filepath.FromSlash(p.file)) }

// text is what the page should hold.
func (p page) text(root string) (string, error) {
	text, err := p.make(root)
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.file, err)
	}
	if strings.HasPrefix(text, keep) {
		return p.filled(root, text)
	}
	return text, nil
}

// keep begins a text that belongs between the markers of a page whose rest is
// kept; the name of the markers follows.
const keep = "\x00"

// between makes a table for the place between <!-- NAME --> and
// <!-- end of NAME -->.
func between(name string, table func(string) (string, error)) func(string) (string, error) {
	return func(root string) (string, error) {
		text, err := table(root)
		return keep + name + keep + text, err
	}
}

func (p page) filled(root, text string) (string, error) {
	name, table, _ := strings.Cut(strings.TrimPrefix(text, keep), keep)
	old, err := os.ReadFile(p.path(root))
	if err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	begin, end := []byte("<!-- "+name+" -->\n"), []byte("<!-- end of "+name+" -->")
	before, rest, ok := bytes.Cut(old, begin)
	if !ok {
		return "", fmt.Errorf("there is no line %q in it", begin)
	}
	_, after, ok := bytes.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("there is no %q in it", end)
	}
	return string(before) + string(begin) + table + string(end) + string(after), nil
}

// A table is one of Markdown.
type table struct{ strings.Builder }

func newTable(columns ...string) *table {
	t := &table{}
	t.row(columns...)
	t.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
	return t
}

var cell = strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;")

func (t *table) row(cells ...string) {
	for _, c := range cells {
		t.WriteString("| " + cell.Replace(strings.TrimSpace(c)) + " ")
	}
	t.WriteString("|\n")
}

// code is s as code, and nothing of nothing.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

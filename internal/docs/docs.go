// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs reads the documentation: its fenced blocks, its links and what
// they lead to. What a test does with each block is in plan.go. It runs
// nothing.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Block is a fenced block of a document.
type Block struct {
	File string // with slashes, from the root
	Line int    // of its first line
	Lang string
	Text string
}

// String says where the block is.
func (b Block) String() string { return fmt.Sprintf("%s:%d", b.File, b.Line) }

// Is reports whether a line of the block begins with start.
func (b Block) Is(start string) bool {
	for line := range strings.Lines(b.Text) {
		if strings.HasPrefix(strings.TrimSpace(line), start) {
			return true
		}
	}
	return false
}

// Files are the Markdown files below root that people read.
func Files(root string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".md") {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find the documentation: %w", err)
	}
	slices.Sort(files)
	return files, nil
}

// Read returns the blocks of a file below root.
func Read(root, file string) ([]Block, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		return nil, fmt.Errorf("read the documentation: %w", err)
	}
	return Blocks(file, string(text))
}

// Blocks returns the fenced blocks of a text.
func Blocks(file, text string) ([]Block, error) {
	var out []Block
	var open *Block
	indent := ""
	for i, line := range strings.Split(text, "\n") {
		content := strings.TrimLeft(line, " ")
		switch fence := strings.HasPrefix(content, "```"); {
		case fence && open == nil:
			indent = line[:len(line)-len(content)]
			open = &Block{File: file, Line: i + 2, Lang: strings.TrimSpace(strings.TrimLeft(content, "`"))}
		case fence:
			out = append(out, *open)
			open = nil
		case open != nil:
			open.Text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s: the block has no end", open)
	}
	return out, nil
}

// Commands are the lines of a shell block with what they go on to, without
// comments and here-documents.
func Commands(text string) []string {
	var out []string
	var current, end string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if end != "" {
			if line == end {
				end = ""
			}
			continue
		}
		if i := strings.Index(line, " #"); i >= 0 {
			line = strings.TrimSpace(line[:i])
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if before, more := strings.CutSuffix(line, `\`); more {
			current += before
			continue
		}
		if _, word, ok := strings.Cut(line, "<<"); ok {
			end = strings.Trim(strings.Fields(word)[0], `'"-`)
		}
		out = append(out, current+line)
		current = ""
	}
	return out
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *#*$`)
	notSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	linked  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// Links are the targets of a text's links and pictures that stay in the tree.
func Links(text string) []string {
	var out []string
	for _, m := range link.FindAllStringSubmatch(withoutBlocks(text), -1) {
		if !strings.Contains(m[1], "://") && !strings.HasPrefix(m[1], "mailto:") {
			out = append(out, m[1])
		}
	}
	return out
}

// Anchors are the names that the headings of a text get on the pages of code
// hosts.
func Anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(withoutBlocks(text), -1) {
		name := slug(m[1])
		for i := 1; out[name]; i++ {
			name = fmt.Sprintf("%s-%d", slug(m[1]), i)
		}
		out[name] = true
	}
	return out
}

func slug(title string) string {
	title = linked.ReplaceAllString(title, "$1")
	return strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
}

// withoutBlocks is a text without what is in fences.
func withoutBlocks(text string) string {
	var out strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimLeft(line, " "), "```") {
			inside = !inside
			continue
		}
		if !inside {
			out.WriteString(line)
		}
	}
	return out.String()
}

// A Site is the documentation below a root, with what links lead to.
type Site struct {
	root    string
	anchors map[string]map[string]bool
}

// NewSite returns the documentation below root.
func NewSite(root string) *Site { return &Site{root, map[string]map[string]bool{}} }

// Resolve says what is wrong with a link in file, a file below the root.
func (s *Site) Resolve(file, target string) error {
	name, anchor, _ := strings.Cut(target, "#")
	to := file
	if name != "" {
		to = path.Join(path.Dir(file), name)
	}
	full := filepath.Join(s.root, filepath.FromSlash(to))
	info, err := os.Stat(full)
	if err != nil {
		return fmt.Errorf("%s links to %s: there is no %s", file, target, to)
	}
	if anchor == "" || info.IsDir() || !strings.HasSuffix(to, ".md") {
		return nil
	}
	if s.anchors[to] == nil {
		text, err := os.ReadFile(full)
		if err != nil {
			return fmt.Errorf("%s links to %s: %w", file, target, err)
		}
		s.anchors[to] = Anchors(string(text))
	}
	if !s.anchors[to][anchor] {
		return fmt.Errorf("%s links to %s: %s has no heading of that name", file, target, to)
	}
	return nil
}

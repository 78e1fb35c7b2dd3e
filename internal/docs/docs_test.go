// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/internal/app"
	"sluice.dev/sluice/internal/cli"
	"sluice.dev/sluice/internal/docs"
)

const root = "../.."

func files(t *testing.T) []string {
	t.Helper()
	out, err := docs.Files(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("found %d files", len(out))
	}
	return out
}

func blocks(t *testing.T) []docs.Block {
	t.Helper()
	var out []docs.Block
	for _, file := range files(t) {
		more, err := docs.Read(root, file)
		if err != nil {
			t.Error(err)
		}
		out = append(out, more...)
	}
	return out
}

func TestEveryBlockIsRunOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	used := map[docs.Exception]int{}
	for _, b := range blocks(t) {
		e, excepted := docs.Excepted(b)
		used[e]++
		switch b.Lang {
		case "sh":
			if _, run := docs.Sessions[b.File]; !run && !excepted {
				t.Errorf("%s: nobody runs it: give its document a line in docs.Sessions, or it one in docs.Exceptions", b)
			}
		case "yaml":
			if !excepted && !manifest(t, b) {
				t.Errorf("%s: it is no manifest; a part of one needs a line in docs.Exceptions", b)
			}
		case "", "text", "diff":
		default:
			t.Errorf("%s: a block of %q is not known: it is sh, yaml or text", b, b.Lang)
		}
		if b.Lang != "sh" && strings.Contains(b.Text, "kubectl argo") {
			t.Errorf("%s: it holds a command and is no block of sh", b)
		}
	}
	for _, e := range docs.Exceptions {
		if used[e] == 0 {
			t.Errorf("no block needs %+v", e)
		}
	}
}

// manifest reports whether every document of a block has a kind.
func manifest(t *testing.T, b docs.Block) bool {
	t.Helper()
	for doc := range strings.SplitSeq(b.Text, "\n---\n") {
		var obj struct{ Kind, APIVersion string }
		if err := yaml.Unmarshal([]byte(doc), &obj); err != nil {
			t.Errorf("%s: %v", b, err)
		}
		if obj.Kind == "" || obj.APIVersion == "" {
			return false
		}
	}
	return true
}

func TestEveryYAMLBlockParses(t *testing.T) {
	t.Parallel()
	for _, b := range blocks(t) {
		if b.Lang != "yaml" {
			continue
		}
		for doc := range strings.SplitSeq(b.Text, "\n---\n") {
			var any map[string]any
			if err := yaml.UnmarshalStrict([]byte(doc), &any); err != nil {
				t.Errorf("%s: %v", b, err)
			}
		}
	}
}

func TestTestsThatRunBlocksElsewhereExist(t *testing.T) {
	t.Parallel()
	for _, e := range docs.Exceptions {
		if (e.Why == docs.Elsewhere) != (e.Test != "") {
			t.Errorf("%+v: a test is named exactly if another test runs it", e)
		}
		if e.Test == "" {
			continue
		}
		out, err := exec.CommandContext(t.Context(), "git", "-C", root, "grep", "-l", "^func "+e.Test+"(", "--", "*_test.go").Output()
		if err != nil || len(out) == 0 {
			t.Errorf("%s: there is no test %s", e.File, e.Test)
		}
	}
}

// Commands of ours have the flags and arguments that the program knows, also
// where they are not run.
func TestEveryCommandParses(t *testing.T) {
	t.Parallel()
	found := 0
	for _, b := range blocks(t) {
		if b.Lang != "sh" {
			continue
		}
		for _, c := range docs.Commands(b.Text) {
			words := strings.Fields(c)
			for len(words) > 0 && strings.Contains(words[0], "=") && !strings.HasPrefix(words[0], "-") {
				words = words[1:] // variables
			}
			for _, program := range [][]string{{"kubectl", "argo", "rollouts"}, {"sluice"}, {"bin/sluice"}} {
				if len(words) > len(program) && slices.Equal(words[:len(program)], program) {
					found++
					if err := parses(words[len(program):]); err != nil {
						t.Errorf("%s: %q: %v", b, c, err)
					}
				}
			}
		}
	}
	if found < 60 {
		t.Errorf("found %d commands", found)
	}
}

func parses(words []string) error {
	var out bytes.Buffer
	root := cli.New(cli.Options{Program: "sluice", Out: &out, Err: &out, Extra: []*cobra.Command{app.Command()}})
	for i := range words {
		words[i] = strings.Trim(words[i], `'"`)
	}
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if cmd == root {
		return errors.New("there is no such command")
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	site, found := docs.NewSite(root), 0
	for _, file := range files(t) {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range docs.Links(string(text)) {
			found++
			if err := site.Resolve(file, target); err != nil {
				t.Error(err)
			}
		}
	}
	if found < 100 {
		t.Errorf("found %d links", found)
	}
}

// Every page of the site can be reached from its first one.
func TestEveryPageIsOnTheMap(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{"docs/README.md": true}
	for _, target := range docs.Links(string(text)) {
		name, _, _ := strings.Cut(target, "#")
		there[path.Join("docs", name)] = true
	}
	for _, file := range files(t) {
		if strings.HasPrefix(file, "docs/") && !strings.HasPrefix(file, "docs/adr/0") && !there[file] {
			t.Errorf("docs/README.md does not link to %s", file)
		}
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	text := "words\n```sh\none\n```\n- item\n\n  ```yaml\n  a:\n    b: c\n  ```\n"
	got, err := docs.Blocks("x.md", text)
	want := []docs.Block{{File: "x.md", Line: 3, Lang: "sh", Text: "one\n"}, {File: "x.md", Line: 8, Lang: "yaml", Text: "a:\n  b: c\n"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := docs.Blocks("x.md", "```sh\nno end\n"); err == nil {
		t.Error("a block without an end was accepted")
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	got := docs.Commands("one \\\n  two   # why\n\n# nothing\ncat - <<'EOF'\nnot one\nEOF\nthree\n")
	if diff := cmp.Diff([]string{"one two", "cat - <<'EOF'", "three"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLinksAndAnchors(t *testing.T) {
	t.Parallel()
	text := "# One `two`, three!\n## Same\n## Same\n[a](b.md#c) [x](https://example.com) ![p](p.svg)\n```sh\n# no heading\n[no](link)\n```\n"
	if diff := cmp.Diff([]string{"b.md#c", "p.svg"}, docs.Links(text)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]bool{"one-two-three": true, "same": true, "same-1": true}, docs.Anchors(text)); diff != "" {
		t.Error(diff)
	}
	for target, ok := range map[string]bool{"README.md": true, "README.md#see-it": true, "README.md#nowhere": false, "nowhere.md": false, "docs": true} {
		if err := docs.NewSite(root).Resolve("CONTRIBUTING.md", target); (err == nil) != ok {
			t.Errorf("%s: %v", target, err)
		}
	}
}

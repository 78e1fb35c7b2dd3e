// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// configurations are the files of deploy/terraform, parsed, by path.
func configurations(t *testing.T) map[string]*hclsyntax.Body {
	t.Helper()
	out := map[string]*hclsyntax.Body{}
	err := filepath.WalkDir("terraform", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".tf" && filepath.Ext(path) != ".tfvars" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, diags := hclsyntax.ParseConfig(text, path, hcl.InitialPos)
		if diags.HasErrors() {
			t.Errorf("%v", diags)
			return nil
		}
		if diff := cmp.Diff(string(text), string(hclwrite.Format(text))); diff != "" {
			t.Errorf("%s is not formatted as `tofu fmt` does: %s", path, diff)
		}
		out[path] = file.Body.(*hclsyntax.Body)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheModulesAreFormattedAndDocumented(t *testing.T) {
	t.Parallel()
	files := configurations(t)
	if len(files) < 20 {
		t.Errorf("found %d files; is this the right folder?", len(files))
	}
	declared, used := map[string]bool{}, map[string]bool{}
	for path, body := range files {
		dir := filepath.Dir(path)
		for _, block := range body.Blocks {
			if block.Type != "variable" && block.Type != "output" {
				continue
			}
			if block.Type == "variable" {
				declared[dir+" "+block.Labels[0]] = true
			}
			for _, attribute := range []string{"description", "type"} {
				if block.Body.Attributes[attribute] == nil && (attribute != "type" || block.Type == "variable") {
					t.Errorf("%s: %s %q has no %s", path, block.Type, block.Labels[0], attribute)
				}
			}
		}
		for _, v := range variables(body) {
			if v.RootName() == "var" && len(v) > 1 {
				used[dir+" "+v[1].(hcl.TraverseAttr).Name] = true
			}
		}
	}
	if diff := cmp.Diff(declared, used); diff != "" {
		t.Errorf("variables that are declared (-) and used (+) differ: %s", diff)
	}
}

// variables are all that the expressions of body refer to.
func variables(body *hclsyntax.Body) []hcl.Traversal {
	var out []hcl.Traversal
	_ = hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		if e, ok := node.(*hclsyntax.ScopeTraversalExpr); ok {
			out = append(out, e.Traversal)
		}
		return nil
	})
	return out
}

// What a module asks of a provider is what the root asks, and names both ends:
// a major version that nobody has tried is not taken by itself.
func TestTheProvidersAreBounded(t *testing.T) {
	t.Parallel()
	files := configurations(t)
	wanted := map[string]string{}
	for _, path := range []string{filepath.Join("terraform", "versions.tf"), ""} {
		for file, body := range files {
			if filepath.Base(file) != "versions.tf" || path != "" && file != path {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			required := body.Blocks[0].Body.Blocks[0].Body
			for name, attribute := range required.Attributes {
				asked := string(attribute.Expr.Range().SliceBytes(text))
				if wanted[name] == "" {
					wanted[name] = asked
				}
				if asked != wanted[name] || !strings.Contains(asked, ">= ") || !strings.Contains(asked, ", < ") {
					t.Errorf("%s asks of %s:\n%s\nthe root asks:\n%s", file, name, asked, wanted[name])
				}
			}
		}
	}
	if len(wanted) != 3 {
		t.Errorf("providers are %v", wanted)
	}
}

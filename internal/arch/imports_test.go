// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "sluice.dev/sluice/"

// pure packages may not reach the outside: no clock, client, log or random
// source. Their value is what else they may import.
var pure = map[string][]string{
	"internal/rollout":          {module + "internal/replicas"},
	"internal/replicas":         nil,
	"internal/analysis":         {module + "internal/condition"},
	"internal/condition":        {"github.com/expr-lang/expr"},
	"internal/analysistemplate": {module + "api/v1alpha1", module + "internal/analysis", module + "internal/condition", "k8s.io/apimachinery"},
	"internal/podtemplate":      {module + "api/v1alpha1", "k8s.io/api", "k8s.io/apimachinery"},
	"internal/fit":              nil,
	"internal/codec":            {module + "api/v1alpha1", module + "internal/fit", module + "internal/rollout", "k8s.io/api", "k8s.io/apimachinery"},
	"internal/gitops":           {module + "internal/fit", module + "internal/rollout", "k8s.io/apimachinery", "sigs.k8s.io/structured-merge-diff"},
	"internal/act":              {module + "api/v1alpha1", "k8s.io/api", "k8s.io/apimachinery"},
	"internal/evidence":         {module + "api/v1alpha1", module + "internal/analysis", module + "internal/fit", module + "internal/view", "k8s.io/api", "k8s.io/apimachinery"},
	"internal/drill":            {module + "api/v1alpha1", module + "internal/act", module + "internal/analysistemplate", "k8s.io/apimachinery"},
	"internal/view":             {module + "api/v1alpha1", module + "internal", "k8s.io/api", "k8s.io/apimachinery"},
	"internal/sim":              {module + "internal/rollout", module + "internal/replicas"},
	"internal/outbox":           {module + "api/v1alpha1", module + "internal/fit", "k8s.io/apimachinery"},
	"internal/traffic":          {module + "api/v1alpha1", "k8s.io/apimachinery"},
	"internal/traffic/istio":    {module + "api/v1alpha1", module + "internal/traffic", "k8s.io/apimachinery"},
}

// outside are standard packages that reach it.
var outside = []string{"context", "io/fs", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "os/exec", "syscall"}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// imports returns what the non-test files of pkg import.
func imports(t *testing.T, pkg string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root(t), pkg))
	if err != nil {
		t.Fatalf("%s is named in a rule and is not there: %v", pkg, err)
	}
	var out []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), pkg, e.Name()), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, im := range file.Imports {
			path, err := strconv.Unquote(im.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func under(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

func TestPurePackagesReachNothingOutside(t *testing.T) {
	t.Parallel()
	for pkg, may := range pure {
		for _, im := range imports(t, pkg) {
			std := !strings.Contains(strings.Split(im, "/")[0], ".")
			if std && slices.Contains(outside, im) || !std && !under(im, may) {
				t.Errorf("%s is pure and must not import %s", pkg, im)
			}
		}
	}
}

// A provider knows its port and the API, not the rest of the product.
func TestProvidersImportTheirPortOnly(t *testing.T) {
	t.Parallel()
	for port, may := range map[string][]string{
		"internal/metric":  {"internal/metric", "internal/httpclient", "internal/secret", "api"},
		"internal/traffic": {"internal/traffic", "api"},
		"internal/notify":  {"internal/notify", "internal/httpclient", "internal/secret", "internal/outbox"},
	} {
		entries, err := os.ReadDir(filepath.Join(root(t), port))
		if err != nil {
			t.Fatal(err)
		}
		var allowed []string
		for _, m := range may {
			allowed = append(allowed, module+m)
		}
		for _, e := range entries {
			if !e.IsDir() || strings.HasSuffix(e.Name(), "test") || e.Name() == "testdata" {
				continue
			}
			for _, im := range imports(t, port+"/"+e.Name()) {
				if strings.HasPrefix(im, module) && !under(im, allowed) {
					t.Errorf("%s/%s must not import %s", port, e.Name(), im)
				}
			}
		}
	}
}

// One package reads rollouts' objects and one writes them.
func TestOnlyApplyAndTheAnalysisControllerWrite(t *testing.T) {
	t.Parallel()
	for _, pkg := range []string{"internal/observe", "internal/controller/rollout"} {
		err := filepath.WalkDir(filepath.Join(root(t), pkg), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, verb := range []string{".Patch(ctx", ".Create(ctx", ".Delete(ctx", ".Update(ctx"} {
				if strings.Contains(string(text), verb) {
					t.Errorf("%s writes (%s); only internal/apply does", path, verb)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package modbuild

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tree writes a small checkout and returns its root.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const module = "playground/controlplane/"

var kubernetes = Target{
	Name: "controlplane", Folder: "playground/controlplane", Module: "k8s.io/kubernetes", Packages: []string{"."},
	Values: func(version string) [][2]string { return [][2]string{{"x.version", version}} },
}

func checkout() map[string]string {
	return map[string]string{
		module + "go.mod":  "module x\n\nrequire (\n\tk8s.io/kubernetes v1.37.2\n)\n",
		module + "go.sum":  "k8s.io/kubernetes v1.37.2 h1:x\n",
		module + "main.go": "package main\n",
		"docs/readme.md":   "words\n",
	}
}

func TestNameChangesWithTheBinaryOnly(t *testing.T) {
	t.Parallel()
	src, err := kubernetes.findSource(tree(t, checkout()))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(src.name(), "v1.37.2-") {
		t.Errorf("name %q, want the version of Kubernetes in front", src.name())
	}
	for name, tc := range map[string]struct {
		file, content string
		same          bool
	}{
		"a document":             {file: "docs/readme.md", content: "other words\n", same: true},
		"another demo package":   {file: "playground/mesh/mesh.go", content: "package mesh\n", same: true},
		"a test of the command":  {file: module + "main_test.go", content: "package main\n", same: true},
		"the command":            {file: module + "main.go", content: "package main // other\n"},
		"a checksum":             {file: module + "go.sum", content: "k8s.io/kubernetes v1.37.2 h1:y\n"},
		"a version":              {file: module + "go.mod", content: "require k8s.io/kubernetes v1.37.2\nk8s.io/kubernetes v1.37.3\n"},
		"a new file of the code": {file: module + "extra.go", content: "package main\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := checkout()
			files[tc.file] = tc.content
			got, err := kubernetes.findSource(tree(t, files))
			if err != nil {
				t.Fatal(err)
			}
			if same := got.name() == src.name(); same != tc.same {
				t.Errorf("%s and %s: same %v, want %v", src.name(), got.name(), same, tc.same)
			}
		})
	}
}

func TestTheVersionIsThatOfTheModule(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ mod, want string }{
		"required in a block":       {"require (\n\tk8s.io/kubernetes v1.37.2\n)\n", "v1.37.2"},
		"required for a tool only":  {"require (\n\tk8s.io/kubernetes v1.37.2 // indirect\n)\n", "v1.37.2"},
		"a prerelease":              {"require (\n\tk8s.io/kubernetes v1.38.0-rc.1\n)\n", "v1.38.0-rc.1"},
		"a replaced one beside it":  {"require (\n\tk8s.io/kubernetes/x v1.1.1\n\tk8s.io/kubernetes v1.37.2\n)\nreplace k8s.io/kubernetes => k8s.io/kubernetes v1.1.1\n", "v1.37.2"},
		"one whose name is similar": {"require (\n\tk8sxio/kubernetes v1.1.1\n\tk8s.io/kubernetes v1.37.2\n)\n", "v1.37.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, err := kubernetes.findSource(tree(t, map[string]string{module + "go.mod": tc.mod, module + "go.sum": ""}))
			if err != nil || src.version != tc.want {
				t.Errorf("version %q, %v; want %s", src.version, err, tc.want)
			}
		})
	}
}

func TestAFlagChangesTheName(t *testing.T) {
	t.Parallel()
	root := tree(t, checkout())
	other := kubernetes
	other.Values = func(string) [][2]string { return [][2]string{{"x.version", "other"}} }
	one, err := kubernetes.findSource(root)
	if err != nil {
		t.Fatal(err)
	}
	two, err := other.findSource(root)
	if err != nil || one.name() == two.name() {
		t.Errorf("%s and %s, %v: want two names", one.name(), two.name(), err)
	}
}

func TestFindSourceLooksUpwards(t *testing.T) {
	t.Parallel()
	root := tree(t, checkout())
	src, err := kubernetes.findSource(filepath.Join(root, "docs"))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(root, module); src.dir != want {
		t.Errorf("folder %s, want %s", src.dir, want)
	}
}

func TestFindSourceSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"outside a checkout": {want: "run this from inside a checkout of Sluice"},
		"no Kubernetes": {
			files: map[string]string{module + "go.mod": "module x\n"},
			want:  "requires no k8s.io/kubernetes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := kubernetes.findSource(tree(t, tc.files))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
		})
	}
}

func TestProgressCountsWhatGoPrints(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{log: &out, target: kubernetes, start: time.Now(), total: 7}
	output := "go: downloading k8s.io/api v0.37.2\n" +
		"internal/cpu\nk8s.io/kubernetes/pkg/apis/core\n" +
		"# k8s.io/kubernetes/pkg/apis/apps\nx.go:1:2: undefined: y\n"
	for _, b := range []byte(output) { // in the smallest pieces there are
		if _, err := p.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	p.report()
	want := "# k8s.io/kubernetes/pkg/apis/apps\nx.go:1:2: undefined: y\n" +
		"controlplane:     0s  compiled 2 of at most 7 packages (k8s.io/kubernetes/pkg/apis/core)\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	out.Reset()
	if _, err := p.Write([]byte("sluice.dev/sluice/playground/controlplane\n")); err != nil {
		t.Fatal(err)
	}
	p.report()
	if diff := cmp.Diff("controlplane:     0s  linking\n", out.String()); diff != "" {
		t.Errorf("output after the last package (-want +got):\n%s", diff)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCRDsAreUpToDate compares config/crd with what the types say now.
func TestCRDsAreUpToDate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := write("../../api/v1alpha1", []string{dir}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(kinds()) {
		t.Fatalf("wrote %d files, want %d", len(files), len(kinds()))
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		got, err := os.ReadFile(filepath.Join("../../config/crd", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, got) {
			t.Errorf("config/crd/%s is out of date: run go generate ./api/...", name)
		}
	}
}

func TestTolerantRulesLetUpdatesKeepWhatWasStored(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in   rule
		want string
	}{
		"a plain rule stays as it is": {
			in:   rule{expr: "size(self) >\n\t\t0"},
			want: "size(self) > 0",
		},
		"a tolerant rule looks at the stored object as well": {
			in:   rule{expr: "self.a != self.b", tolerant: true},
			want: "(self.a != self.b) || (oldSelf.hasValue() && !(oldSelf.value().a != oldSelf.value().b))",
		},
		"a rule that says what was wrong before uses that": {
			in:   rule{expr: "self.a", before: "!oldSelf.value().a"},
			want: "(self.a) || (oldSelf.hasValue() && !oldSelf.value().a)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := tc.in.validation()
			if diff := cmp.Diff(tc.want, v.Rule); diff != "" {
				t.Errorf("rule (-want +got):\n%s", diff)
			}
			if got, want := v.OptionalOldSelf != nil, tc.in.tolerant || tc.in.before != ""; got != want {
				t.Errorf("optionalOldSelf is set: %v, want %v", got, want)
			}
		})
	}
}

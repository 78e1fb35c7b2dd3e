// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestFlagsOfEvidenceInTheDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.FromSlash("../../docs/evidence.md"))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	flags := c.Flags()
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("--(evidence-[a-z0-9-]+)").FindAllStringSubmatch(string(text), -1) {
		named[m[1]] = true
		if flags.Lookup(m[1]) == nil {
			t.Errorf("docs/evidence.md: there is no flag %s", m[0])
		}
	}
	if len(named) < 9 {
		t.Errorf("docs/evidence.md names %d flags", len(named))
	}
}

func TestFlagsOfEvidence(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"none":                          {},
		"a bucket":                      {args: []string{"--evidence-s3-bucket=b", "--evidence-s3-endpoint=https://s3.example.com", "--evidence-s3-prefix=a/b"}},
		"nothing is kept":               {args: []string{"--evidence-history=0"}},
		"less than nothing":             {args: []string{"--evidence-history=-1"}, want: "--evidence-history"},
		"nothing is kept, but exported": {args: []string{"--evidence-history=0", "--evidence-folder=/x"}, want: "need --evidence-history"},
		"too small":                     {args: []string{"--evidence-max-bytes=100"}, want: "--evidence-max-bytes must be between"},
		"too large":                     {args: []string{"--evidence-max-bytes=2000000"}, want: "--evidence-max-bytes must be between"},
		"an endpoint without a bucket":  {args: []string{"--evidence-s3-endpoint=https://s3.example.com"}, want: "need --evidence-s3-bucket"},
		"a bucket without an endpoint":  {args: []string{"--evidence-s3-bucket=b"}, want: "is not a URL"},
		"a store without TLS":           {args: []string{"--evidence-s3-bucket=b", "--evidence-s3-endpoint=http://s3.example.com"}, want: "without TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c Config
			if err := c.Flags().Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			if err := c.Validate(); tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// A folder that cannot be written does not keep the controller from its work.
func TestAFolderThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := EvidenceConfig{History: 1, Folder: filepath.Join(file, "folder")}
	if places, err := c.places(); err != nil || len(places) != 1 {
		t.Errorf("got %v, %v", places, err)
	}
}

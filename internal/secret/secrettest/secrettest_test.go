// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package secrettest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice.dev/sluice/internal/secret/secrettest"
)

const key = "Planted/key+0f1e2d3c4b5a"

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAKeyIsFoundHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"plain": "x " + key + " y", "upper case": strings.ToUpper(key),
		"in a URL": "?k=" + url.QueryEscape(key), "in hex": hex.EncodeToString([]byte(key)),
		"in upper hex":       strings.ToUpper(hex.EncodeToString([]byte(key))),
		"in hex with spaces": fmt.Sprintf("% x", key), "as numbers": fmt.Sprintf("%d", []byte("ab"+key+"cd")),
		"in gzip":                    packed(t, "{"+key+"}"),
		"in a hex dump at any place": hex.Dump([]byte("0123456" + key + "89")),
		"in a quoted hex dump":       fmt.Sprintf("%q", hex.Dump([]byte("k8s 01234567890"+key+"89"))),
	}
	for n := range 6 {
		text := []byte(strings.Repeat("x", n) + key + strings.Repeat("y", n))
		cases[fmt.Sprintf("in base64 after %d bytes", n)] = base64.StdEncoding.EncodeToString(text)
		cases[fmt.Sprintf("in base64 for URLs after %d bytes", n)] = base64.RawURLEncoding.EncodeToString(text)
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := secrettest.NewScanner(map[string]string{"the key": key})
			s.Text("here", text)
			if len(s.Found()) == 0 {
				t.Errorf("not found in %q", text)
			}
			for _, f := range s.Found() {
				if strings.Contains(strings.ToLower(f), strings.ToLower(key)) {
					t.Errorf("the report repeats the key: %s", f)
				}
			}
		})
	}
}

func TestWhatHoldsNoKeyIsClean(t *testing.T) {
	t.Parallel()
	s := secrettest.NewScanner(map[string]string{"the key": key})
	s.Text("a text", "Planted/key+0f1e2d3c4b5 is cut short, "+hex.Dump([]byte("nothing to see")))
	if f := s.Found(); len(f) != 0 {
		t.Errorf("found %v", f)
	}
	rec := &recorder{}
	s.Report(rec, 10)
	if rec.errors != 0 {
		t.Error("a clean report failed")
	}
}

type recorder struct{ errors int }

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.errors++ }

func TestLookingAtNothingIsAFailure(t *testing.T) {
	t.Parallel()
	for name, show := range map[string]func(*secrettest.Scanner){
		"nothing shown":    func(*secrettest.Scanner) {},
		"too little shown": func(s *secrettest.Scanner) { s.Text("a", "b") },
		"an empty place":   func(s *secrettest.Scanner) { s.Text("a", strings.Repeat("x", 100)); s.Text("b", "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := secrettest.NewScanner(map[string]string{"the key": key})
			show(s)
			rec := &recorder{}
			s.Report(rec, 10)
			if rec.errors != 1 {
				t.Errorf("got %d failures, want 1", rec.errors)
			}
		})
	}
}

func TestFoldersAreLookedAt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"a/b.log": key, "etcd/wal": key, "c.txt": "clean"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := secrettest.NewScanner(map[string]string{"the key": key})
	if err := s.Dir("run", dir, func(p string) bool { return strings.HasPrefix(p, "etcd") }); err != nil {
		t.Fatal(err)
	}
	if f := s.Found(); len(f) != 1 || !strings.HasPrefix(f[0], "run a/b.log holds the key (as it is)") {
		t.Errorf("found %v", f)
	}
}

func TestAShortKeyIsRefused(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a key that is found by chance was accepted")
		}
	}()
	secrettest.NewScanner(map[string]string{"short": "abc"})
}

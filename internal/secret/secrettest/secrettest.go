// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package secrettest finds keys where none must be. It is given recognisable
// keys, planted where real ones would be, and is shown everything that a test
// produced. It prevents nothing.
package secrettest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// minLength is the shortest key that is looked for: a shorter one is found
// anywhere by chance.
const minLength = 12

// T is the part of testing.TB that a report needs.
type T interface {
	Helper()
	Errorf(format string, args ...any)
}

// A Scanner looks for keys in what it is shown. Its methods may be called from
// several goroutines.
type Scanner struct {
	// forms are what each key looks like, lower case, by its name.
	forms map[string]map[string][]byte

	mu    sync.Mutex
	found []string
	bytes int64
	shown map[string]int64
}

// NewScanner returns a Scanner for keys, by the names that a report gives them.
// It panics when a key is too short to be recognised.
func NewScanner(keys map[string]string) *Scanner {
	s := &Scanner{forms: map[string]map[string][]byte{}, shown: map[string]int64{}}
	for name, key := range keys {
		if len(key) < minLength {
			panic(fmt.Sprintf("secrettest: %s has %d characters, fewer than %d, and would be found by chance", name, len(key), minLength))
		}
		s.forms[name] = formsOf(key)
	}
	return s
}

// formsOf are the ways in which a key may be written, in lower case. Base64 has
// three, for the three places in a group of three bytes where a key may begin;
// the characters that its neighbours have a part in are left out.
func formsOf(key string) map[string][]byte {
	quoted, _ := json.Marshal(key)
	forms := map[string]string{
		"as it is": key, "in JSON": string(quoted[1 : len(quoted)-1]),
		"in a URL": url.QueryEscape(key), "in a path": url.PathEscape(key),
		"in hex":             hex.EncodeToString([]byte(key)),
		"in hex with spaces": spaced(key), "as numbers": numbers(key),
	}
	for shift := range 3 {
		for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := enc.EncodeToString(append(make([]byte, shift), key...))
			first := (shift*8 + 5) / 6
			last := (shift + len(key)) * 8 / 6
			forms[fmt.Sprintf("%s+%d", name, shift)] = text[first:last]
		}
	}
	out := map[string][]byte{}
	for name, f := range forms {
		out[name] = []byte(strings.ToLower(f))
	}
	return out
}

// spaced is how % x prints a string.
func spaced(s string) string { return fmt.Sprintf("% x", s) }

// numbers is how %v prints a []byte.
func numbers(s string) string { return strings.Trim(fmt.Sprintf("%d", []byte(s)), "[]") }

// Text looks at a text from a place.
func (s *Scanner) Text(place, text string) { s.Bytes(place, []byte(text)) }

// Bytes looks at data from a place: as they are, unpacked if they are gzip, and
// read back from hex dumps, in which a key is broken over lines.
func (s *Scanner) Bytes(place string, data []byte) {
	s.mu.Lock()
	s.bytes += int64(len(data))
	s.shown[place] += int64(len(data))
	s.mu.Unlock()
	s.look(place, data)
	if undumped := undump(data); len(undumped) > 0 {
		s.look(place+" (hex dump)", undumped)
	}
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		if r, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			// What was unpacked before an error is worth a look too.
			unpacked, _ := io.ReadAll(io.LimitReader(r, 64<<20))
			s.look(place+" (unpacked)", unpacked)
		}
	}
}

func (s *Scanner) look(place string, data []byte) {
	low := bytes.ToLower(data)
	for name, forms := range s.forms {
		for _, how := range slices.Sorted(maps.Keys(forms)) {
			at := bytes.Index(low, forms[how])
			if at < 0 {
				continue
			}
			s.mu.Lock()
			s.found = append(s.found, fmt.Sprintf("%s holds %s (%s) at byte %d: …%s[the key]", place, name, how, at,
				bytes.ToValidUTF8(data[max(0, min(at, len(data))-120):min(at, len(data))], []byte("?"))))
			s.mu.Unlock()
			break // one of several forms is enough to find the place
		}
	}
}

// dumped is a line of a hex dump as encoding/hex and hexdump -C write it,
// perhaps inside a log line where its line ends are written out.
var dumped = regexp.MustCompile(`[0-9a-f]{8}  ((?:[0-9a-f]{2} ?){1,8}) ?((?:[0-9a-f]{2} ?){0,8}) *\|`)

func undump(data []byte) []byte {
	var out []byte
	for _, m := range dumped.FindAllSubmatch(data, -1) {
		line := strings.ReplaceAll(string(m[1])+string(m[2]), " ", "")
		b, err := hex.DecodeString(line)
		if err != nil {
			continue
		}
		out = append(out, b...)
	}
	return out
}

// Dir looks at every file below dir but those whose path, relative to it, skip
// reports true for.
func (s *Scanner) Dir(place, dir string, skip func(path string) bool) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || skip != nil && skip(rel) {
			return err
		}
		data, err := os.ReadFile(path) //nolint:gosec // a folder of a test's own
		if err != nil {
			return err
		}
		s.Bytes(place+" "+rel, data)
		return nil
	})
	if err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	return nil
}

// Found returns what was found.
func (s *Scanner) Found() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.found))
}

// Report fails t for each key that was found, and when fewer than atLeast bytes
// were shown: a search of nothing finds nothing.
func (s *Scanner) Report(t T, atLeast int64) {
	t.Helper()
	for _, f := range s.Found() {
		t.Errorf("%s", f)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes < atLeast {
		t.Errorf("only %d bytes were looked at, want %d or more; they were from %v", s.bytes, atLeast, s.shown)
	}
	for place, n := range s.shown {
		if n == 0 {
			t.Errorf("%s was empty: nothing was looked at", place)
		}
	}
}

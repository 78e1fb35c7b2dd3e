// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package fit

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestClipped(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "abcdef": "abcdef", "abcdefg": "abc…", "äöüä": "ä…", "aäöüxyz": "aä…", "日本語": "日…",
	} {
		if got := Bytes(in, 6); got != want {
			t.Errorf("%q in 6 bytes is %q, want %q", in, got, want)
		}
	}
}

func TestWhatIsClippedFitsAndIsTheBeginning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, limit := rapid.String().Draw(t, "in"), rapid.IntRange(3, 40).Draw(t, "limit")
		got := Bytes(in, limit)
		if len(got) > limit || !utf8.ValidString(got) || got != in && !strings.HasPrefix(in, strings.TrimSuffix(got, "…")) {
			t.Fatalf("%q in %d bytes is %q", in, limit, got)
		}
	})
}

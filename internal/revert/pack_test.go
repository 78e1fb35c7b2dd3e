// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/go-git/go-git/v5/storage/memory"
)

// pack makes a pack of one object that says it has size bytes and has those of
// content.
func pack(kind byte, size int, base, content []byte) []byte {
	var b bytes.Buffer
	b.WriteString("PACK")
	_ = binary.Write(&b, binary.BigEndian, [2]uint32{2, 1})
	first := kind<<4 | byte(size&0xf)
	for size >>= 4; size > 0; size >>= 7 {
		b.WriteByte(first | 0x80)
		first = byte(size & 0x7f)
	}
	b.WriteByte(first)
	b.Write(base)
	z := zlib.NewWriter(&b)
	_, _ = z.Write(content)
	_ = z.Close()
	sum := sha1.Sum(b.Bytes())
	b.Write(sum[:])
	return b.Bytes()
}

func TestALargePackIsRefused(t *testing.T) {
	t.Parallel()
	const blob, refDelta = 3, 7
	huge := []byte{5, 0x80, 0x80, 0x80, 0x80, 0x10, 1} // a delta: from 5 bytes to 4 GiB
	for name, tc := range map[string]struct {
		pack  []byte
		large bool
	}{
		"one that unpacks to much":        {pack(blob, 65<<20, nil, make([]byte, 65<<20)), true},
		"one that says less than it has":  {pack(blob, 10, nil, make([]byte, 1<<20)), false},
		"a delta that makes much":         {pack(refDelta, len(huge), make([]byte, 20), huge), true},
		"many objects":                    {append([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"), make([]byte, 20)...), true},
		"one that is sent for ever":       {make([]byte, maxPack+1), true},
		"nothing":                         {nil, false},
		"one that ends in the middle":     {pack(blob, 100, nil, make([]byte, 100))[:20], false},
		"one of a delta without its base": {pack(refDelta, 4, make([]byte, 20), []byte{5, 1, 1, 'x'}), false},
	} {
		err := unpack(memory.NewStorage(), bytes.NewReader(tc.pack))
		if err == nil || errors.Is(err, errTooLarge) != tc.large {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := unpack(memory.NewStorage(), bytes.NewReader(pack(blob, 5, nil, []byte("hello")))); err != nil {
		t.Errorf("a small one: %v", err)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		base, ours, theirs, want string
		conflict                 bool
	}{
		"only one changed":       {base: "a\nb\n", ours: "a\nb\n", theirs: "a\nc\n", want: "a\nc\n"},
		"far apart":              {base: "a\nb\nc\nd\n", ours: "A\nb\nc\nd\n", theirs: "a\nb\nc\nD\n", want: "A\nb\nc\nD\n"},
		"one inserted, one gone": {base: "a\nb\nc\nd\n", ours: "a\nx\nb\nc\nd\n", theirs: "a\nb\nc\n", want: "a\nx\nb\nc\n"},
		"the same":               {base: "a\nb\n", ours: "a\nc\n", theirs: "a\nc\n", want: "a\nc\n"},
		"the same line":          {base: "a\nb\n", ours: "a\nc\n", theirs: "a\nd\n", conflict: true},
		"next to each other":     {base: "a\nb\nc\n", ours: "a\nB\nc\n", theirs: "a\nb\nC\n", conflict: true},
		"inserted at one place":  {base: "a\nb\n", ours: "a\nx\nb\n", theirs: "a\ny\nb\n", conflict: true},
		"no newline at the end":  {base: "a\nb\nc", ours: "A\nb\nc", theirs: "a\nb\nd", want: "A\nb\nd"},
		"emptied":                {base: "a\nb\nc\n", ours: "a\nb\nc\n", theirs: "", want: ""},
		"not a text":             {base: "a\x00", ours: "b\x00", theirs: "c\x00", conflict: true},
	} {
		got, ok := merge(tc.base, tc.ours, tc.theirs)
		if ok == tc.conflict || ok && got != tc.want {
			t.Errorf("%s: %q, %t", name, got, ok)
		}
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, tc := range []struct {
		image, text string
		want        bool
	}{
		{"r.io/a/web:1.2", "image: r.io/a/web:1.2\n", true},
		{"r.io/a/web:1.2", `image: "r.io/a/web:1.2"`, true},
		{"r.io/a/web:1.2", "image: r.io/a/web:1.2.3\n", false},
		{"r.io/a/web:1.2", "image: r.io/a/web:1.2-rc\n", false},
		{"r.io/a/web:1.2", "image: xr.io/a/web:1.2\n", false},
		{"r.io/a/web:1.2", "image: r.io/a/web:1.2@" + digest + "\n", false},
		{"r.io/a/web", "image: r.io/a/web:1\n", false},
		{"r.io/a/web", "image: r.io/a/web\n", true},
		{"r.io/a/web@" + digest, "image: r.io/a/web@" + digest + "\n", true},
		{"r.io/a/web@" + digest, "- name: r.io/a/web\n  digest: " + digest + "\n", true},
		{"r.io:5000/web:1.2", "- name: web\n  newTag: \"1.2\"\n", true},
		{"r.io:5000/web:1.2", "- name: webshop\n  newTag: \"1.2\"\n", false},
		{"r.io/a/web:2", "repository: r.io/a/web\nreplicas: 2\n", false},
		{"r.io/a/web:2", "repository: r.io/a/web\ntag: 2\n", true},
		{"r.io/a/web:2", "repository: r.io/a/web\ntag: 20\n", false},
		{"", "image: x\n", false},
	} {
		im := parse(tc.image)
		if got := im.in(tc.text); got != tc.want {
			t.Errorf("%s in %q: %t", tc.image, tc.text, got)
		}
	}
}

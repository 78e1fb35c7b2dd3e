// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/storage/memory"

	"sluice.dev/sluice/internal/httpclient"
)

// The bounds of what is fetched: as it comes, and unpacked.
const (
	maxPack     = 24 << 20
	maxUnpacked = 64 << 20
	maxObjects  = 200_000
)

var errTooLarge = errors.New("too large")

// demultiplexed is the pack within an answer.
func demultiplexed(l *capability.List, r io.Reader) io.Reader {
	switch {
	case l.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, r)
	case l.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, r)
	}
	return r
}

// unpack stores the objects of a pack, if they are not too many and too large.
func unpack(store *memory.Storage, r io.Reader) error {
	pack, err := httpclient.ReadBody(r, maxPack)
	if errors.Is(err, httpclient.ErrTooLarge) {
		return fmt.Errorf("%w: more than %d MiB", errTooLarge, maxPack>>20)
	}
	if err != nil {
		return err
	}
	if err := measure(pack, maxUnpacked); err != nil {
		return err
	}
	if err := packfile.UpdateObjectStorage(store, bytes.NewReader(pack)); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

// measure reads a pack through without keeping anything, and refuses one that
// would not fit into limit bytes.
func measure(pack []byte, limit int64) error {
	s := packfile.NewScanner(bytes.NewReader(pack))
	_, objects, err := s.Header()
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if objects > maxObjects {
		return fmt.Errorf("%w: more than %d objects", errTooLarge, maxObjects)
	}
	total := int64(0)
	for range objects {
		n, err := weigh(s, limit-total)
		if err != nil {
			return err
		}
		if total += n; total > limit {
			return fmt.Errorf("%w: more than %d MiB unpacked", errTooLarge, limit>>20)
		}
	}
	return nil
}

// weigh reads one object through, if it says that it has no more than left
// bytes, and returns how many it takes.
func weigh(s *packfile.Scanner, left int64) (int64, error) {
	h, err := s.NextObjectHeader()
	if err != nil {
		return 0, fmt.Errorf("unpack: %w", err)
	}
	if h.Length < 0 || h.Length > left {
		return 0, fmt.Errorf("%w: an object of %d bytes where %d are left", errTooLarge, h.Length, left)
	}
	w := &meter{left: h.Length}
	if _, _, err := s.NextObject(w); err != nil {
		return 0, fmt.Errorf("unpack: %w", err)
	}
	if h.Type == plumbing.OFSDeltaObject || h.Type == plumbing.REFDeltaObject {
		return h.Length + grown(w.start), nil
	}
	return h.Length, nil
}

// A meter takes as many bytes as an object says that it has, and keeps the first.
type meter struct {
	left  int64
	start []byte
}

func (m *meter) Write(p []byte) (int, error) {
	if m.left -= int64(len(p)); m.left < 0 {
		return 0, errors.New("an object is longer than it says")
	}
	if n := 20 - len(m.start); n > 0 {
		m.start = append(m.start, p[:min(n, len(p))]...)
	}
	return len(p), nil
}

// grown is how long the object is that a delta makes: the second number in it.
func grown(delta []byte) int64 {
	var n int64
	for range 2 {
		n = 0
		for shift := 0; len(delta) > 0 && shift < 56; shift += 7 {
			b := delta[0]
			delta = delta[1:]
			n |= int64(b&0x7f) << shift
			if b < 0x80 {
				break
			}
		}
	}
	return n
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"testing"
)

func TestAPeerIsAProgramOrTheFolderOfMakePeer(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, tc := range map[string]struct{ given, want string }{
		"none":      {"", ""},
		"a program": {filepath.Join(folder, "other"), filepath.Join(folder, "other")},
		"a folder":  {folder, filepath.Join(folder, "rollouts-controller")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := parse([]string{"--peer", tc.given})
			if err != nil || o.Peer != tc.want {
				t.Errorf("peer %q, %v; want %q", o.Peer, err, tc.want)
			}
		})
	}
}

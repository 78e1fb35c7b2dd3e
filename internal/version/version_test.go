// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package version

import (
	"strings"
	"testing"
)

func TestString(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in   Info
		want string
	}{
		"everything is known": {
			in:   Info{Version: "v1.2.3", Commit: "0123456789", Date: "2026-01-02T03:04:05Z", GoVersion: "go1.26", Platform: "linux/amd64"},
			want: "v1.2.3+0123456 (2026-01-02T03:04:05Z) go1.26 linux/amd64",
		},
		"a short commit is not cut": {
			in:   Info{Version: "v1.2.3", Commit: "012", GoVersion: "go1.26", Platform: "linux/amd64"},
			want: "v1.2.3+012 go1.26 linux/amd64",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tc.in.String(); got != tc.want {
				t.Errorf("String() = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	if got := Get(); got.Version == "" || !strings.HasPrefix(got.GoVersion, "go") {
		t.Errorf("Get() = %+v, want a version and the Go version", got)
	}
}

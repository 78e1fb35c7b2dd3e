// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package pods_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/playground/pods"
)

func TestParse(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		image string
		want  pods.Behaviour
	}{
		"a plain version is healthy": {
			image: "registry.internal/payments/checkout:1.0.0",
			want:  pods.Behaviour{Version: "1.0.0"},
		},
		"errors are a percentage": {
			image: "registry.internal/payments/checkout:1.2.0-errors8",
			want:  pods.Behaviour{Version: "1.2.0", ErrorPercent: 8},
		},
		"a percentage may have a fraction": {
			image: "checkout:1.2.0-errors0.5",
			want:  pods.Behaviour{Version: "1.2.0", ErrorPercent: 0.5},
		},
		"words combine in any order": {
			image: "checkout:1.4.0-at50-errors25-for60",
			want:  pods.Behaviour{Version: "1.4.0", ErrorPercent: 25, AtPercent: 50, For: time.Minute},
		},
		"a second act": {
			image: "checkout:1.3.0-errors2-then6",
			want:  pods.Behaviour{Version: "1.3.0", ErrorPercent: 2, ThenPercent: 6},
		},
		"latency is in milliseconds": {
			image: "checkout:1.5.0-slow300-tail900",
			want:  pods.Behaviour{Version: "1.5.0", Slow: 300 * time.Millisecond, Tail: 900 * time.Millisecond},
		},
		"an unknown word belongs to the version": {
			image: "checkout:1.0.0-rc1-errors8-debug",
			want:  pods.Behaviour{Version: "1.0.0-rc1-debug", ErrorPercent: 8},
		},
		"a word alone is a version":     {image: "checkout:errors8", want: pods.Behaviour{Version: "errors8"}},
		"a share is at most everything": {image: "checkout:1-errors900", want: pods.Behaviour{Version: "1", ErrorPercent: 100}},
		"a duration is at most an hour": {image: "checkout:1-for99999999", want: pods.Behaviour{Version: "1", For: time.Hour}},
		"a broken number is a version":  {image: "checkout:1-errors8x", want: pods.Behaviour{Version: "1-errors8x"}},
		"a digest is ignored":           {image: "checkout:1-errors8@sha256:00", want: pods.Behaviour{Version: "1", ErrorPercent: 8}},
		"a port is not a tag":           {image: "registry:5000/checkout", want: pods.Behaviour{Version: "latest"}},
		"no tag is latest":              {image: "checkout", want: pods.Behaviour{Version: "latest"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, pods.Parse(tc.image)); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tc.image, diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("registry:5000/a/b:1.0.0-errors8-at50")
	f.Add(":-@")
	f.Fuzz(func(t *testing.T, image string) {
		b := pods.Parse(image)
		if b.ErrorPercent < 0 || b.ErrorPercent > 100 || b.AtPercent < 0 || b.AtPercent > 100 {
			t.Errorf("Parse(%q) = %+v, want percentages from 0 to 100", image, b)
		}
		if b.Slow < 0 || b.Tail < 0 || b.For < 0 {
			t.Errorf("Parse(%q) = %+v, want no negative time", image, b)
		}
	})
}

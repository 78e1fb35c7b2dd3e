// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package podtemplate_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"sluice.dev/sluice/internal/podtemplate"
)

func TestFind(t *testing.T) {
	t.Parallel()
	same := load(t, "full")
	podtemplate.Default(same)
	other := same.DeepCopy()
	other.Spec.Containers[0].Image = "example.org/app:2"
	canary := same.DeepCopy()
	canary.Labels["role"], canary.Annotations = "canary", map[string]string{"note": same.Annotations["note"], "seen": "yes"}

	at := func(minutes int) time.Time { return time.Unix(0, 0).Add(time.Duration(minutes) * time.Minute) }
	rs := func(name, hash string, minutes int, template *corev1.PodTemplateSpec) podtemplate.Candidate {
		return podtemplate.Candidate{Name: name, Hash: hash, Created: at(minutes), Template: template}
	}
	for name, tc := range map[string]struct {
		candidates []podtemplate.Candidate
		current    string
		want       int
		how        podtemplate.Match
	}{
		"nothing there": {want: -1},
		"nothing like it": {
			candidates: []podtemplate.Candidate{rs("a", "old", 0, other)}, want: -1,
		},
		"our hash and an equal template": {
			candidates: []podtemplate.Candidate{rs("a", "old", 0, other), rs("b", "own", 1, same)},
			want:       1, how: podtemplate.ByHash,
		},
		"an older hash is adopted": {
			candidates: []podtemplate.Candidate{rs("a", "old", 0, same), rs("b", "x", 1, other)},
			want:       0, how: podtemplate.ByTemplate,
		},
		"our hash wins over a newer twin": {
			candidates: []podtemplate.Candidate{rs("a", "own", 0, same), rs("b", "old", 1, same)},
			want:       0, how: podtemplate.ByHash,
		},
		"the revision that is current wins over its twin of our hash": {
			candidates: []podtemplate.Candidate{rs("a", "old", 0, same), rs("b", "own", 1, same)}, current: "old",
			want: 0, how: podtemplate.ByCurrent,
		},
		"our hash, and current, is taken at its word": {
			candidates: []podtemplate.Candidate{rs("a", "own", 0, other), rs("b", "old", 1, same)}, current: "own",
			want: 0, how: podtemplate.ByCurrent,
		},
		"the current revision is not kept when the template changed": {
			candidates: []podtemplate.Candidate{rs("a", "old", 0, other), rs("b", "x", 1, same)}, current: "old",
			want: 1, how: podtemplate.ByTemplate,
		},
		"of twins the newest": {
			candidates: []podtemplate.Candidate{rs("c", "1", 1, same), rs("b", "2", 2, same), rs("a", "3", 0, same)},
			want:       1, how: podtemplate.ByTemplate,
		},
		"of twins of one age the last by name": {
			candidates: []podtemplate.Candidate{rs("a", "1", 0, same), rs("c", "2", 0, same), rs("b", "3", 0, same)},
			want:       1, how: podtemplate.ByTemplate,
		},
		"our hash on a template that a webhook changed": {
			candidates: []podtemplate.Candidate{rs("a", "own", 0, other)},
			want:       0, how: podtemplate.ByLabel,
		},
		"an equal template wins over our hash on another template": {
			candidates: []podtemplate.Candidate{rs("a", "own", 9, other), rs("b", "old", 0, same)},
			want:       1, how: podtemplate.ByTemplate,
		},
		"without a label only the template counts": {
			candidates: []podtemplate.Candidate{rs("a", "", 0, same)},
			want:       0, how: podtemplate.ByTemplate,
		},
		"what the role added is not compared": {
			candidates: []podtemplate.Candidate{{Name: "a", Hash: "old", Template: canary, Injected: podtemplate.Metadata{
				Labels: map[string]string{"role": "canary"}, Annotations: map[string]string{"seen": "yes"},
			}}},
			want: 0, how: podtemplate.ByTemplate,
		},
		"what somebody changed after it was added is compared": {
			candidates: []podtemplate.Candidate{{Name: "a", Hash: "old", Template: canary, Injected: podtemplate.Metadata{
				Labels: map[string]string{"role": "stable"}, Annotations: map[string]string{"seen": "yes"},
			}}},
			want: -1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := podtemplate.Wanted{Template: load(t, "full"), Hash: "own", Current: tc.current}
			got, how := podtemplate.Find(want, tc.candidates)
			if got != tc.want || how != tc.how {
				t.Errorf("Find: got %d by %q, want %d by %q", got, how, tc.want, tc.how)
			}
		})
	}
}

func TestParseMetadata(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]podtemplate.Metadata{
		"":                             {},
		"{}":                           {},
		"not JSON":                     {},
		`{"labels":"wrong"}`:           {},
		`{"labels":{"role":"canary"}}`: {Labels: map[string]string{"role": "canary"}},
		`{"labels":{"a":"b"},"annotations":{"c":"d"}}`: {
			Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"},
		},
	} {
		if diff := cmp.Diff(want, podtemplate.ParseMetadata(text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

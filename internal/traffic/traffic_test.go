// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package traffic_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/internal/traffic"
)

func TestLatchIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]traffic.Latch{
		"":       {},
		"abc":    {Revision: "abc"},
		"abc/2":  {Revision: "abc", Attempt: 2},
		"abc/x":  {Revision: "abc"},
		"abc/-1": {Revision: "abc"},
		"abc/":   {Revision: "abc"},
	} {
		got := traffic.ParseLatch(text)
		if got != want {
			t.Errorf("ParseLatch(%q): got %+v, want %+v", text, got, want)
		}
		if again := traffic.ParseLatch(got.String()); again != want {
			t.Errorf("%+v written and read: got %+v", want, again)
		}
	}
}

func TestProblemsFindsEachOne(t *testing.T) {
	t.Parallel()
	a := &traffic.Problem{Object: "VirtualService a/b", Message: "not found", Field: "spec.x"}
	b := &traffic.Problem{Message: "too much", Field: "spec.y"}
	err := fmt.Errorf("outer: %w", errors.Join(a, errors.New("other"), fmt.Errorf("inner: %w", b)))
	if diff := cmp.Diff([]*traffic.Problem{a, b}, traffic.Problems(err)); diff != "" {
		t.Errorf("Problems (-want +got):\n%s", diff)
	}
	if got := traffic.Problems(errors.New("other")); got != nil {
		t.Errorf("Problems of an error that holds none: %v", got)
	}
	if got := traffic.Problems(nil); got != nil {
		t.Errorf("Problems of nil: %v", got)
	}
	for want, problem := range map[string]*traffic.Problem{
		"VirtualService a/b not found: spec.x": a,
		"too much: spec.y":                     b,
	} {
		if got := problem.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

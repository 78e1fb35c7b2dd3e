// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestMissingTests(t *testing.T) {
	t.Parallel()
	code := "func TestOne(t *testing.T) {\n}\nfunc FuzzTwo(f *testing.F) {\n}\n"
	if err := missingTests(code, map[string]string{"a.md": "held by `TestOne` and `FuzzTwo`, see `Testing`"}); err != nil {
		t.Error(err)
	}
	err := missingTests(code, map[string]string{"a.md": "held by `TestThree`"})
	if err == nil || !strings.Contains(err.Error(), "a.md names TestThree") {
		t.Errorf("got %v", err)
	}
}

func TestLoose(t *testing.T) {
	t.Parallel()
	good := "steps:\n  - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5\n  - uses: ./here\n"
	if err := loose("a.yml", good); err != nil {
		t.Error(err)
	}
	if err := loose("a.yml", "steps:\n  - uses: actions/checkout@v5\n"); err == nil || !strings.Contains(err.Error(), "actions/checkout@v5") {
		t.Errorf("got %v", err)
	}
}

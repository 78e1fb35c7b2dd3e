// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package docs_test

import (
	"os/exec"
	"testing"
)

func TestAScriptFailsWhenACommandDoes(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"true":                              true,
		"false":                             false,
		"true\nfalse\ntrue":                 false,
		"sh -c 'exit 3'  # exits with 3":    true,
		"sh -c 'exit 3'  # exits with 1":    false,
		"true  # exits with 1: it is lost":  false,
		"echo $nothing":                     false,
		"export x=1; echo \"$x\"  # prints": true,
		"tail -f /dev/null --watch":         false,
		"sh -c 'exec tail -f /dev/null' x --watch  # until it is stopped\ntrue": true,
		"true | false": false,
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script(text))
		cmd.Dir = t.TempDir()
		if out, err := cmd.CombinedOutput(); (err == nil) != ok {
			t.Errorf("%q: %v\n%s", text, err, out)
		}
	}
}

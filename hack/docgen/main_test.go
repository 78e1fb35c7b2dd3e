// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
)

func TestThePagesAreWhatTheCodeSays(t *testing.T) {
	t.Parallel()
	for _, p := range pages {
		want, err := p.text("../..")
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := os.ReadFile(p.path("../.."))
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("%s is out of date: run go generate ./cmd/sluice", p.file)
		}
	}
}

// What the generator must not lose, whatever the code looks like.
func TestThePagesHoldWhatPeopleLookFor(t *testing.T) {
	t.Parallel()
	for file, parts := range map[string][]string{
		"docs/reference/cli.md":                   {"## drill", "sluice promote", "| `--full` |", "-n`"},
		"docs/reference/flags.md":                 {"| `--leader-elect` | bool | `true` | A |", "| `--vault-address` | string |  |  |", "`--istio-version`", "`--metricsport`"},
		"docs/reference/api.md":                   {"## Rollout\n", "| `abortCondition` | string |", "| **`metrics`** |", "[CanaryStep](#canarystep)", "`steps`"},
		"docs/reference/values.md":                {"| `controller.replicas` | `2` |", "| `secretAccess.names` | `[datadog]` |", "controller.vault.address"},
		"docs/reference/conditions-and-events.md": {"| `AnalysisHold` |", "| `GateProven` |", "| `RolloutRecovered` |"},
		"docs/operations.md":                      {"| `sluice_notifications_lost_total` | counter | service |", "| `leader_election_master_status` | gauge | name |"},
	} {
		text, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s does not hold %q", file, part)
			}
		}
	}
}

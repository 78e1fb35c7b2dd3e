// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/playground/bench/audit"
)

// entry is a line of an audit log.
const entry = `{"stage":"STAGE","verb":"VERB","requestURI":"/x","user":{"username":"USER"},` +
	`"objectRef":{"resource":"RESOURCE","subresource":"SUB","name":"a"},"responseStatus":{"code":CODE},` +
	`"requestReceivedTimestamp":"2026-01-02T03:04:TIME.000000Z","stageTimestamp":"2026-01-02T03:04:TIME.500000Z"}`

func line(stage, verb, user, resource, sub, code, second string) string {
	return strings.NewReplacer("STAGE", stage, "VERB", verb, "USER", user, "RESOURCE", resource,
		"SUB", sub, "CODE", code, "TIME", second).Replace(entry)
}

func TestTheLogIsCounted(t *testing.T) {
	t.Parallel()
	lines := []string{
		line("ResponseComplete", "patch", "us", "rollouts", "status", "200", "01"), // too early
		line("ResponseComplete", "patch", "us", "rollouts", "status", "200", "11"),
		line("ResponseComplete", "patch", "us", "rollouts", "status", "409", "12"),
		line("RequestReceived", "patch", "us", "rollouts", "status", "0", "12"),
		line("ResponseComplete", "create", "us", "events", "", "201", "12"),
		line("ResponseComplete", "create", "us", "replicasets", "", "422", "12"),
		line("ResponseStarted", "watch", "us", "rollouts", "", "200", "13"),
		line("ResponseComplete", "update", "us", "leases", "", "200", "13"),
		line("ResponseComplete", "patch", "them", "rollouts", "status", "200", "13"),
		`{"stage":"ResponseComplete","user":{"username":"us"`, // still being written
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := audit.Read(path, "us", time.Date(2026, 1, 2, 3, 4, 10, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	want := audit.Tally{Requests: 3, Events: 1, Conflicts: 1, Errors: 1, Kinds: map[string]int{
		"patch rollouts/status": 2, "create events": 1, "create replicasets": 1, "watch rollouts": 1, "update leases": 1,
	}}
	got := audit.Count(entries)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Count (-want +got):\n%s", diff)
	}
	if first := got.Sorted()[0]; first != "patch rollouts/status" {
		t.Errorf("the most frequent kind is %q", first)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package cluster_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/cluster/nodes"
)

// TestManyPods is the load that the benchmarks put on the nodes, without the
// controller whose figures they are after. It logs what the stage itself costs.
func TestManyPods(t *testing.T) {
	const pods = 1500
	c := start(t, cluster.Options{}, nodes.Options{})
	client := clientOf(t, c.Config())
	began := time.Now()
	create(t, client, pods)
	waitReady(t, client, pods)
	t.Logf("%d pods were ready after %s", pods, time.Since(began).Round(time.Millisecond))
	waitEndpoints(t, client, pods)
	t.Logf("and in the EndpointSlices after %s", time.Since(began).Round(time.Millisecond))
	t.Log(costs(t, c.Dir()))

	began = time.Now()
	scale(t, client, 0)
	waitReady(t, client, 0)
	t.Logf("they were gone after %s", time.Since(began).Round(time.Millisecond))
}

// costs are the memory and the CPU time of each component.
func costs(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-e", "-o", "rss=,time=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, dir) {
			fields := strings.Fields(line)
			fmt.Fprintf(&b, "\n%10s KB %s %s", fields[0], fields[1], fields[2])
		}
	}
	return b.String()
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine describes where the figures come from. What cannot be found out is
// left out.
func machine() []string {
	cpu := valueOf("/proc/cpuinfo", "model name")
	if cpu == "" {
		cpu = runtime.GOARCH
	}
	line := fmt.Sprintf("%d cores of %s", runtime.NumCPU(), cpu)
	if memory := valueOf("/proc/meminfo", "MemTotal"); memory != "" {
		line += ", " + memory + " of memory"
	}
	system := runtime.GOOS
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		system += " " + strings.TrimSpace(string(data))
	}
	return []string{
		line + ", " + system + ", " + runtime.Version(),
		"all of the control plane, the simulated nodes, the controller and this program share them",
	}
}

// valueOf is the first value of a name in a file of "name: value" lines.
func valueOf(path, name string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

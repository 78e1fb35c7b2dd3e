// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version says which build this is. It does not compare versions.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set at link time with -ldflags "-X sluice.dev/sluice/internal/version.Version=v1.2.3".
var (
	// Version is the release, such as v1.2.3.
	Version = ""
	// Commit is the commit it was built from.
	Commit = ""
	// Date is when that was, as RFC 3339.
	Date = ""
)

// Info describes a build.
type Info struct {
	Version   string `json:"version"`
	Commit    string `json:"commit,omitempty"`
	Date      string `json:"date,omitempty"`
	GoVersion string `json:"goVersion"`
	Platform  string `json:"platform"`
}

// Get describes this build. What was not set at link time is taken from what
// the Go tool has recorded; the version is then v0.0.0-dev.
func Get() Info {
	info := Info{
		Version: Version, Commit: Commit, Date: Date,
		GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if info.Version == "" {
		info.Version = "v0.0.0-dev"
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	for _, s := range build.Settings {
		switch {
		case s.Key == "vcs.revision" && info.Commit == "":
			info.Commit = s.Value
		case s.Key == "vcs.time" && info.Date == "":
			info.Date = s.Value
		}
	}
	return info
}

// String is the build in one line.
func (i Info) String() string {
	s := i.Version
	if i.Commit != "" {
		s += "+" + i.Commit[:min(7, len(i.Commit))]
	}
	if i.Date != "" {
		s += fmt.Sprintf(" (%s)", i.Date)
	}
	return fmt.Sprintf("%s %s %s", s, i.GoVersion, i.Platform)
}

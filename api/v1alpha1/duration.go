// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "time"

// A DurationString is a length of time as Go writes it, such as "30s", "5m" or
// "1h30m". In templates it may hold {{args.name}}, which is filled in before it
// is read.
type DurationString string

// Duration parses the string. The empty string is zero.
func (d DurationString) Duration() (time.Duration, error) {
	if d == "" {
		return 0, nil
	}
	return time.ParseDuration(string(d))
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fit shortens texts for places that have a bound. Pure.
package fit

// Bytes returns s in at most limit bytes, which ends in "…" if something was
// cut off, and never within a character. limit is at least 3.
func Bytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const more = "…"
	cut := limit - len(more)
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + more
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package absent takes away what a release needs, one thing at a time: an object
// that the spec names, an answer of the provider, or the right to write. It
// checks what is said about it, that the traffic stays where it is safe, and
// that the release goes on by itself when the thing is back.
package absent

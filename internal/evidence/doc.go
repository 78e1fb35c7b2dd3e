// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package evidence makes one self-contained record of one attempt at a release:
// what changed, who began it, every step and weight with its time, every
// measurement with its limits, and the verdict.
//
// [Build] makes the [Record] out of API objects, and it is written as JSON, as
// one HTML page, as text or as a ZIP archive with all of them. The same objects
// give the same bytes. It reads nothing, keeps nothing and judges nothing.
//
// The layout of the JSON is published as docs/evidence.schema.json.
package evidence

//go:generate go run ../../hack/evidenceschema -in . -out ../../docs/evidence.schema.json

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"encoding/json"
	"fmt"
	"strings"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/act"
)

// CleanUp puts back exactly what the drill changed and removes its record, in
// one write. proof is kept with it, unless it is nil. What somebody else has
// changed since is left alone, and left says so. raw is the Rollout as it is
// now; the server refuses the patch when it has changed.
func CleanUp(raw []byte, r *Record, proof *Proof) (p act.Plan, left []string, err error) {
	doc, err := decode(raw)
	if err != nil {
		return p, nil, err
	}
	var ops []operation
	for _, e := range r.Edits {
		switch edited, original := e.state(doc); {
		case edited:
			ops = append(ops, e.revert())
		case !original:
			left = append(left, fmt.Sprintf("%s was changed by somebody else during the drill and is left as it is", field(e.Path)))
		}
	}
	if len(left) > 0 {
		ops = append(ops, unmark(doc, r)...)
	}
	if _, there := at(doc, "/metadata/annotations/"+escape(AnnotationRecord)); there {
		ops = append(ops, operation{Op: "remove", Path: "/metadata/annotations/" + escape(AnnotationRecord)})
	}
	if proof != nil {
		text, err := json.Marshal(proof)
		if err != nil {
			return p, nil, fmt.Errorf("encode the proof: %w", err)
		}
		ops = append(ops, annotation(doc, AnnotationProof, string(text))...)
	}
	if len(ops) == 0 {
		return p, left, nil
	}
	patch, err := fenced(doc, ops)
	if err != nil {
		return p, nil, err
	}
	p.Patches = []act.Patch{patch}
	return p, left, nil
}

// unmark takes the mark off a template whose annotations somebody else has
// changed as well.
func unmark(doc any, r *Record) []operation {
	path := "/spec/template/metadata/annotations/" + escape(v1alpha1.AnnotationDrill)
	for _, e := range r.Edits {
		if edited, _ := e.state(doc); edited && strings.HasSuffix(e.Path, "/annotations") {
			return nil
		}
	}
	if mark, ok := at(doc, path); ok && mark == r.ID {
		return []operation{{Op: "remove", Path: path}}
	}
	return nil
}

// field writes a JSON pointer as people write fields.
func field(path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", ".")
}

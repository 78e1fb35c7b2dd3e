// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/analysistemplate"
)

// A made gate is a Gate with what it is made of.
type made struct {
	Gate
	spec *v1alpha1.AnalysisTemplateSpec
}

// build finds what the gates of ro are made of.
func build(ro *v1alpha1.Rollout, lookup analysistemplate.Lookup) ([]made, error) {
	var out []made
	for _, p := range analyses(ro) {
		flat, err := analysistemplate.Flatten(p.analysis.Templates, lookup)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", Gate{Step: p.step}.Name(), err)
		}
		raw, err := json.Marshal([]any{p.analysis, flat})
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", Gate{Step: p.step}.Name(), err)
		}
		sum := sha256.Sum256(raw)
		out = append(out, made{Gate{p.step, hex.EncodeToString(sum[:6])}, flat})
	}
	return out, nil
}

// Gates are the gates of ro, each with the hash of its templates, arguments and
// limits. It is an error when a template cannot be found.
func Gates(ro *v1alpha1.Rollout, lookup analysistemplate.Lookup) ([]Gate, error) {
	all, err := build(ro, lookup)
	if err != nil {
		return nil, err
	}
	out := make([]Gate, 0, len(all))
	for _, m := range all {
		out = append(out, m.Gate)
	}
	return out, nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/json"
	"testing"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/drill"
)

func TestWhetherAGateWasProven(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	proof := func(o drill.Outcome) string {
		text, err := json.Marshal(drill.Proof{At: now.Add(-72 * time.Hour), Outcome: o, Why: "it let the bad version pass"})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, tc := range map[string]struct {
		gated              bool
		key, value, reason string
		want               string
		withoutTime        bool
	}{
		"no gate":       {},
		"never":         {gated: true, want: "never proven"},
		"proven":        {gated: true, key: drill.AnnotationProof, value: proof(drill.Proven), reason: drill.ReasonProven, want: "proven 3d ago"},
		"a still view":  {gated: true, key: drill.AnnotationProof, value: proof(drill.Proven), reason: drill.ReasonProven, want: "proven", withoutTime: true},
		"changed":       {gated: true, key: drill.AnnotationProof, value: proof(drill.Proven), reason: drill.ReasonChanged, want: "changed since it was proven 3d ago"},
		"not looked at": {gated: true, key: drill.AnnotationProof, value: proof(drill.Proven), want: "proven 3d ago; no controller has said whether it changed since"},
		"blind":         {gated: true, key: drill.AnnotationProof, value: proof(drill.Blind), reason: drill.ReasonBlind, want: "NOT proven: the drill 3d ago failed: it let the bad version pass"},
		"under way":     {gated: true, key: drill.AnnotationRecord, value: "{}", want: "a drill is under way, or was interrupted; drill --clean-up puts everything back"},
	} {
		ro := &v1alpha1.Rollout{}
		ro.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{}
		if tc.gated {
			ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{{Analysis: &v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: "x"}}}}}
		}
		ro.Annotations = map[string]string{tc.key: tc.value}
		if tc.reason != "" {
			ro.Status.Conditions = []v1alpha1.RolloutCondition{{Type: v1alpha1.RolloutGateProven, Reason: tc.reason}}
		}
		at := now
		if tc.withoutTime {
			at = time.Time{}
		}
		if got := Of(Objects{Rollout: ro}, at).Gate; got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

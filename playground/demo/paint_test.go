// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/view"
)

func TestHeadline(t *testing.T) {
	t.Parallel()
	steps := []view.Step{{Text: "10%"}, {Text: "2m"}, {Text: "analysis"}}
	metrics := func(last ...v1alpha1.AnalysisPhase) []view.Metric {
		var ms []view.Metric
		for _, l := range last {
			ms = append(ms, view.Metric{Last: l})
		}
		return ms
	}
	cases := map[string]struct {
		in   view.Rollout
		want string
	}{
		"a first version": {
			in:   view.Rollout{Phase: v1alpha1.RolloutPhaseHealthy, Steps: steps, Step: 3},
			want: "  0 %  step 3/3               Healthy",
		},
		"a weight is being set": {
			in:   view.Rollout{Phase: v1alpha1.RolloutPhaseProgressing, Steps: steps},
			want: "  0 %  step 0/3 weight 10%    Progressing",
		},
		"a pause": {
			in:   view.Rollout{Phase: v1alpha1.RolloutPhasePaused, Steps: steps, Step: 1, ActualWeight: 10},
			want: " 10 %  step 1/3 pause 2m      Paused",
		},
		"a gate and a guard at work": {
			in: view.Rollout{
				Phase: v1alpha1.RolloutPhaseProgressing, Steps: steps, Step: 2, ActualWeight: 10, Message: "waiting",
				Tree: []view.Revision{
					{Number: 2, Current: true, Runs: []view.AnalysisRun{
						{
							Kind: v1alpha1.RolloutTypeBackground, Phase: v1alpha1.AnalysisPhaseRunning,
							Metrics: metrics(v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseFailed),
						},
						{
							Kind: v1alpha1.RolloutTypeStep, Phase: v1alpha1.AnalysisPhaseRunning,
							Metrics: metrics(v1alpha1.AnalysisPhaseInconclusive, v1alpha1.AnalysisPhaseError, ""),
						},
					}},
					{Number: 1, Runs: []view.AnalysisRun{{Phase: v1alpha1.AnalysisPhaseFailed}}},
				},
			},
			want: " 10 %  step 2/3 analysis      Progressing  guard ✔✖ gate ?⚠· waiting",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, headline(tc.in)); diff != "" {
				t.Errorf("headline (-want +got):\n%s", diff)
			}
		})
	}
}

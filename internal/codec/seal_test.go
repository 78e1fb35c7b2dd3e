// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package codec_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/codec"
	"sluice.dev/sluice/internal/rollout"
)

var t0 = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC)

// written is a Rollout whose status this controller wrote, as the API server
// gives it back.
func written(t *testing.T) *v1alpha1.Rollout {
	t.Helper()
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: "web", Generation: 3}}
	own := 1
	codec.SetStatus(ro, rollout.Status{
		Stable: "v1", Current: "v2", Step: 1, OwnStep: &own, Attempt: 2, Waived: 2, Reason: "AnalysisFailed",
		Phase: rollout.Paused, Message: "CanaryPauseStep", Paused: true,
		Pauses:     []rollout.Pause{{Reason: rollout.PauseStep, Start: t0}},
		Conditions: []rollout.Condition{{Type: "Progressing", Status: "Unknown", Reason: "RolloutPaused", Message: "Rollout is paused", Updated: t0, Changed: t0}},
		Skipped:    []rollout.Skip{{Step: 0, What: "pause", At: t0}},
		Verdict:    &rollout.Verdict{Run: "web-v2-2", Message: "3 of 5 failed"},
	}, &rollout.Snapshot{Now: t0, Spec: rollout.Spec{Steps: make([]rollout.Step, 4)}})
	data, err := json.Marshal(ro)
	if err != nil {
		t.Fatal(err)
	}
	out := &v1alpha1.Rollout{}
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOurRecordCountsUntilAnotherControllerWrites(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*v1alpha1.RolloutStatus)
		foreign bool
		why     string // that the rollout was aborted
	}{
		"nobody has written since":              {change: func(*v1alpha1.RolloutStatus) {}},
		"a person has aborted it":               {change: func(s *v1alpha1.RolloutStatus) { s.Abort = true }},
		"a person has moved the step":           {change: func(s *v1alpha1.RolloutStatus) { s.CurrentStepIndex = new(int32(3)) }},
		"a person has promoted it":              {change: func(s *v1alpha1.RolloutStatus) { s.PauseConditions, s.ControllerPause = nil, false }},
		"a person has promoted it in full":      {change: func(s *v1alpha1.RolloutStatus) { s.PromoteFull = true }},
		"a version before the seal has written": {change: func(s *v1alpha1.RolloutStatus) { s.Sluice.Seal, s.Message = "", "another" }},
		"another controller has gone on": {
			change: func(s *v1alpha1.RolloutStatus) {
				s.CurrentStepIndex, s.Conditions[0].LastUpdateTime = new(int32(3)), metav1.NewTime(t0.Add(time.Minute))
			},
			foreign: true,
		},
		"another controller waits for pods": {
			change: func(s *v1alpha1.RolloutStatus) {
				s.Phase, s.Message = "Progressing", "more replicas need to be updated"
			},
			foreign: true,
		},
		"another controller has begun a release": {change: func(s *v1alpha1.RolloutStatus) { s.CurrentPodHash = "v3" }, foreign: true},
		"another controller has aborted it": {
			change: func(s *v1alpha1.RolloutStatus) {
				s.Abort, s.Phase = true, "Degraded"
				s.Message = "RolloutAborted: Rollout aborted update to revision 12: Metric \"errors\" assessed Failed: too many"
			},
			foreign: true, why: `Metric "errors" assessed Failed: too many`,
		},
		"another controller was told to abort it": {
			change: func(s *v1alpha1.RolloutStatus) {
				s.Abort, s.Phase, s.Message = true, "Degraded", "RolloutAborted: Rollout aborted update to revision 12"
			},
			foreign: true,
		},
		"another controller was there alone": {change: func(s *v1alpha1.RolloutStatus) { s.Sluice = nil }, foreign: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ro := written(t)
			tc.change(&ro.Status)
			alone := ro.Status.Sluice == nil
			got := codec.Status(ro)
			if got.Adopted != tc.foreign {
				t.Errorf("adopted is %v, want %v", got.Adopted, tc.foreign)
			}
			if ours := got.OwnStep != nil && len(got.Skipped) == 1 && got.Waived == 2 && got.Reason != ""; ours == tc.foreign {
				t.Errorf("our record counts: %v; it is %+v", ours, got)
			}
			if !alone && got.Attempt != 2 {
				t.Errorf("attempt %d, want 2 in any case", got.Attempt)
			}
			why := "3 of 5 failed"
			if tc.foreign {
				why = tc.why
			}
			said := ""
			if got.Verdict != nil {
				said = got.Verdict.Message
			}
			if diff := cmp.Diff(why, said); diff != "" {
				t.Errorf("the verdict (-want +got):\n%s", diff)
			}
		})
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package codec translates between the Rollout of the API and the types that
// package rollout decides on. It reads nothing but its arguments and decides
// nothing.
package codec

import (
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/fit"
	"sluice.dev/sluice/internal/rollout"
)

// Status returns the memory that ro's status holds. An index that was never
// written is 0.
func Status(ro *v1alpha1.Rollout) rollout.Status {
	in := &ro.Status
	st := rollout.Status{
		Stable:      rollout.Revision(in.StableRS),
		Current:     rollout.Revision(in.CurrentPodHash),
		StepsHash:   in.CurrentStepHash,
		Abort:       in.Abort,
		AbortedAt:   fromTime(in.AbortedAt),
		PromoteFull: in.PromoteFull,
		RestartedAt: fromTime(in.RestartedAt),
		Paused:      in.ControllerPause,
		StepRun:     fromRun(in.Canary.CurrentStepAnalysisRunStatus),
		Background:  fromRun(in.Canary.CurrentBackgroundAnalysisRunStatus),
		Phase:       rollout.Phase(in.Phase),
		Message:     in.Message,
		Counts: rollout.Counts{
			Replicas: in.Replicas, Updated: in.UpdatedReplicas,
			Ready: in.ReadyReplicas, Available: in.AvailableReplicas,
		},
	}
	if in.CurrentStepIndex != nil {
		st.Step, st.Known = int(*in.CurrentStepIndex), true
	}
	for _, p := range in.PauseConditions {
		st.Pauses = append(st.Pauses, rollout.Pause{Reason: string(p.Reason), Start: p.StartTime.Time})
	}
	for _, c := range in.Conditions {
		st.Conditions = append(st.Conditions, rollout.Condition{
			Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, Message: c.Message,
			Updated: c.LastUpdateTime.Time, Changed: c.LastTransitionTime.Time,
		})
	}
	if w := in.Canary.Weights; w != nil {
		st.Weights = &rollout.Weights{Stable: w.Stable.Weight, Canary: w.Canary.Weight}
	}
	if foreign(in) {
		adopt(&st, in)
		return st
	}
	fromSluice(&st, in.Sluice)
	return st
}

func fromSluice(st *rollout.Status, in *v1alpha1.SluiceStatus) {
	if in == nil {
		return
	}
	st.Attempt, st.Reason, st.Hold, st.Waived = in.Attempt, in.AbortReason, in.Hold, int(in.Waived)
	st.Holding, st.Adopted = slices.Clone(in.Holding), in.Adopted
	if in.Step != nil {
		own := int(*in.Step)
		st.OwnStep = &own
	}
	for _, k := range in.Skipped {
		st.Skipped = append(st.Skipped, rollout.Skip{Step: int(k.Step), What: k.What, At: fromTime(k.At)})
	}
	for _, h := range in.HandChanges {
		st.HandChanges = append(st.HandChanges, rollout.HandChange{Manager: h.Manager, Tool: h.Tool, At: h.At.Time, Fields: h.Fields, More: h.More})
	}
	if v := in.Verdict; v != nil {
		st.Verdict = &rollout.Verdict{
			Run: v.Run, Metric: v.Metric, Message: v.Message, Value: v.Value,
			Failed: v.Failed, Limit: v.Limit, At: fromTime(v.At),
		}
	}
}

// SetStatus writes st into ro's status, and leaves what package rollout does
// not know about as it is.
func SetStatus(ro *v1alpha1.Rollout, st rollout.Status, snap *rollout.Snapshot) {
	out := &ro.Status
	out.StableRS, out.CurrentPodHash, out.CurrentStepHash = string(st.Stable), string(st.Current), st.StepsHash
	out.Abort, out.AbortedAt, out.PromoteFull, out.ControllerPause = st.Abort, toTime(st.AbortedAt), st.PromoteFull, st.Paused
	out.Phase, out.Message = v1alpha1.RolloutPhase(st.Phase), st.Message
	out.Replicas, out.UpdatedReplicas = st.Counts.Replicas, st.Counts.Updated
	out.ReadyReplicas, out.AvailableReplicas = st.Counts.Ready, st.Counts.Available
	out.HPAReplicas = st.Counts.Replicas
	out.RestartedAt = toTime(st.RestartedAt)
	out.ObservedGeneration = strconv.FormatInt(ro.Generation, 10)
	if sel, err := metav1.LabelSelectorAsSelector(ro.Spec.Selector); err == nil && ro.Spec.Selector != nil {
		out.Selector = sel.String()
	}
	out.CurrentStepIndex = nil
	if len(snap.Spec.Steps) > 0 {
		out.CurrentStepIndex = new(int32(st.Step))
	}
	out.PauseConditions = nil
	for _, p := range st.Pauses {
		out.PauseConditions = append(out.PauseConditions, v1alpha1.PauseCondition{
			Reason: v1alpha1.PauseReason(p.Reason), StartTime: metav1.NewTime(p.Start),
		})
	}
	conditions := toConditions(st.Conditions)
	if c := unnotified(out, string(st.Current), snap.Now); c != nil {
		conditions = append(conditions, *c)
	}
	out.Conditions = conditions
	out.Canary.CurrentStepAnalysisRunStatus = toRun(st.StepRun)
	out.Canary.CurrentBackgroundAnalysisRunStatus = toRun(st.Background)
	out.Canary.Weights = weights(ro, st, snap)
	out.Sluice = toSluice(out.Sluice, st, snap.Now)
	out.Sluice.Seal = seal(out)
}

func toConditions(cs []rollout.Condition) []v1alpha1.RolloutCondition {
	out := make([]v1alpha1.RolloutCondition, 0, len(cs))
	for _, c := range cs {
		out = append(out, v1alpha1.RolloutCondition{
			Type: v1alpha1.RolloutConditionType(c.Type), Status: corev1.ConditionStatus(c.Status),
			Reason: c.Reason, Message: c.Message,
			LastUpdateTime: metav1.NewTime(c.Updated), LastTransitionTime: metav1.NewTime(c.Changed),
		})
	}
	return out
}

func weights(ro *v1alpha1.Rollout, st rollout.Status, snap *rollout.Snapshot) *v1alpha1.TrafficWeights {
	canary := ro.Spec.Strategy.Canary
	if st.Weights == nil || canary == nil || !snap.Spec.Routed {
		return nil
	}
	return &v1alpha1.TrafficWeights{
		Canary: v1alpha1.WeightDestination{
			Weight: st.Weights.Canary, ServiceName: canary.CanaryService, PodTemplateHash: string(snap.Services.Canary),
		},
		Stable: v1alpha1.WeightDestination{
			Weight: st.Weights.Stable, ServiceName: canary.StableService, PodTemplateHash: string(snap.Services.Stable),
		},
	}
}

// maxStoredMessage bounds a message in the status.
const maxStoredMessage = 1024

func toSluice(was *v1alpha1.SluiceStatus, st rollout.Status, now time.Time) *v1alpha1.SluiceStatus {
	out := &v1alpha1.SluiceStatus{Attempt: st.Attempt, AbortReason: st.Reason, Hold: Clip(st.Hold), Holding: st.Holding, Waived: int32(st.Waived), Adopted: st.Adopted}
	if was != nil {
		out.Attempts, out.Outbox = was.Attempts, was.Outbox
	}
	if st.Hold != "" {
		out.HoldingSince = toTime(now)
		if was != nil && was.HoldingSince != nil {
			out.HoldingSince = was.HoldingSince
		}
	}
	if st.OwnStep != nil {
		out.Step = new(int32(*st.OwnStep))
	}
	for _, k := range st.Skipped {
		out.Skipped = append(out.Skipped, v1alpha1.SkippedStep{Step: int32(k.Step), What: k.What, By: skippedBy(was, k), At: toTime(k.At)})
	}
	for _, h := range st.HandChanges {
		out.HandChanges = append(out.HandChanges, v1alpha1.HandChange{Manager: h.Manager, Tool: h.Tool, At: metav1.NewTime(h.At), Fields: h.Fields, More: h.More})
	}
	if v := st.Verdict; v != nil {
		out.Verdict = toVerdict(v)
	}
	return out
}

func toVerdict(v *rollout.Verdict) *v1alpha1.AnalysisVerdict {
	return &v1alpha1.AnalysisVerdict{
		Run: v.Run, Metric: v.Metric, Message: Clip(v.Message), Value: Clip(v.Value),
		Failed: v.Failed, Limit: v.Limit, At: toTime(v.At),
	}
}

// skippedBy keeps the name that an earlier write recorded for k.
func skippedBy(was *v1alpha1.SluiceStatus, k rollout.Skip) string {
	if was == nil {
		return ""
	}
	for _, o := range was.Skipped {
		if int(o.Step) == k.Step && o.What == k.What && fromTime(o.At).Equal(k.At) {
			return o.By
		}
	}
	return ""
}

func fromRun(in *v1alpha1.RolloutAnalysisRunStatus) *rollout.RunRef {
	if in == nil || in.Name == "" {
		return nil
	}
	return &rollout.RunRef{Name: in.Name, Phase: rollout.RunPhase(in.Status), Message: in.Message}
}

func toRun(in *rollout.RunRef) *v1alpha1.RolloutAnalysisRunStatus {
	if in == nil {
		return nil
	}
	return &v1alpha1.RolloutAnalysisRunStatus{Name: in.Name, Status: v1alpha1.AnalysisPhase(in.Phase), Message: Clip(in.Message)}
}

func fromTime(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

func toTime(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return new(metav1.NewTime(t))
}

// Clip bounds a message, for the status or an event, without cutting a
// character in two. The API server refuses an event that is longer.
func Clip(s string) string { return fit.Bytes(s, maxStoredMessage) }

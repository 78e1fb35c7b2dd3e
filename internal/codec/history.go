// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/fit"
	"sluice.dev/sluice/internal/rollout"
)

const (
	// maxAttempts is how many attempts the status keeps: the one at work, and
	// two that may not have been taken down elsewhere yet.
	maxAttempts = 3
	// maxMarks is how many marks of one attempt are kept; maxMarkText bounds
	// the text of one.
	maxMarks    = 80
	maxMarkText = 200
)

// Moved is traffic that was moved before the status is written, as aborts do.
type Moved struct {
	Canary int32
	At     time.Time
}

// Chronicle writes into ro's status what plan does to the attempt at work. It
// goes with a write that is due anyway: it is never the reason for one. A
// weight is dated when it is asked of the router, which follows at once, or when
// it was moved already.
func Chronicle(ro *v1alpha1.Rollout, plan *rollout.Plan, snap *rollout.Snapshot, moved *Moved) {
	if ro.Status.Sluice == nil {
		return
	}
	st, now := &plan.Status, metav1.NewMicroTime(snap.Now.Truncate(time.Microsecond))
	all := slices.Clone(ro.Status.Sluice.Attempts)
	last := func() *v1alpha1.RolloutAttempt {
		if len(all) == 0 {
			return nil
		}
		return &all[len(all)-1]
	}
	if a := last(); a != nil && a.EndedAt == nil && !at(a, st) {
		*a = ended(*a, v1alpha1.OutcomeSuperseded, now)
		a.Message = supersededBy(ro, st)
	}
	if climbs := st.Stable != "" && st.Current != st.Stable; climbs && !at(last(), st) {
		all = append(all, begun(ro, st, snap, now))
	}
	if a := last(); at(a, st) {
		if a.EndedAt == nil {
			a.Skipped = skipsSince(ro.Status.Sluice.Skipped, a.StartedAt.Time)
		}
		*a = follow(*a, plan, snap, now, moved)
	}
	ro.Status.Sluice.Attempts = all[max(0, len(all)-maxAttempts):]
}

// at reports whether st is about the attempt a.
func at(a *v1alpha1.RolloutAttempt, st *rollout.Status) bool {
	return a != nil && a.Hash == string(st.Current) && a.Attempt == st.Attempt
}

func supersededBy(ro *v1alpha1.Rollout, st *rollout.Status) string {
	if st.Current == st.Stable {
		return "the template went back to that of the stable revision"
	}
	if a := ro.Status.Sluice.Attempts; a[len(a)-1].Hash == string(st.Current) {
		return "a new attempt was started"
	}
	return "a new template replaced this one"
}

// begun is an attempt that begins now.
func begun(ro *v1alpha1.Rollout, st *rollout.Status, snap *rollout.Snapshot, now metav1.MicroTime) v1alpha1.RolloutAttempt {
	a := v1alpha1.RolloutAttempt{
		Hash: string(st.Current), Attempt: st.Attempt, Stable: string(st.Stable), StartedAt: now,
		StartedBy: short(ro.Annotations[v1alpha1.AnnotationStartedBy]), Commit: short(ro.Annotations[v1alpha1.AnnotationCommit]),
	}
	if m := TemplateManager(ro.ManagedFields); m != nil && st.Attempt == 1 {
		a.Manager = m.Manager
	}
	if snap.Spec.MaxWeight != v1alpha1.DefaultMaxTrafficWeight {
		a.MaxWeight = snap.Spec.MaxWeight
	}
	return a
}

// follow adds to a what plan does.
func follow(a v1alpha1.RolloutAttempt, plan *rollout.Plan, snap *rollout.Snapshot, now metav1.MicroTime, moved *Moved) v1alpha1.RolloutAttempt {
	st := &plan.Status
	a.Marks = slices.Clone(a.Marks)
	if a.EndedAt != nil {
		if a.Outcome == v1alpha1.OutcomeAborted && st.Abort {
			weigh(&a, plan, snap, now, moved) // stable may have to grow first
		}
		return a
	}
	if n := snap.Pools[st.Current].Number; n > 0 {
		a.Revision = n
	}
	stable := st.Current == st.Stable
	if !st.Abort {
		markStep(&a, st, snap, now)
	}
	weigh(&a, plan, snap, now, moved)
	switch {
	case stable:
		return ended(a, v1alpha1.OutcomePromoted, now)
	case st.Abort:
		a = ended(a, v1alpha1.OutcomeAborted, now)
		a.Reason, a.Message = st.Reason, Clip(st.Message)
		if v := st.Verdict; v != nil {
			a.Verdict = toVerdict(v)
		}
		return a
	}
	markWait(&a, st, snap, now)
	return a
}

func ended(a v1alpha1.RolloutAttempt, outcome string, now metav1.MicroTime) v1alpha1.RolloutAttempt {
	a.EndedAt, a.Outcome = &now, outcome
	return a
}

// skipsSince are the skips of this attempt.
func skipsSince(all []v1alpha1.SkippedStep, since time.Time) []v1alpha1.SkippedStep {
	var out []v1alpha1.SkippedStep
	for i := range all {
		if at := fromTime(all[i].At); !at.Before(since.Truncate(time.Second)) {
			out = append(out, *all[i].DeepCopy())
		}
	}
	return out
}

func markStep(a *v1alpha1.RolloutAttempt, st *rollout.Status, snap *rollout.Snapshot, now metav1.MicroTime) {
	if last := lastMark(a, v1alpha1.MarkStep); last != nil && int(last.Value) == st.Step {
		return
	}
	text := "all steps are done"
	if st.Step < len(snap.Spec.Steps) {
		text = stepText(snap.Spec.Steps[st.Step])
	}
	mark(a, v1alpha1.AttemptMark{At: now, Kind: v1alpha1.MarkStep, Value: int32(st.Step), Text: text})
}

func stepText(s rollout.Step) string {
	switch s.Kind {
	case rollout.StepSetWeight:
		return fmt.Sprintf("%s %d", s.Kind, s.Weight)
	case rollout.StepPause:
		if s.Duration > 0 {
			return fmt.Sprintf("%s %s", s.Kind, s.Duration)
		}
		return string(s.Kind) + " until somebody promotes"
	case rollout.StepAnalysis:
	}
	return string(s.Kind)
}

// markWeight notes the weight that is asked for, or that was seen. Without a
// router it is the canary's share of the available pods when a step begins.
func markWeight(a *v1alpha1.RolloutAttempt, plan *rollout.Plan, snap *rollout.Snapshot, now metav1.MicroTime) {
	w, known := routed(plan, snap)
	if !snap.Spec.Routed {
		st, step := &plan.Status, lastMark(a, v1alpha1.MarkStep)
		begins := step == nil || step.At.Equal(&now)
		if w, known = podShare(snap, st.Current); !begins && !st.Abort && st.Current != st.Stable {
			return
		}
	}
	was := int32(0)
	if last := lastMark(a, v1alpha1.MarkWeight); last != nil {
		was = last.Value
	}
	if known && w != was {
		mark(a, v1alpha1.AttemptMark{At: now, Kind: v1alpha1.MarkWeight, Value: w})
	}
}

// routed is the weight of the current revision by the router.
func routed(plan *rollout.Plan, snap *rollout.Snapshot) (w int32, known bool) {
	switch st := &plan.Status; {
	case st.Current == st.Stable:
		return snap.Spec.MaxWeight, true
	case plan.Weights != nil:
		return plan.Weights.Canary, true
	case snap.Router != nil:
		return snap.Router.Weights.Canary, true
	}
	return 0, false
}

// weigh notes the weight that was moved, or else what markWeight does.
func weigh(a *v1alpha1.RolloutAttempt, plan *rollout.Plan, snap *rollout.Snapshot, now metav1.MicroTime, moved *Moved) {
	if moved == nil {
		markWeight(a, plan, snap, now)
		return
	}
	at := metav1.NewMicroTime(moved.At.Truncate(time.Microsecond))
	if last := lastMark(a, v1alpha1.MarkWeight); last != nil && last.Value != moved.Canary {
		mark(a, v1alpha1.AttemptMark{At: at, Kind: v1alpha1.MarkWeight, Value: moved.Canary})
	}
}

func podShare(snap *rollout.Snapshot, r rollout.Revision) (int32, bool) {
	all := int32(0)
	for _, p := range snap.Pools {
		all += p.Available
	}
	if all == 0 {
		return 0, false
	}
	return (snap.Pools[r].Available*snap.Spec.MaxWeight + all/2) / all, true
}

// markWait notes that the attempt begins or ceases to wait for data or people.
func markWait(a *v1alpha1.RolloutAttempt, st *rollout.Status, snap *rollout.Snapshot, now metav1.MicroTime) {
	if last := lastMark(a, v1alpha1.MarkHold); (last != nil && last.Text != "") != (st.Hold != "") {
		mark(a, v1alpha1.AttemptMark{At: now, Kind: v1alpha1.MarkHold, Text: short(st.Hold)})
	}
	why := ""
	if snap.Spec.Paused {
		why = "by a person"
	}
	for _, p := range st.Pauses {
		if p.Reason != rollout.PauseStep {
			why = p.Reason
		}
	}
	last := lastMark(a, v1alpha1.MarkPaused, v1alpha1.MarkResumed)
	paused := last != nil && last.Kind == v1alpha1.MarkPaused
	switch {
	case why != "" && !paused:
		mark(a, v1alpha1.AttemptMark{At: now, Kind: v1alpha1.MarkPaused, Text: short(why)})
	case why == "" && paused:
		mark(a, v1alpha1.AttemptMark{At: now, Kind: v1alpha1.MarkResumed})
	}
}

func lastMark(a *v1alpha1.RolloutAttempt, kinds ...string) *v1alpha1.AttemptMark {
	for i := len(a.Marks) - 1; i >= 0; i-- {
		if slices.Contains(kinds, a.Marks[i].Kind) {
			return &a.Marks[i]
		}
	}
	return nil
}

// mark adds m. When there are too many, the oldest waits go first, then the
// oldest of the rest.
func mark(a *v1alpha1.RolloutAttempt, m v1alpha1.AttemptMark) {
	a.Marks = append(a.Marks, m)
	for len(a.Marks) > maxMarks {
		i := slices.IndexFunc(a.Marks, func(m v1alpha1.AttemptMark) bool {
			return m.Kind != v1alpha1.MarkStep && m.Kind != v1alpha1.MarkWeight
		})
		i = max(0, i)
		a.Marks = slices.Delete(a.Marks, i, i+1)
		a.Dropped++
	}
}

func short(s string) string { return fit.Bytes(s, maxMarkText) }

// TemplateManager is who changed the pod template last, according to the
// managed fields of a Rollout, or nil. An entry without fields stands for one
// that was found to be it before.
func TemplateManager(entries []metav1.ManagedFieldsEntry) *metav1.ManagedFieldsEntry {
	var found *metav1.ManagedFieldsEntry
	for i := range entries {
		e := &entries[i]
		if e.Subresource != "" || e.FieldsV1 != nil && !bytes.Contains(e.FieldsV1.GetRawBytes(), []byte(`"f:template":`)) {
			continue
		}
		if found == nil || e.Time != nil && (found.Time == nil || found.Time.Before(e.Time)) {
			found = e
		}
	}
	return found
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SluiceStatus is what this controller records in a Rollout's status beyond the
// fields that Argo Rollouts has. Argo Rollouts ignores it.
type SluiceStatus struct {
	// attempt counts the tries of the current revision, from 1; a retry adds
	// one. AnalysisRuns of earlier attempts are ignored.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// abortReason is why the revision was aborted, in one word.
	// +optional
	AbortReason string `json:"abortReason,omitempty"`
	// verdict is the failed analysis that aborted the revision.
	// +optional
	Verdict *AnalysisVerdict `json:"verdict,omitempty"`
	// skipped are the gates and steps that somebody jumped over, newest last. At
	// most 50 are kept.
	// +optional
	Skipped []SkippedStep `json:"skipped,omitempty"`
	// holdingSince is when a gate began to hold the revision without a verdict.
	// +optional
	HoldingSince *metav1.Time `json:"holdingSince,omitempty"`
	// hold says which metric holds and why.
	// +optional
	Hold string `json:"hold,omitempty"`
	// holding are the AnalysisRuns that hold the revision now. Of each hold an
	// event tells once.
	// +optional
	Holding []string `json:"holding,omitempty"`
	// step is the step index that the controller wrote last. A different
	// currentStepIndex was written by somebody else.
	// +optional
	Step *int32 `json:"step,omitempty"`
	// waived is the number of steps for which somebody waived the background
	// analysis while it held; 0 if nobody did.
	// +optional
	Waived int32 `json:"waived,omitempty"`
	// adopted says that another controller has worked on this attempt, so that
	// AnalysisRuns which name no attempt belong to it.
	// +optional
	Adopted bool `json:"adopted,omitempty"`
	// seal changes with what only a controller writes into the status. One that
	// does not fit says that another controller has written since, and that the
	// rest of this record is out of date.
	// +optional
	Seal string `json:"seal,omitempty"`
	// attempts are the newest attempts at releases, oldest first: what happened
	// in them and when. Those that ended are kept until newer ones push them out.
	// +optional
	Attempts []RolloutAttempt `json:"attempts,omitempty"`
	// handChanges are the changes of the spec that were not made by the GitOps
	// tool which had written it, since that wrote it last; the newest first. At
	// most 5 are kept.
	// +optional
	HandChanges []HandChange `json:"handChanges,omitempty"`
	// outbox is what is to be told about the Rollout.
	// +optional
	Outbox *Outbox `json:"outbox,omitempty"`
}

// HandChange is a change of the spec by something else than the GitOps tool that
// had written it, as the managed fields tell.
type HandChange struct {
	// manager is the field manager that made it: the program, such as
	// kubectl-edit, not the person.
	Manager string `json:"manager"`
	// at is when, to the second.
	At metav1.Time `json:"at"`
	// fields are what it changed and the tool does not own, such as
	// spec.template.spec.containers. At most 10 are named.
	// +optional
	Fields []string `json:"fields,omitempty"`
	// more says that it changed more fields than those.
	// +optional
	More bool `json:"more,omitempty"`
	// tool is the field manager of the GitOps tool, such as argocd-controller.
	Tool string `json:"tool"`
}

// RolloutAttempt is what happened in one attempt at a release, and when. It is
// written along with the status and never by itself.
type RolloutAttempt struct {
	// hash is the pod-template hash of the revision.
	Hash string `json:"hash"`
	// revision is its number; 0 until it has a ReplicaSet.
	// +optional
	Revision int64 `json:"revision,omitempty"`
	// attempt counts the tries of the revision, from 1.
	Attempt int32 `json:"attempt"`
	// stable is the pod-template hash of the revision that it was to replace.
	// +optional
	Stable string `json:"stable,omitempty"`
	// startedAt is when it began.
	StartedAt metav1.MicroTime `json:"startedAt"`
	// startedBy is what the Rollout's annotation sluice.dev/started-by said then.
	// +optional
	StartedBy string `json:"startedBy,omitempty"`
	// commit is what the Rollout's annotation sluice.dev/commit said then.
	// +optional
	Commit string `json:"commit,omitempty"`
	// manager is the field manager that had changed the pod template last, such
	// as argocd-controller. It is not known of a retry.
	// +optional
	Manager string `json:"manager,omitempty"`
	// maxWeight is the weight that means all traffic, if it is not 100.
	// +optional
	MaxWeight int32 `json:"maxWeight,omitempty"`
	// marks are what happened, oldest first.
	// +optional
	Marks []AttemptMark `json:"marks,omitempty"`
	// dropped is the number of marks that there was no room for.
	// +optional
	Dropped int32 `json:"dropped,omitempty"`
	// endedAt is when it ended.
	// +optional
	EndedAt *metav1.MicroTime `json:"endedAt,omitempty"`
	// outcome is how it ended: Promoted, Aborted or Superseded.
	// +optional
	Outcome string `json:"outcome,omitempty"`
	// reason is why it was aborted, in one word.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message says in a sentence why it ended.
	// +optional
	Message string `json:"message,omitempty"`
	// verdict is the failed analysis that ended it.
	// +optional
	Verdict *AnalysisVerdict `json:"verdict,omitempty"`
	// skipped are the gates and steps that somebody jumped over in it.
	// +optional
	Skipped []SkippedStep `json:"skipped,omitempty"`
}

// AttemptMark is one thing that happened in an attempt.
type AttemptMark struct {
	// at is when.
	At metav1.MicroTime `json:"at"`
	// kind is Step, Weight, Hold, Paused or Resumed.
	Kind string `json:"kind"`
	// value is the index of the step, or the canary's weight.
	// +optional
	Value int32 `json:"value,omitempty"`
	// text says more: what the step is, or what holds; a Hold without text is
	// over.
	// +optional
	Text string `json:"text,omitempty"`
}

// The outcomes of a RolloutAttempt.
const (
	OutcomePromoted   = "Promoted"
	OutcomeAborted    = "Aborted"
	OutcomeSuperseded = "Superseded"
)

// The kinds of AttemptMark.
const (
	MarkStep    = "Step"
	MarkWeight  = "Weight"
	MarkHold    = "Hold"
	MarkPaused  = "Paused"
	MarkResumed = "Resumed"
)

// AnalysisVerdict is why an analysis failed, recorded by the same write that
// aborts the Rollout.
type AnalysisVerdict struct {
	// run is the AnalysisRun.
	Run string `json:"run"`
	// metric that decided.
	// +optional
	Metric string `json:"metric,omitempty"`
	// message for people.
	// +optional
	Message string `json:"message,omitempty"`
	// failed is the number of failed measurements that counted.
	// +optional
	Failed int32 `json:"failed,omitempty"`
	// limit is the number of failed measurements that was allowed.
	// +optional
	Limit int32 `json:"limit,omitempty"`
	// value is the last measured value.
	// +optional
	Value string `json:"value,omitempty"`
	// at is when the verdict was reached.
	// +optional
	At *metav1.Time `json:"at,omitempty"`
}

// SkippedStep records that somebody jumped over a gate or a step.
type SkippedStep struct {
	// step is the index of the step, from 0.
	Step int32 `json:"step"`
	// what was skipped, such as the name of the run or "pause".
	// +optional
	What string `json:"what,omitempty"`
	// by is the field manager that the API server recorded for it: the program,
	// such as kubectl-argo-rollouts or argocd-server, not the person. It is left
	// out when nothing was recorded, as for a pause that was cleared.
	// +optional
	By string `json:"by,omitempty"`
	// at is when it was seen.
	// +optional
	At *metav1.Time `json:"at,omitempty"`
}

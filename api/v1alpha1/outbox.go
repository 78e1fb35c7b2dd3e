// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Outbox is what is to be told about a Rollout, and who has been told. A notice
// is added by the write that makes it true, so neither exists without the other.
type Outbox struct {
	// last is the number of the newest notice.
	// +optional
	Last int64 `json:"last,omitempty"`
	// notices that somebody is still to be told, oldest first. At most 40 are
	// kept.
	// +optional
	Notices []Notice `json:"notices,omitempty"`
	// lanes say how far each recipient has been told.
	// +optional
	Lanes []NoticeLane `json:"lanes,omitempty"`
	// aborts are the attempts that were aborted since the Rollout was Healthy
	// last, as "hash:attempt". At most 10 are kept.
	// +optional
	Aborts []string `json:"aborts,omitempty"`
	// dead are the notices that were given up, newest last. At most 10 are kept.
	// +optional
	Dead []DeadNotice `json:"dead,omitempty"`
}

// Notice is something that happened to a Rollout and that somebody is to be
// told.
type Notice struct {
	// number of the notice; later ones have higher numbers.
	Number int64 `json:"number"`
	// reason is what happened, in one word, such as RolloutAborted. The trigger
	// is named after it: on-rollout-aborted.
	Reason string `json:"reason"`
	// message for people.
	// +optional
	Message string `json:"message,omitempty"`
	// at is when it happened.
	At metav1.Time `json:"at"`
	// revision is the pod-template hash of the revision it happened to.
	// +optional
	Revision string `json:"revision,omitempty"`
	// attempt at that revision.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// phase of the Rollout after it.
	// +optional
	Phase RolloutPhase `json:"phase,omitempty"`
	// run is the AnalysisRun that it is about.
	// +optional
	Run string `json:"run,omitempty"`
	// recovers are the aborted attempts that it makes good, as "hash:attempt".
	// +optional
	Recovers []string `json:"recovers,omitempty"`
}

// NoticeLane is how far one recipient has been told.
type NoticeLane struct {
	// to is the service and the recipient, such as "slack:releases".
	To string `json:"to"`
	// number of the notice that was told last.
	// +optional
	Number int64 `json:"number,omitempty"`
	// parts is how many messages of that notice were sent.
	// +optional
	Parts int32 `json:"parts,omitempty"`
	// sendingSince is when a message began to be sent that must not be sent
	// twice. It is removed when its fate is known.
	// +optional
	SendingSince *metav1.Time `json:"sendingSince,omitempty"`
	// once are hashes of what was told and is not to be told again, oldest
	// first. At most 20 are kept.
	// +optional
	Once []string `json:"once,omitempty"`
}

// DeadNotice is a notice that a recipient was never told.
type DeadNotice struct {
	// number of the notice.
	Number int64 `json:"number"`
	// reason of the notice.
	Reason string `json:"reason"`
	// revision that it is about.
	// +optional
	Revision string `json:"revision,omitempty"`
	// to is the service and the recipient; empty when nobody was told.
	// +optional
	To string `json:"to,omitempty"`
	// why it could not be told.
	// +optional
	Why string `json:"why,omitempty"`
	// at is when it was given up.
	At metav1.Time `json:"at"`
}

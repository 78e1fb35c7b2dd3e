// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import "time"

// Version is the version of a Record's layout. It grows when a field changes its
// meaning or goes away; new fields may come without.
const Version = 1

// A Record is all that is known of one attempt at a release.
type Record struct {
	// version of this layout.
	Version int `json:"version"`
	// namespace of the Rollout.
	Namespace string `json:"namespace"`
	// rollout is its name.
	Rollout string `json:"rollout"`
	// uid of the Rollout.
	UID string `json:"uid,omitempty"`
	// revision is the number of the revision that was released.
	Revision int64 `json:"revision"`
	// attempt counts the tries of that revision, from 1.
	Attempt int32 `json:"attempt"`
	// outcome is Promoted, Aborted, Superseded or InProgress.
	Outcome string `json:"outcome"`
	// reason is why it was aborted, in one word.
	Reason string `json:"reason,omitempty"`
	// message is what the controller said when it ended.
	Message string `json:"message,omitempty"`
	// verdict says in sentences what happened and why.
	Verdict []string `json:"verdict"`
	// startedAt is when the attempt began.
	StartedAt time.Time `json:"startedAt,omitzero"`
	// endedAt is when it ended; absent while it goes on.
	EndedAt time.Time `json:"endedAt,omitzero"`
	// recordedAt is when this record was made.
	RecordedAt time.Time `json:"recordedAt"`
	// startedBy is who began it, as far as that is known.
	StartedBy Starter `json:"startedBy"`
	// change is what was released and what it was to replace.
	Change Change `json:"change"`
	// timeline is every step, weight and wait, oldest first.
	Timeline []Event `json:"timeline"`
	// skipped are the gates and steps that a person passed over.
	Skipped []Skip `json:"skipped,omitempty"`
	// requests is how many requests the canary served, if a metric counts them.
	Requests *Requests `json:"requests,omitempty"`
	// runs are the analyses, in the order in which they began.
	Runs []Run `json:"runs"`
	// missing says in sentences what this record lacks, and why.
	Missing []string `json:"missing,omitempty"`
}

// InProgress is the outcome of an attempt that has not ended.
const InProgress = "InProgress"

// A Starter is who began an attempt.
type Starter struct {
	// name is what the Rollout's annotation sluice.dev/started-by said.
	Name string `json:"name,omitempty"`
	// manager is the field manager that had changed the pod template last.
	Manager string `json:"manager,omitempty"`
	// retry says that a person tried an aborted revision again.
	Retry bool `json:"retry,omitempty"`
}

// A Change is what an attempt was to bring.
type Change struct {
	// commit is what the Rollout's annotation sluice.dev/commit said.
	Commit string `json:"commit,omitempty"`
	// from is the revision that was stable.
	From Revision `json:"from"`
	// to is the revision that was released.
	To Revision `json:"to"`
	// images are the containers whose image changed.
	Images []ImageChange `json:"images,omitempty"`
	// template are the fields of the pod template that differ, in order.
	Template []FieldChange `json:"template,omitempty"`
}

// A Revision is one version of the pod template.
type Revision struct {
	// number counts from 1; 0 when it is not known.
	Number int64 `json:"number,omitempty"`
	// hash is the pod-template hash.
	Hash string `json:"hash"`
	// replicaSet is the name of its ReplicaSet.
	ReplicaSet string `json:"replicaSet,omitempty"`
}

// An ImageChange is a container and its images before and after.
type ImageChange struct {
	// container is its name.
	Container string `json:"container"`
	// from is the stable image; absent for a new container.
	From string `json:"from,omitempty"`
	// to is the released image; absent for a container that is gone.
	To string `json:"to,omitempty"`
}

// A FieldChange is a field of the pod template before and after.
type FieldChange struct {
	// path of the field.
	Path string `json:"path"`
	// from is its value before, as JSON; absent when it is new.
	From string `json:"from,omitempty"`
	// to is its value after, as JSON; absent when it is gone.
	To string `json:"to,omitempty"`
	// hidden says that the values may be secret and are left out.
	Hidden bool `json:"hidden,omitempty"`
}

// An Event is one thing that happened.
type Event struct {
	// at is when.
	At time.Time `json:"at"`
	// kind is Step, Weight, Hold, HoldOver, Paused, Resumed, or an outcome.
	Kind string `json:"kind"`
	// step is the index of the step at work then, from 0.
	Step int `json:"step"`
	// weight is the canary's share of the traffic from then on, in percent.
	Weight float64 `json:"weight"`
	// text says more.
	Text string `json:"text,omitempty"`
}

// A Skip is a gate or step that was passed over.
type Skip struct {
	// step is its index, from 0.
	Step int `json:"step"`
	// what was skipped.
	What string `json:"what,omitempty"`
	// by is who did it, as far as that is known.
	By string `json:"by,omitempty"`
	// at is when it was seen.
	At time.Time `json:"at,omitzero"`
}

// Requests is how many requests the canary served: as one query over the whole
// attempt counts them, or at least, by the sum over measured windows that do not
// overlap.
type Requests struct {
	// served is how many there were.
	Served float64 `json:"served"`
	// failed is how many of them failed.
	Failed float64 `json:"failed"`
	// metric whose queries count them.
	Metric string `json:"metric"`
	// run that the metric belongs to.
	Run string `json:"run"`
	// from is when the counting began.
	From time.Time `json:"from"`
	// to is when it ended.
	To time.Time `json:"to"`
	// atLeast says that there may have been more: it is a sum over windows.
	AtLeast bool `json:"atLeast,omitempty"`
	// windows is how many were added up.
	Windows int `json:"windows,omitempty"`
	// gap is how many seconds between from and to no window covers.
	Gap float64 `json:"gap,omitempty"`
}

// A Run is one analysis.
type Run struct {
	// name of the AnalysisRun.
	Name string `json:"name"`
	// kind is Step or Background.
	Kind string `json:"kind,omitempty"`
	// step is the index of the step, from 0; -1 when it belongs to none.
	Step int `json:"step"`
	// phase it ended in.
	Phase string `json:"phase"`
	// message that it ended with.
	Message string `json:"message,omitempty"`
	// startedAt is when it began.
	StartedAt time.Time `json:"startedAt,omitzero"`
	// completedAt is when it ended.
	CompletedAt time.Time `json:"completedAt,omitzero"`
	// args are its arguments as name=value; a secret is hidden.
	Args []string `json:"args,omitempty"`
	// metrics are what it measured.
	Metrics []Metric `json:"metrics"`
}

// A Metric is one metric of a Run.
type Metric struct {
	// name of the metric.
	Name string `json:"name"`
	// phase it ended in.
	Phase string `json:"phase"`
	// message that it ended with.
	Message string `json:"message,omitempty"`
	// dryRun says that it did not decide.
	DryRun bool `json:"dryRun,omitempty"`
	// query is what was asked, without secrets.
	Query string `json:"query,omitempty"`
	// aggregator is what made one number of a window, such as last or sum.
	Aggregator string `json:"aggregator,omitempty"`
	// pass is the success condition.
	Pass string `json:"pass,omitempty"`
	// fail is the failure condition.
	Fail string `json:"fail,omitempty"`
	// abort is the condition on which one reading was enough.
	Abort string `json:"abort,omitempty"`
	// limits says in words how many readings of what kind were allowed.
	Limits string `json:"limits,omitempty"`
	// failureLimit is how many failures were allowed; negative for any number.
	FailureLimit int `json:"failureLimit"`
	// count is how many readings a pass needs; 0 when there is no such number.
	Count int `json:"count,omitempty"`
	// schedule says in words when it was measured.
	Schedule string `json:"schedule,omitempty"`
	// successful counts readings.
	Successful int32 `json:"successful"`
	// failed counts readings.
	Failed int32 `json:"failed"`
	// inconclusive counts readings.
	Inconclusive int32 `json:"inconclusive"`
	// errors counts measurements that gave no reading.
	Errors int32 `json:"errors"`
	// readings are the measurements that are kept, oldest first.
	Readings []Reading `json:"readings"`
	// dropped is how many measurements are not.
	Dropped int `json:"dropped,omitempty"`
}

// A Reading is one measurement.
type Reading struct {
	// at is when it was begun.
	At time.Time `json:"at"`
	// seconds is how long the provider took, in whole seconds.
	Seconds float64 `json:"seconds"`
	// phase is the judgement.
	Phase string `json:"phase"`
	// value is what was measured.
	Value string `json:"value,omitempty"`
	// reason is why it has its phase, in one word.
	Reason string `json:"reason,omitempty"`
	// message says more.
	Message string `json:"message,omitempty"`
	// from is where the window begins that the value was computed over.
	From time.Time `json:"from,omitzero"`
	// to is where it ends.
	To time.Time `json:"to,omitzero"`
	// counts are the events that each query of a formula has counted.
	Counts map[string]float64 `json:"counts,omitempty"`
	// notes are what the provider said besides.
	Notes map[string]string `json:"notes,omitempty"`
}

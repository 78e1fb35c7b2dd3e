// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout decides what a rollout should look like next.
//
// [Decide] is pure. Everything it may look at, the time included, arrives in a
// [Snapshot]; everything the controller must do leaves in a [Plan]. It reads no
// clock, client, environment variable or random source, so a Plan can be
// table-tested, model-checked and replayed from a recorded Snapshot. It does
// not judge measurements (package analysis does), and it does not know what a
// VirtualService is (package traffic does).
//
// Traffic and pods are keyed by [Revision], never by role: promoting a canary
// renames a role and moves nothing.
package rollout

import "time"

// A Revision names one version of the pod template by its pod-template hash.
type Revision string

// StepKind says what a step of the canary strategy does.
type StepKind string

// The kinds of step.
const (
	StepSetWeight StepKind = "setWeight"
	StepPause     StepKind = "pause"
	StepAnalysis  StepKind = "analysis"
)

// A Step is one entry of the canary strategy.
type Step struct {
	Kind StepKind
	// Weight is the share of traffic for the canary, for StepSetWeight: 0 to
	// Spec.MaxWeight.
	Weight int32
	// Duration is how long a StepPause lasts; zero is until somebody promotes.
	Duration time.Duration
}

// A Spec is what the user asked for.
type Spec struct {
	Replicas int32
	// Revision is the hash of the template that is asked for: the label of the
	// ReplicaSet that has this template, or the hash for a new one.
	Revision Revision
	Steps    []Step
	// StepsHash changes when the steps do.
	StepsHash string
	// Settled says that an earlier pass has seen this generation of the spec.
	Settled bool
	Paused  bool
	// RestartAt is the time before which no pod may have been created, once it
	// is past; zero asks for no restart.
	RestartAt time.Time

	// Routed says that a traffic router is configured.
	Routed bool
	// MaxWeight is the weight that means all traffic; default 100.
	MaxWeight int32
	// CanaryService and StableService say whether a Service is named.
	CanaryService, StableService bool

	// MaxSurge and MaxUnavailable bound a canary without traffic routing.
	MaxSurge, MaxUnavailable int32
	// MinPods is the least number of pods of a revision that gets traffic.
	MinPods       int32
	DynamicStable bool

	ProgressDeadline time.Duration
	DeadlineAborts   bool
	// ScaleDownDelay is how long pods of a replaced revision are kept.
	ScaleDownDelay time.Duration
	// AbortDelay is how long pods of an aborted canary are kept; KeepAborted
	// keeps them until a new template or a retry.
	AbortDelay  time.Duration
	KeepAborted bool
	// HistoryLimit is how many old ReplicaSets without pods are kept.
	HistoryLimit int32

	// Background says that a background analysis is configured;
	// BackgroundFrom is the step it starts at.
	Background     bool
	BackgroundFrom int
}

// A Pause is a reason why the rollout does not go on by itself.
type Pause struct {
	Reason string
	Start  time.Time
}

// The reasons for a Pause.
const (
	PauseStep         = "CanaryPauseStep"
	PauseInconclusive = "InconclusiveAnalysisRun"
	PauseHold         = "AnalysisHold"
)

// A RunRef is what the status remembers of one analysis run.
type RunRef struct {
	Name    string
	Phase   RunPhase
	Message string
}

// RunPhase is the phase of an analysis run.
type RunPhase string

// The phases of an analysis run. RunRecorded is a run that the status names
// and nobody has seen yet.
const (
	RunRecorded     RunPhase = ""
	RunPending      RunPhase = "Pending"
	RunRunning      RunPhase = "Running"
	RunSuccessful   RunPhase = "Successful"
	RunFailed       RunPhase = "Failed"
	RunError        RunPhase = "Error"
	RunInconclusive RunPhase = "Inconclusive"
)

// Done reports whether a run in phase p has ended.
func (p RunPhase) Done() bool {
	return p == RunSuccessful || p == RunFailed || p == RunError || p == RunInconclusive
}

// A Skip records that somebody passed over a gate.
type Skip struct {
	Step int
	What string
	At   time.Time
}

// A Verdict is the judgement that aborted an attempt.
type Verdict struct {
	Run, Metric, Message, Value string
	Failed, Limit               int32
	At                          time.Time
}

// A Status is what earlier passes decided. It is all the memory Decide has.
type Status struct {
	Stable  Revision
	Current Revision
	// Step is the index of the step at work; len(Spec.Steps) when none is
	// left. Known says whether Step was ever set.
	Step  int
	Known bool
	// OwnStep is the Step that Decide wrote last: a different Step was moved
	// by somebody else. It is nil when Decide never wrote one.
	OwnStep   *int
	StepsHash string

	Abort       bool
	AbortedAt   time.Time
	PromoteFull bool
	// Attempt counts the attempts at Current, from 1.
	Attempt int32
	// Adopted says that another controller has worked on this attempt.
	Adopted bool
	// Reason says why the attempt was aborted.
	Reason  string
	Verdict *Verdict
	Skipped []Skip
	// Waived is the highest step up to which the background guard was skipped
	// by a person, plus one; 0 when it was not.
	Waived int

	// RestartedAt is the Spec.RestartAt that was carried out last.
	RestartedAt time.Time

	Pauses []Pause
	// Paused says that Decide added pauses: without any left, somebody
	// resumed.
	Paused bool

	Background, StepRun *RunRef

	// Weights is the split that was observed last.
	Weights *Weights
	Counts  Counts
	Phase   Phase
	Message string
	// Hold says why nothing moves. Holding are the analysis runs that hold the
	// rollout, of which people have been told.
	Hold       string
	Holding    []string
	Conditions []Condition
	// HandChanges are those of which people have been told.
	HandChanges []HandChange
}

// A HandChange is a change of the spec by something else than the GitOps tool
// that had written it.
type HandChange struct {
	// Manager and Tool are field managers: who changed it, and the tool.
	Manager, Tool string
	At            time.Time
	Fields        []string
	// More says that there were more fields.
	More bool
	// Sentence tells people; it is not remembered.
	Sentence string
}

func (h *HandChange) same(o HandChange) bool { return h.Manager == o.Manager && h.At.Equal(o.At) }

// Counts are pods by state: all, those of Current, and those that are ready
// and available, of any revision.
type Counts struct{ Replicas, Updated, Ready, Available int32 }

// Weights is a traffic split between the two destinations of a router.
type Weights struct{ Stable, Canary int32 }

// A Pool is the observed state of one revision's pods.
type Pool struct {
	// Desired is the size the ReplicaSet asks for, Total the pods that exist.
	Desired, Total, Ready, Available int32
	// Deadline is when the pods may be removed; zero when no deadline is set.
	Deadline time.Time
	// Number is the revision number, from 1.
	Number int64
}

// A Router is the observed state of traffic routing.
type Router struct {
	// Weights is what the router's objects say.
	Weights Weights
	// StableClean says that the stable Service's endpoints are pods of
	// Status.Stable alone. It is observed only when it matters.
	StableClean bool
	// Aborted and AbortedAttempt are the latch that an abort left on the
	// router's object when the status could not be written.
	Aborted        Revision
	AbortedAttempt int32
}

// Services is the revision that each Service selects, empty when the Service
// selects none in particular or is not configured.
type Services struct{ Stable, Canary Revision }

// A Run is an analysis run as observed.
type Run struct {
	Name    string
	Phase   RunPhase
	Message string
	// GuardReady says that every metric that is not a dry run has a Successful
	// reading and that its latest is conclusive; GuardWhy says what lacks.
	GuardReady bool
	GuardWhy   string
	// HoldUntil is when a hold of this run becomes a pause; zero when it does
	// not hold. Hold says what holds.
	HoldUntil time.Time
	Hold      string
	Verdict   *Verdict
	// Unfinished says that a run which ended was meant to go on: a background
	// guard that another controller ended early.
	Unfinished bool
}

// A Snapshot is one consistent look at the world.
type Snapshot struct {
	Now    time.Time
	Name   string // of the rollout; analysis runs are named after it
	Spec   Spec
	Status Status
	Pools  map[Revision]Pool
	// Router is nil without traffic routing, and when its objects could not
	// be read: Problems then says why.
	Router   *Router
	Services Services
	// StepRun and Background are the runs that Status names; nil when there is
	// no such run that this rollout started in this attempt.
	StepRun, Background *Run
	// RunNames are the names of analysis runs that are taken.
	RunNames map[string]bool
	// Strays are the analysis runs of this rollout that have not ended and
	// that Status does not name: a stop that was lost.
	Strays []string
	// Verdict is a failing judgement that has been reached and may not be
	// stored in its run yet.
	Verdict *Verdict
	// Restart is what a restart has to go by; nil while none is due.
	Restart *Restart
	// Problems are what makes the spec impossible to follow, in sentences.
	Problems []string
	// Gate is what a drill has shown about the gates, as it stands now; nil
	// before the first one.
	Gate *Condition
	// HandChanges are the changes of the spec by hand since a GitOps tool wrote
	// it, the newest first.
	HandChanges []HandChange
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package act says what a person's command does to an object.
//
// Each verb is a function from the object as it is to a [Plan]: the patches to
// send and what to tell the person. The patches are those that the Argo
// Rollouts plugin and Argo CD send, byte for byte where bytes can matter, so
// that either command line drives either controller.
//
// It sends nothing and reads nothing: the command line and the dashboard do.
package act

import (
	"errors"
	"fmt"

	"sluice.dev/sluice/api/v1alpha1"
)

// Type is the media type of a patch.
type Type string

// The media types of patches.
const (
	Merge Type = "application/merge-patch+json"
	JSON  Type = "application/json-patch+json"
)

// A Patch is one request.
type Patch struct {
	// Subresource to patch: "status", or empty for the object itself.
	Subresource string
	Type        Type
	Body        []byte
	// Fallback is sent to the object itself, in place of this patch and of all
	// patches after it, when the server answers 404 because it does not serve
	// the subresource. Nil: there is no fallback.
	Fallback []byte
}

// A Plan is what to send for one command and what to say about it.
type Plan struct {
	// Workload is the object to patch when it is not the one that the verb was
	// asked for: the target of a workloadRef.
	Workload *Workload
	// Patches are sent in this order; none means that there is nothing to do.
	Patches []Patch
	// Message is what to print when every patch was accepted.
	Message string
	// Note is something the person should know besides, or empty.
	Note string
}

// ErrRefused is wrapped by every error that says a command makes no sense for
// the object as it is.
var ErrRefused = errors.New("nothing was changed")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%s; %w", fmt.Sprintf(format, args...), ErrRefused)
}

// onStatus patches the status, or the same on the object where the server has
// no status subresource.
func onStatus(body string) Patch {
	return Patch{Subresource: "status", Type: Merge, Body: []byte(body), Fallback: []byte(body)}
}

func onSpec(body string) Patch {
	return Patch{Type: Merge, Body: []byte(body)}
}

// settled reports whether no new revision is under way.
func settled(ro *v1alpha1.Rollout) bool {
	return ro.Status.CurrentPodHash != "" && ro.Status.CurrentPodHash == ro.Status.StableRS
}

// Abort sends all traffic back to the stable revision.
func Abort(ro *v1alpha1.Rollout) Plan {
	p := Plan{
		Patches: []Patch{onStatus(`{"status":{"abort":true}}`)},
		Message: fmt.Sprintf("rollout '%s' aborted", ro.Name),
	}
	switch {
	case ro.Status.Abort:
		p.Note = "it was aborted already"
	case settled(ro):
		p.Note = "no new revision is under way, so there is nothing to abort; to return to an older one use undo"
	}
	return p
}

// Retry starts an aborted revision again from its first step.
func Retry(ro *v1alpha1.Rollout) Plan {
	p := Plan{
		Patches: []Patch{onStatus(`{"status":{"abort":false}}`)},
		Message: fmt.Sprintf("rollout '%s' retried", ro.Name),
	}
	if !ro.Status.Abort {
		p.Note = "it was not aborted, so there is nothing to retry"
	}
	return p
}

// RetryExperiment starts an Experiment again by forgetting its status.
func RetryExperiment(e *v1alpha1.Experiment) Plan {
	return Plan{
		Patches: []Patch{onStatus(`{"status":null}`)},
		Message: fmt.Sprintf("experiment '%s' retried", e.Name),
	}
}

// Pause holds the steps where they are.
func Pause(ro *v1alpha1.Rollout) Plan {
	p := Plan{
		Patches: []Patch{onSpec(`{"spec":{"paused":true}}`)},
		Message: fmt.Sprintf("rollout '%s' paused", ro.Name),
	}
	if ro.Spec.Paused {
		p.Note = "it was paused already"
	}
	return p
}

// Resume ends a pause, a person's or the controller's, and skips nothing else.
func Resume(ro *v1alpha1.Rollout) Plan {
	p := Plan{Message: fmt.Sprintf("rollout '%s' resumed", ro.Name)}
	if len(ro.Status.PauseConditions) > 0 {
		return clearPause(ro, p)
	}
	p = unpause(ro, p)
	if len(p.Patches) == 0 {
		p.Note = "it was not paused"
	}
	return p
}

// TerminateRun ends an AnalysisRun.
func TerminateRun(run *v1alpha1.AnalysisRun) Plan {
	p := Plan{
		Patches: []Patch{onSpec(`{"spec":{"terminate":true}}`)},
		Message: fmt.Sprintf("analysisrun '%s' terminated", run.Name),
	}
	if run.Status.Phase.Completed() {
		p.Note = fmt.Sprintf("it had ended already: %s", run.Status.Phase)
	}
	return p
}

// TerminateExperiment ends an Experiment.
func TerminateExperiment(e *v1alpha1.Experiment) Plan {
	p := Plan{
		Patches: []Patch{onSpec(`{"spec":{"terminate":true}}`)},
		Message: fmt.Sprintf("experiment '%s' terminated", e.Name),
	}
	if e.Status.Phase.Completed() {
		p.Note = fmt.Sprintf("it had ended already: %s", e.Status.Phase)
	}
	return p
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/act"
	"sluice.dev/sluice/internal/cli/kube"
	"sluice.dev/sluice/internal/drill"
	"sluice.dev/sluice/internal/view"
)

const (
	// lastReading is how long to wait for the last measurement of a run that has
	// aborted the drill already.
	lastReading = 15 * time.Second
	// homecoming is how long to wait until the rollout is as it was.
	homecoming = 3 * time.Minute
)

// A drillRun is a drill that has been started.
type drillRun struct {
	*program
	client          *kube.Client
	json            bool
	name, namespace string
	record          *drill.Record
	said            string
	// begun says that the drill was seen, ended when it was first seen ended.
	begun bool
	ended time.Time
}

// talk is where progress goes.
func (r *drillRun) talk() io.Writer {
	if r.json {
		return r.Err
	}
	return r.Out
}

// show prints a plan that is not carried out.
func (r *drillRun) show(plan *drill.Plan) error {
	if r.json {
		return printJSON(r.program, plan)
	}
	write(r.Out, plan.Text())
	return nil
}

// start carries out a plan.
func (r *drillRun) start(ctx context.Context, ro *v1alpha1.Rollout, plan *drill.Plan) error {
	if err := r.client.Send(ctx, kube.Rollouts, r.name, act.Plan{Patches: []act.Patch{plan.Patch}}); err != nil {
		return fmt.Errorf("start the drill: %w", err)
	}
	r.record, r.namespace = &plan.Record, ro.Namespace
	return r.watch(ctx, ro)
}

// watch follows the drill to its end, puts everything back and reports.
func (r *drillRun) watch(ctx context.Context, ro *v1alpha1.Rollout) error {
	state, err := r.follow(ctx, ro)
	clean, stop := aside(ctx)
	defer stop()
	if err != nil {
		if bad := r.restore(clean, nil); bad != nil {
			return errors.Join(err, bad)
		}
		return fmt.Errorf("%w; everything was put back", err)
	}
	report := drill.ReportOf(r.record, &state)
	report.Rollout, report.Namespace = r.name, r.namespace
	left, failed := r.putBack(clean, drill.ProofOf(&state, r.Now()))
	report.Left = left
	if failed == nil {
		failed = r.home(ctx)
	}
	if failed != nil {
		report.Left = append(report.Left, failed.Error())
	}
	report.CleanedUp = len(report.Left) == 0
	if r.json {
		if err := printJSON(r.program, report); err != nil {
			return err
		}
	} else {
		write(r.Out, "\n"+report.Text())
	}
	return r.verdict(&report, failed)
}

// verdict is the error to exit with.
func (r *drillRun) verdict(report *drill.Report, failed error) error {
	switch {
	case report.Outcome == drill.Blind:
		return coded{errors.Join(fmt.Errorf("drill failed: gate was blind: %s", report.Why), failed), codeBlind}
	case report.Outcome != drill.Proven:
		return errors.Join(fmt.Errorf("the drill proved nothing: %s", report.Why), failed)
	}
	return failed
}

// follow watches until the drill has ended; an error means that it was
// interrupted.
func (r *drillRun) follow(ctx context.Context, ro *v1alpha1.Rollout) (drill.State, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	w, err := r.client.Watch(watching, ro)
	if err != nil {
		return drill.State{}, err
	}
	if !w.Synced(ctx, syncLimit) {
		if ctx.Err() != nil {
			return drill.State{}, errInterrupted
		}
		return drill.State{}, unsynced(w)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for lost := false; ; {
		lost = r.tell(w, lost)
		state, done, err := r.look(w.Objects())
		if done || err != nil {
			return state, err
		}
		select {
		case <-ctx.Done():
			return drill.State{}, errInterrupted
		case <-tick.C:
		case <-w.Changed:
		}
	}
}

var errInterrupted = errors.New("interrupted")

// look says what has become of the drill, and whether it is over: it has ended,
// and its last measurement is there or does not come.
func (r *drillRun) look(o view.Objects) (state drill.State, over bool, err error) {
	if o.Rollout == nil {
		return state, false, fmt.Errorf("rollout '%s' was deleted", r.name)
	}
	// The watch may begin before the patch that started the drill.
	r.begun = r.begun || o.Rollout.Annotations[drill.AnnotationRecord] != ""
	if !r.begun {
		return state, false, nil
	}
	now := r.Now()
	state = drill.Look(r.record, o.Rollout, o.AnalysisRuns, now)
	r.say(&state)
	if state.Outcome == drill.Running {
		return state, false, nil
	}
	if r.ended.IsZero() {
		r.ended = now
	}
	return state, state.Settled || now.Sub(r.ended) > lastReading, nil
}

// say tells what the drill does, once.
func (r *drillRun) say(s *drill.State) {
	line := s.Doing
	if s.Outcome != drill.Running {
		line = s.Why
	}
	line = fmt.Sprintf("weight %d: %s", s.Weight, line)
	if line == r.said {
		return
	}
	r.said = line
	writef(r.talk(), "%6s  %s\n", s.After.Round(time.Second), line)
}

// putBack restores what the drill changed. left says what it could not.
func (r *drillRun) putBack(ctx context.Context, proof *drill.Proof) (left []string, err error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		left, err = r.putBackOnce(ctx, proof)
		if err == nil || apierrors.IsForbidden(err) || errors.Is(err, kube.ErrNotFound) {
			return left, err
		}
		select {
		case <-ctx.Done():
			return left, fmt.Errorf("the drill is NOT cleaned up (%w): give '%s drill %s -n %s --clean-up'", err, r.program.name, r.name, r.namespace)
		case <-tick.C:
		}
	}
}

func (r *drillRun) putBackOnce(ctx context.Context, proof *drill.Proof) ([]string, error) {
	raw, err := kube.Raw(ctx, r.client, kube.Rollouts, r.name)
	if err != nil {
		return nil, err
	}
	plan, left, err := drill.CleanUp(raw, r.record, proof)
	if err != nil {
		return left, err
	}
	return left, r.client.Send(ctx, kube.Rollouts, r.name, plan)
}

// restore puts everything back and says what could not be.
func (r *drillRun) restore(ctx context.Context, proof *drill.Proof) error {
	left, err := r.putBack(ctx, proof)
	for _, l := range left {
		writef(r.Err, "%s\n", l)
	}
	return err
}

// home waits until the rollout is as it was before.
func (r *drillRun) home(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, homecoming)
	defer stop()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		var ro v1alpha1.Rollout
		err := r.client.Get(ctx, kube.Rollouts, r.name, &ro)
		if err == nil {
			why := drill.Away(r.record, &ro)
			if why == "" {
				return nil
			}
			err = errors.New(why)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("rollout '%s' is not yet as it was: %w", r.name, err)
		case <-tick.C:
		}
	}
}

// finish cleans up after a drill that was interrupted. What it had shown by
// then is kept.
func (r *drillRun) finish(ctx context.Context, ro *v1alpha1.Rollout) error {
	record, err := drill.RecordOf(ro)
	if err != nil {
		return err
	}
	if record == nil {
		writef(r.talk(), "rollout '%s' has no drill to clean up\n", r.name)
		return nil
	}
	r.record, r.namespace = record, ro.Namespace
	var runs v1alpha1.AnalysisRunList
	if err := r.client.List(ctx, r.client.Namespace, kube.AnalysisRuns, &runs); err != nil {
		return err
	}
	state := drill.Look(record, ro, runs.Items, r.Now())
	if err := r.restore(ctx, drill.ProofOf(&state, r.Now())); err != nil {
		return err
	}
	if err := r.home(ctx); err != nil {
		return err
	}
	what := "it had shown nothing yet"
	if state.Outcome != drill.Running {
		what = strings.TrimSpace(string(state.Outcome) + ": " + state.Why)
	}
	writef(r.talk(), "rollout '%s': the drill of %s was cleaned up; %s\n", r.name, record.Started.Format(time.RFC3339), what)
	return nil
}

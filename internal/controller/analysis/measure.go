// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	judge "sluice.dev/sluice/internal/analysis"
	"sluice.dev/sluice/internal/metric"
	"sluice.dev/sluice/internal/rollout"
)

const (
	// measureTimeout is a net below the providers' own time-outs.
	measureTimeout = 5 * time.Minute
	// linger is how long an answer waits for the others of its tick, so that
	// one write stores them all.
	linger = 250 * time.Millisecond
	// yield is how long the run itself waits to be completed after a verdict: the
	// traffic moves first, and the Rollout's status has the verdict on record.
	yield = 250 * time.Millisecond
	// maxValue is the longest value that is stored, in bytes.
	maxValue = 2_000
)

// launch starts the measurements that are due and not under way, nor taken
// since next was judged. They outlive the pass: ctx must be the controller's,
// without a time-out.
func (r *Reconciler) launch(ctx context.Context, s *session, next step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done.ended {
		return
	}
	for _, name := range next.plan.Due {
		_, busy := s.inFlight[name]
		if busy || slices.ContainsFunc(s.inHand[len(next.readings):], func(in reading) bool { return in.Metric == name }) {
			continue
		}
		measuring, cancel := context.WithTimeout(ctx, measureTimeout)
		s.inFlight[name] = cancel
		go r.measure(measuring, s, s.prepared, name)
	}
}

// measure takes one measurement, has it judged, and wakes a pass. A verdict
// does not wait for the pass.
func (r *Reconciler) measure(ctx context.Context, s *session, p *prepared, name string) {
	src := p.sources[name]
	started := r.Clock.Now()
	got, err := src.take(ctx, started)
	taken := judge.Taken{Metric: name, Measurement: p.rule.Assess(src.rule, observation(got, err), started)}
	taken.Started, taken.Finished = started, r.Clock.Now()
	taken.Message = p.values.Redact(taken.Message)
	in := reading{Taken: taken, value: p.values.Redact(format(got.Value)), query: p.values.Redact(got.Query), from: got.Window.From, to: got.Window.To, notes: redactAll(p, got.Notes)}

	s.mu.Lock()
	s.inFlight[name]()
	delete(s.inFlight, name)
	if s.done.ended {
		s.mu.Unlock()
		return
	}
	s.inHand = append(s.inHand, in)
	next, run, complete := s.judge(taken.Finished, s.prepared), s.base, len(s.inFlight) == 0
	s.mu.Unlock()

	verdict, owner := s.failed(run, next)
	if verdict != nil {
		r.wake(s.name, yield, true)
		r.post(ctx, s, owner, *verdict)
		return
	}
	if complete || next.state.Phase.Completed() {
		r.wake(s.name, 0, false)
		return
	}
	r.wake(s.name, linger, false)
}

// take asks the source. A panic of a provider is its error, not our end.
func (p probe) take(ctx context.Context, at time.Time) (got metric.Reading, err error) {
	if p.err != nil {
		return metric.Reading{}, p.err
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			err = metric.Errorf(metric.Malformed, "the provider gave up: %s", blame(panicked))
		}
	}()
	return p.Measure(ctx, at)
}

// blame says why a provider panicked. The runtime's own words hold no data; a
// provider's may hold anything, a key as well, so only their type is told.
func blame(panicked any) string {
	if err, ok := panicked.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("it panicked with a %T", panicked)
}

// observation is what the judge is told of an answer.
func observation(got metric.Reading, err error) judge.Observation {
	if err == nil {
		return judge.Observation{Value: got.Value, NoData: got.NoData}
	}
	failure := &judge.Failure{Reason: string(metric.Unavailable), Message: err.Error()}
	var known *metric.Error
	switch {
	case errors.As(err, &known):
		failure.Reason, failure.Status = string(known.Class), known.Status
		failure.Throttled, failure.RetryAfter = known.Class == metric.RateLimited, known.RetryAfter
		failure.Denied = known.Class == metric.Unauthorized
	case errors.Is(err, context.DeadlineExceeded):
		failure.Message = fmt.Sprintf("the provider did not answer within %s", measureTimeout)
	default:
		failure.Reason = string(metric.Misconfigured)
	}
	return judge.Observation{Failure: failure}
}

// post tells the Rollout's controller of a verdict.
func (r *Reconciler) post(ctx context.Context, s *session, owner *metav1.OwnerReference, v rollout.Verdict) {
	if r.Verdicts != nil {
		r.Verdicts.Post(ctx, types.NamespacedName{Namespace: s.name.Namespace, Name: owner.Name}, owner.UID, v)
	}
}

func redactAll(p *prepared, notes map[string]string) map[string]string {
	out := make(map[string]string, len(notes))
	for k, v := range notes {
		out[k] = p.values.Redact(v)
	}
	return out
}

// format writes a value as it is stored.
func format(value any) string {
	var out string
	switch v := value.(type) {
	case nil:
		return ""
	case float64:
		return number(v)
	case string:
		out = v
	case []float64:
		out = "["
		for i, f := range v {
			if i > 0 {
				out += ","
			}
			if out += number(f); len(out) > maxValue {
				break
			}
		}
		out += "]"
	default:
		data, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprintf("%v", v)
		}
		out = string(data)
	}
	if len(out) > maxValue {
		return out[:maxValue] + "…"
	}
	return out
}

func number(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

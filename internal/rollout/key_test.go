// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"strconv"
	"time"

	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/sim"
)

// key appends everything that Decide's next answers can depend on, times as
// what is left of them.
func key(b []byte, w *sim.World) []byte {
	st := &w.Status
	num := func(n int64) { b = append(strconv.AppendInt(b, n, 36), ' ') }
	str := func(s string) { b = append(append(b, s...), ' ') }
	flag := func(f bool) {
		if f {
			b = append(b, '+')
		} else {
			b = append(b, '-')
		}
	}
	left := func(t time.Time) {
		if t.IsZero() {
			b = append(b, '_')
			return
		}
		num(int64(max(0, t.Sub(w.Now)/time.Second)))
	}
	str(string(w.Spec.Revision))
	str(w.Spec.StepsHash)
	num(int64(w.Spec.Replicas))
	flag(w.Spec.Paused)
	flag(w.Seen)
	flag(w.Problems != nil)
	str(string(st.Stable))
	str(string(st.Current))
	str(st.StepsHash)
	num(int64(st.Step))
	if st.OwnStep != nil {
		num(int64(*st.OwnStep))
	}
	flag(st.Abort)
	flag(st.AbortedAt.IsZero())
	flag(st.PromoteFull)
	flag(st.Paused)
	flag(st.Verdict == nil)
	num(int64(st.Waived))
	num(int64(len(st.Holding)))
	for _, x := range st.Pauses {
		str(x.Reason)
		left(x.Start.Add(pauseLength))
	}
	for _, c := range st.Conditions {
		if c.Type == rollout.CondProgressing && w.Spec.ProgressDeadline > 0 {
			left(c.Updated.Add(w.Spec.ProgressDeadline))
			str(c.Reason + c.Message)
		}
	}
	if w.Spec.ProgressDeadline > 0 {
		num(int64(st.Counts.Available))
		num(int64(st.Counts.Updated))
	}
	for _, r := range []rollout.Revision{v1, v2, v3} {
		pool, ok := w.Pools[r]
		flag(ok)
		num(int64(pool.Desired))
		num(int64(pool.Available))
		left(pool.Deadline)
		if !w.Spec.RestartAt.IsZero() {
			num(int64(w.Old[r].Up))
			num(int64(w.Old[r].Down))
			left(w.Refused[r])
		}
	}
	flag(w.Spec.RestartAt.Equal(st.RestartedAt))
	if w.Router != nil {
		num(int64(w.Router.Weights.Canary))
		str(string(w.Router.Aborted))
	}
	str(string(w.Services.Stable))
	str(string(w.Services.Canary))
	str(string(w.Endpoints))
	live := 0
	for name, r := range w.Runs {
		if !r.Phase.Done() && (st.StepRun == nil || st.StepRun.Name != name) && (st.Background == nil || st.Background.Name != name) {
			live++
		}
	}
	num(int64(live))
	for _, ref := range []*rollout.RunRef{st.StepRun, st.Background} {
		if ref == nil {
			b = append(b, '|')
			continue
		}
		str(string(ref.Phase))
		r, ok := w.Runs[ref.Name]
		flag(ok)
		flag(r.Ready)
		flag(r.Attempt == st.Attempt && r.Revision == st.Current)
		str(string(r.Phase))
		left(r.HoldUntil)
	}
	return b
}

// pauseLength is the length of every timed pause in the model.
const pauseLength = 60 * time.Second

// ghostKey appends what the model keeps beside the world.
func ghostKey(b []byte, n *node) []byte {
	b = append(b, '#')
	b = strconv.AppendUint(b, uint64(n.g.passed), 36)
	b = strconv.AppendBool(b, n.g.fallen)
	b = strconv.AppendBool(b, n.g.retry)
	b = append(b, byte('0'+n.g.skips))
	if n.Spec.ProgressDeadline > 0 {
		b = strconv.AppendInt(b, int64(min(n.Now.Sub(n.g.waits), n.Spec.ProgressDeadline)/time.Second), 36)
	}
	// Skips are what I3 looks at.
	for _, x := range n.Status.Skipped {
		b = append(b, byte('0'+x.Step), x.What[0])
	}
	return append(b, byte('0'+n.left.deaths), byte('0'+n.left.runs), byte('0'+n.left.users), byte('0'+n.restarts))
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"strconv"

	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/sim"
)

// finale plays the world to its end in a fair environment and says what is
// there, or why it is no end. A person resumes whatever is paused; nobody
// aborts or retries. What ends already knows is not played again.
func finale(w sim.World, ends map[string]string) (end, why string) {
	var path []string
	on := map[string]rollout.Status{}
	resumed := 0
	for n := 0; ; n++ {
		k := string(key(nil, &w))
		if resumed == 0 {
			if e, ok := ends[k]; ok {
				return known(ends, path, e), ""
			}
			path = append(path, k)
		}
		if n > 600 {
			return "", "I6: no end in sight: " + sim.Line(w)
		}
		before := w.Status
		moved, problem := fair(&w)
		if problem != "" {
			return "", fmt.Sprintf("on the way to the end: %s\n%s", problem, sim.Line(w))
		}
		k += strconv.Itoa(resumed)
		if moved {
			if was, ok := on[k]; ok && same(was, before) {
				return "", "I6: goes round in circles: " + sim.Line(w)
			}
			on[k] = before
			continue
		}
		if w.Status.Phase != rollout.Paused || resumed == 20 {
			break
		}
		w.Promote()
		resumed++
	}
	if why := resting(w); why != "" {
		return "", fmt.Sprintf("I6: %s: %s", why, sim.Line(w))
	}
	return known(ends, path, final(w)), ""
}

func known(ends map[string]string, path []string, end string) string {
	if ends != nil {
		for _, k := range path {
			ends[k] = end
		}
	}
	return end
}

// final is what counts of an end.
func final(w sim.World) string {
	out := fmt.Sprintf("%s of %s/%s", w.Status.Phase, w.Status.Current, w.Status.Stable)
	if w.Router != nil {
		out += fmt.Sprint(" canary ", w.Router.Weights.Canary)
	}
	live := 0
	for _, r := range w.Runs {
		if !r.Phase.Done() {
			live++
		}
	}
	out += fmt.Sprintf(" services %v, %d runs", w.Services, live)
	for _, r := range []rollout.Revision{v1, v2, v3} {
		out += fmt.Sprintf(" %s:%d", r, w.Pools[r].Desired)
	}
	return out
}

// resting says what is wrong with a world in which nothing moves any more.
func resting(w sim.World) string {
	st := w.Status
	if due := w.Spec.RestartAt; !due.IsZero() && !due.After(w.Now) {
		for r, old := range w.Old {
			if old.Up+old.Down > 0 && w.Pools[r].Desired > 0 {
				return fmt.Sprintf("rests with pods of %s that are older than the restart", r)
			}
		}
		if !st.RestartedAt.Equal(due) {
			return "rests without an end of the restart"
		}
	}
	all := st.Stable != "" && w.Pools[st.Stable].Available >= w.Spec.Replicas
	switch st.Phase {
	case rollout.Healthy:
		if st.Current != w.Spec.Revision || st.Stable != st.Current {
			return "healthy with another revision"
		}
	case rollout.Degraded:
		if !st.Abort {
			return "degraded without an abort"
		}
	default:
		return "rests in phase " + string(st.Phase) + " (" + st.Message + ")"
	}
	if !all {
		return "rests without all pods of stable"
	}
	if w.Router != nil && w.Router.Weights.Canary != 0 {
		return "rests with traffic on the canary's destination"
	}
	if w.Spec.StableService && w.Services.Stable != st.Stable || w.Spec.CanaryService && w.Services.Canary != st.Stable {
		return "rests with a Service elsewhere"
	}
	if w.Router != nil && w.Router.Aborted != "" && !st.Abort {
		return "rests with the latch of an abort that is over"
	}
	for r, pool := range w.Pools {
		if r != st.Stable && pool.Desired > 0 && (r != st.Current || !w.Spec.KeepAborted) {
			return "rests with pods of " + string(r)
		}
		if r == st.Stable && !pool.Deadline.IsZero() {
			return "rests with a deadline on stable"
		}
	}
	for name, r := range w.Runs {
		if !r.Phase.Done() {
			return "rests with run " + name + " at work"
		}
	}
	return ""
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/sim"
)

const (
	v1 rollout.Revision = "v1"
	v2 rollout.Revision = "v2"
	v3 rollout.Revision = "v3"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func same(a, b rollout.Status) bool { return reflect.DeepEqual(a, b) }

// A node is a world the model check has reached, and how.
type node struct {
	sim.World
	g    ghost
	left budget
	// restarts is how many times somebody may still ask for a restart.
	restarts int8
	// from is the index of the node before, what the event between.
	from int
	what string
}

// What each layer is worth: bugs planted one at a time, and who caught them.
// The property test ran 3,000 times, the model check its normal worlds.
//
//	bug                                                      table story property model
//	none (control)                                           -     -     -        -
//	abort keeps the weights                                  x     x     x        x
//	aborted pods go before the traffic                       x     x     x        x
//	a weight does not wait for its pods                      x     x     x        x
//	pods per weight are rounded down                         -     -     x        x
//	a timed pause forgets its wake                           x     x     -        -
//	a step never advances                                    x     x     x        x
//	promotion does not wait for the pods                     -     x     x        -
//	promotion does not wait for the guard                    x     -     x        x
//	the weights go back before the endpoints                 x     x     x        x
//	the canary Service moves while it carries                -     -     -        x
//	an unfinished promotion is not finished first            x     -     -        x
//	others are shed while they carry                         x     x     x        x
//	a retry keeps the old attempt's runs and steps           x     x     -        x
//	a skip is not recorded                                   x     -     x        x
//	a run in Error is no failure                             x     -     -        -
//	a deleted run passes                                     x     -     x        x
//	a verdict of a run that is not ours counts               x     -     -        -
//	a promotion beats a failure                              x     x     x        x
//	changed steps beat a failure                             x     -     -        x
//	an abort waits while the spec is invalid                 x     -     -        x
//	the deadline runs in a hold                              x     -     -        x
//	a time-out does not last                                 x     x     -        -
//	a shrinking stable is sized for the aim                  -     -     x        x
//	a shrunken stable is handed more than it carries         -     -     x        x
//	a hold never pauses                                      x     x     -        -
//	the pause of a hold is never lifted                      x     x     -        -
//	a lost stop stays lost                                   x     -     x        x
//	a lost start stays lost                                  x     -     x        x
//	the latch is not read                                    x     -     -        -
//	the latch is never removed                               x     -     -        x
//	a retry leaves the pods' deadline                        x     -     -        -
//	the guard starts without traffic                         x     -     -        x
//	a waived guard pauses again                              x     -     -        -
//	a weight rises while stable's Service is elsewhere       x     -     -        -
//	the history is pruned from the wrong end                 x     -     -        -
//	a first revision is adopted as stable                    x     x     -        -
//	a held canary without a router keeps stable small        x     -     -        -

// A model is one breadth-first search.
type model struct {
	t     *testing.T
	nodes []node
	seen  map[string]bool
	ends  map[string]string
	calls int
	// stale says that parts of a Snapshot may be one version behind.
	stale bool
	limit int
	// replay, unless zero, is a search that fails at that node once more, to
	// tell how it got there.
	replay int
	start  node
}

func (m *model) add(n node) {
	k := string(ghostKey(key(nil, &n.World), &n))
	if m.seen[k] {
		return
	}
	m.seen[k] = true
	m.nodes = append(m.nodes, n)
}

// trace tells how a node was reached.
func (m *model) trace(i int) string {
	var lines []string
	for ; i >= 0; i = m.nodes[i].from {
		n := &m.nodes[i]
		lines = append(lines, fmt.Sprintf("%-40s %s", n.what, sim.Line(n.World)))
	}
	slices.Reverse(lines)
	out := ""
	for _, l := range lines {
		out += l + "\n"
	}
	return out
}

func (m *model) fail(i int, format string, args ...any) {
	m.t.Helper()
	if m.replay == 0 {
		again := &model{t: m.t, stale: m.stale, limit: m.limit, replay: i + 1}
		again.run(m.start)
	}
	m.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), m.trace(i))
}

// run visits every world that start leads to.
func (m *model) run(start node) {
	m.seen, m.ends, m.start = map[string]bool{}, map[string]string{}, start
	start.from, start.what = -1, "start"
	m.add(start)
	for i := 0; i < len(m.nodes); i++ {
		if len(m.nodes) > m.limit {
			m.t.Fatalf("more than %d worlds", m.limit)
		}
		m.expand(i)
		if m.replay == 0 {
			m.nodes[i].World = sim.World{}
		}
	}
	m.t.Logf("%d worlds, %d decisions", len(m.nodes), m.calls)
}

func (m *model) decide(i int, s rollout.Snapshot, g ghost) rollout.Plan {
	m.calls++
	p := rollout.Decide(s)
	if v := violation(s, p, g); v != "" {
		m.fail(i, "%s\nplan: %s", v, planLine(p))
	}
	return p
}

func planLine(p rollout.Plan) string {
	w := "-"
	if p.Weights != nil {
		w = fmt.Sprint(*p.Weights)
	}
	return fmt.Sprintf("step %d, pods %v, deadlines %v, weights %s, services %v, start %v, stop %v, prune %v, abort %v, pauses %v, %s %q",
		p.Status.Step, p.Replicas, p.Deadlines, w, p.Services, p.Start, p.Stop, p.Prune, p.Status.Abort, p.Status.Pauses, p.Status.Phase, p.Status.Message)
}

// expand adds every world one event away from node i.
func (m *model) expand(i int) {
	n := m.nodes[i]
	s := n.Snapshot()
	p := m.decide(i, s, n.g)
	m.passes(i, s, p)
	m.end(i, n.World)
	if !p.WakeAt.IsZero() {
		m.event(i, "time passes", func(x *node) bool { x.Now = p.WakeAt; return true })
	}
	for _, h := range happenings {
		m.event(i, h.what, h.do)
	}
}

// event adds the world that change leads to, and those of passes that see a
// part of it one version late.
func (m *model) event(i int, what string, change func(*node) bool) {
	n := m.nodes[i]
	if !change(&n) {
		return
	}
	n.from, n.what = i, what
	m.add(n)
	if m.stale {
		m.late(i, n, what)
	}
}

// passes adds the worlds that any subset of the plan's writes leads to. They
// must all end where the whole plan ends.
func (m *model) passes(i int, s rollout.Snapshot, p rollout.Plan) {
	n := m.nodes[i]
	writes := n.Writes(p)
	status := sim.Stored(p.Status)
	if len(writes) == 0 && same(status, n.Status) {
		if len(p.Events) > 0 {
			m.fail(i, "an event on a pass that changes nothing: %v", p.Events)
		}
		return
	}
	whole := ""
	for mask := 1<<len(writes) - 1; mask >= 0; mask-- {
		x := n
		j := 0
		x.Apply(p, func(sim.Write) bool { j++; return mask&(1<<(j-1)) != 0 })
		x.g = n.g.step(s, p)
		x.from, x.what = i, "pass"
		if mask != 1<<len(writes)-1 {
			x.what = "pass, lost writes"
		}
		m.add(x)
		end := m.end(i, x.World)
		if whole == "" {
			whole = end
		}
		if end != whole {
			m.fail(i, "I5: losing writes leads elsewhere: %s\nwhole plan: %s\n%s: %s", planLine(p), whole, x.what, end)
		}
	}
	if p.Status.Abort && !n.Status.Abort && p.Weights != nil {
		x := n
		sim.Latch(&x.World, p)
		x.from, x.what = i, "pass, cut off: traffic moved and latched"
		m.add(x)
		if end := m.end(i, x.World); end != whole {
			m.fail(i, "I5: the latch leads elsewhere: %s\nwhole plan: %s", end, whole)
		}
	}
}

// late adds the worlds of passes that see n but for one part, which they see
// as it was before: writes to that part carry its old version and are refused.
func (m *model) late(i int, n node, what string) {
	old := m.nodes[i].World
	was, is := old.Snapshot(), n.Snapshot()
	if !same(was.Status, is.Status) || was.Spec.Revision != is.Spec.Revision || was.Spec.Replicas != is.Spec.Replicas {
		return
	}
	try := func(part string, mix func(*rollout.Snapshot), refused func(sim.Write) bool) {
		s := n.Snapshot()
		mix(&s)
		p := m.decide(i, s, n.g)
		x := n
		x.Apply(p, func(w sim.Write) bool { return !refused(w) })
		x.g = n.g.step(s, p)
		x.what = what + ", pass that saw " + part + " late"
		m.add(x)
	}
	for r := range n.Pools {
		if was.Pools[r] != is.Pools[r] {
			try("pods of "+string(r), func(s *rollout.Snapshot) { s.Pools[r] = was.Pools[r] },
				func(w sim.Write) bool { return w.What == string(r) && (w.Kind == sim.Scale || w.Kind == sim.Deadline) })
		}
	}
	if was.Services != is.Services {
		try("services", func(s *rollout.Snapshot) { s.Services = was.Services },
			func(w sim.Write) bool { return w.Kind == sim.StableService || w.Kind == sim.CanaryService })
	}
}

func (m *model) end(i int, w sim.World) string {
	end, why := finale(w, m.ends)
	if why != "" {
		m.fail(i, "%s", why)
	}
	return end
}

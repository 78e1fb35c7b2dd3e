// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
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

// budget is how much may still go wrong in a world.
type budget struct{ deaths, runs, users int8 }

// A node is a world the model check has reached, and how.
type node struct {
	sim.World
	g    ghost
	left budget
	// from is the index of the node before, what the event between.
	from int
	what string
}

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
	for _, x := range st.Pauses {
		str(x.Reason)
		left(x.Start.Add(pauseLength))
	}
	for _, c := range st.Conditions {
		if c.Type == rollout.CondProgressing && w.Spec.ProgressDeadline > 0 {
			left(c.Updated.Add(w.Spec.ProgressDeadline))
			str(c.Reason)
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
	}
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
	return append(b, byte('0'+n.left.deaths), byte('0'+n.left.runs), byte('0'+n.left.users))
}

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
	for _, r := range []rollout.Revision{v1, v2, v3} {
		m.event(i, "pod up "+string(r), func(x *node) bool { return x.PodUp(r) })
		m.event(i, "pod down "+string(r), func(x *node) bool { return spend(&x.left.deaths) && x.PodDown(r) })
	}
	m.event(i, "endpoints follow", func(x *node) bool {
		moved := x.Endpoints != x.Services.Stable
		x.Endpoints = x.Services.Stable
		return moved
	})
	m.runEvents(i)
	m.userEvents(i)
}

func spend(left *int8) bool {
	*left--
	return *left >= 0
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
	if w := n.Router; p.Status.Abort && !n.Status.Abort && w != nil && w.Weights.Canary > 0 {
		x := n
		router := *w
		router.Weights, router.Aborted, router.AbortedAttempt = rollout.Weights{Stable: n.Spec.MaxWeight}, p.Status.Current, p.Status.Attempt
		x.Router = &router
		x.from, x.what = i, "pass, status refused: traffic moved and latched"
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

// runEvents adds what can happen to the analysis runs.
func (m *model) runEvents(i int) {
	for _, kind := range []rollout.RunKind{rollout.RunKindStep, rollout.RunKindBackground} {
		ref := func(x *node) *rollout.RunRef {
			if kind == rollout.RunKindStep {
				return x.Status.StepRun
			}
			return x.Status.Background
		}
		what := string(kind) + " run "
		m.event(i, what+"fails", func(x *node) bool {
			mine := acts(x, ref(x))
			if !x.End(ref(x), rollout.RunFailed, "metric errors failed 3 times, limit 2") {
				return false
			}
			x.g.fallen = x.g.fallen || mine
			return true
		})
		m.event(i, what+"is inconclusive", func(x *node) bool {
			return spend(&x.left.runs) && x.End(ref(x), rollout.RunInconclusive, "the band")
		})
		m.event(i, what+"holds", func(x *node) bool {
			return spend(&x.left.runs) && x.SetRun(ref(x), func(r *sim.Run) { r.HoldUntil = x.Now.Add(30 * time.Second) })
		})
		m.event(i, what+"holds no longer", func(x *node) bool {
			return x.SetRun(ref(x), func(r *sim.Run) { r.HoldUntil = time.Time{} })
		})
		m.event(i, what+"is deleted", func(x *node) bool {
			if !spend(&x.left.runs) || ref(x) == nil {
				return false
			}
			if x.Runs[ref(x).Name].Phase == rollout.RunFailed && !x.Status.Abort {
				x.g.fallen = false // nobody saw it fail
			}
			return x.Forget(ref(x))
		})
		if kind == rollout.RunKindBackground {
			m.event(i, "guard ready", func(x *node) bool {
				return x.SetRun(ref(x), func(r *sim.Run) { r.Ready, r.HoldUntil = true, time.Time{} })
			})
			m.event(i, "guard blind", func(x *node) bool {
				return spend(&x.left.runs) && x.SetRun(ref(x), func(r *sim.Run) { r.Ready = false })
			})
			continue
		}
		m.event(i, what+"passes", func(x *node) bool {
			mine := acts(x, ref(x))
			if !x.End(ref(x), rollout.RunSuccessful, "") {
				return false
			}
			if mine {
				x.g.passed |= 1 << x.Runs[ref(x).Name].Step
			}
			return true
		})
	}
}

// acts reports whether the run that ref names may act on the rollout: it was
// started in this attempt, and nothing has replaced the attempt.
func acts(x *node, ref *rollout.RunRef) bool {
	if ref == nil {
		return false
	}
	r, ok := x.Runs[ref.Name]
	st := x.Status
	return ok && r.Attempt == st.Attempt && r.Revision == st.Current && st.Current == x.Spec.Revision &&
		st.Current != st.Stable && (st.Abort || st.AbortedAt.IsZero())
}

// userEvents adds what a person can do.
func (m *model) userEvents(i int) {
	if m.nodes[i].left.users == 0 {
		return
	}
	user := func(what string, change func(*node) bool) {
		m.event(i, "user: "+what, func(x *node) bool { return spend(&x.left.users) && change(x) })
	}
	user("abort", func(x *node) bool {
		if x.Status.Abort {
			return false
		}
		x.Abort()
		if x.Status.Current == x.Spec.Revision && x.Status.Current != x.Status.Stable && x.Status.Stable != "" {
			x.g.fallen = true
		}
		return true
	})
	user("retry", func(x *node) bool {
		if !x.Status.Abort {
			return false
		}
		if x.Status.AbortedAt.IsZero() {
			return false // taken back before anybody saw it: no attempt ended
		}
		x.Retry()
		x.g.retry = true
		return true
	})
	user("promote", func(x *node) bool { x.Promote(); return !x.Status.Abort })
	user("promote --full", func(x *node) bool { x.PromoteFull(); return true })
	user("new template", func(x *node) bool {
		x.Ask(func(s *rollout.Spec) { s.Revision = v3 })
		return m.nodes[i].Spec.Revision != v3
	})
	user("stable template", func(x *node) bool {
		x.Ask(func(s *rollout.Spec) { s.Revision = x.Status.Stable })
		return x.Status.Stable != "" && m.nodes[i].Spec.Revision != x.Status.Stable
	})
	user("scale up", func(x *node) bool { x.Ask(func(s *rollout.Spec) { s.Replicas++ }); return x.Spec.Replicas <= 3 })
	user("scale down", func(x *node) bool { x.Ask(func(s *rollout.Spec) { s.Replicas-- }); return x.Spec.Replicas >= 0 })
	user("pause", func(x *node) bool { x.Ask(func(s *rollout.Spec) { s.Paused = !s.Paused }); return true })
	user("other steps", func(x *node) bool {
		x.Ask(func(s *rollout.Spec) {
			s.Steps, s.StepsHash = []rollout.Step{{Kind: rollout.StepSetWeight, Weight: 30}}, "other"
		})
		return m.nodes[i].Spec.StepsHash != "other"
	})
	user("problem", func(x *node) bool {
		x.Problems = []string{"VirtualService web: not found"}
		return m.nodes[i].Problems == nil
	})
}

// end plays the world to its end in a fair environment and says what is there.
// A person resumes whatever is paused; nobody aborts or retries.
func (m *model) end(i int, w sim.World) string {
	var path []string
	on := map[string]rollout.Status{}
	resumed := 0
	for n := 0; ; n++ {
		k := string(key(nil, &w)) + "!" + strconv.Itoa(resumed)
		if resumed == 0 {
			if e, ok := m.ends[k]; ok {
				return m.ended(path, e)
			}
			path = append(path, k)
		}
		if n > 400 {
			m.fail(i, "I6: no end in sight: %s", sim.Line(w))
		}
		m.calls++
		before := w.Status
		moved, problem := fair(&w)
		if problem != "" {
			m.fail(i, "on the way to the end: %s\n%s", problem, sim.Line(w))
		}
		if moved {
			if was, ok := on[k]; ok && same(was, before) {
				m.fail(i, "I6: goes round in circles: %s", sim.Line(w))
			}
			on[k] = before
			continue
		}
		if w.Status.Phase == rollout.Paused && resumed < 12 {
			w.Promote()
			resumed++
			on = map[string]rollout.Status{}
			continue
		}
		break
	}
	if why := resting(w); why != "" {
		m.fail(i, "I6: %s: %s", why, sim.Line(w))
	}
	return m.ended(path, final(w))
}

func (m *model) ended(path []string, e string) string {
	for _, k := range path {
		m.ends[k] = e
	}
	return e
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
	for r, pool := range w.Pools {
		if r != st.Stable && pool.Desired > 0 && !(r == st.Current && w.Spec.KeepAborted) {
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

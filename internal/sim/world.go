// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sim is a small world that obeys the Plans of package rollout: pods,
// a traffic router, two Services and analysis runs, without a cluster.
//
// It is pure: its clock is a field, and nothing happens in it but what a caller
// asks for. It lets every order of events be tried, whole rollouts be told as
// stories, and a manifest be simulated before it is applied. It decides
// nothing, and it judges no measurement.
package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"sluice.dev/sluice/internal/rollout"
)

// A Run is an analysis run in the world.
type Run struct {
	Kind     rollout.RunKind
	Revision rollout.Revision
	Attempt  int32
	Step     int
	Phase    rollout.RunPhase
	Message  string
	// Ready says that a background run has seen enough to let weights rise.
	Ready bool
	// HoldUntil is when a hold becomes a pause; zero when the run holds not.
	HoldUntil time.Time
	// Stopped says that the controller ended the run because it moved on.
	Stopped bool
	// Unfinished says that another controller ended a guard early.
	Unfinished bool
}

// A World is everything that a Snapshot is taken of. The zero World is of no
// use: start with [New].
//
// A World is a value: its methods replace maps and never change one, so that a
// copy is another world.
type World struct {
	Now    time.Time
	Name   string
	Spec   rollout.Spec
	Status rollout.Status
	Pools  map[rollout.Revision]rollout.Pool
	// Router is nil without traffic routing, and when it cannot be read.
	Router   *rollout.Router
	Services rollout.Services
	// Endpoints is the revision whose pods the router sends the stable
	// Service's share to: it follows Services.Stable with a delay.
	Endpoints rollout.Revision
	Runs      map[string]Run
	Problems  []string
	// Old are the pods that a restart is to replace, and Refused the revisions
	// whose pods may not be evicted until then.
	Old     map[rollout.Revision]Old
	Refused map[rollout.Revision]time.Time
	// Seen says that a status was committed for this generation of Spec.
	Seen bool
}

// New returns a world before the first pass: spec is asked for and nothing is
// there.
func New(name string, now time.Time, spec rollout.Spec) World {
	w := World{Now: now, Name: name, Spec: spec, Pools: map[rollout.Revision]rollout.Pool{}, Runs: map[string]Run{}}
	if spec.Routed {
		w.Router = &rollout.Router{Weights: rollout.Weights{Stable: spec.MaxWeight}}
	}
	return w
}

// Snapshot returns what a pass would observe now.
func (w World) Snapshot() rollout.Snapshot {
	s := rollout.Snapshot{
		Now: w.Now, Name: w.Name, Spec: w.Spec, Status: w.Status, Pools: maps.Clone(w.Pools),
		Services: w.Services, RunNames: make(map[string]bool, len(w.Runs)), Problems: w.Problems,
	}
	s.Spec.Settled = w.Seen
	if w.Router != nil {
		r := *w.Router
		r.StableClean = w.Endpoints == w.Status.Stable && w.Services.Stable == w.Endpoints
		s.Router = &r
	}
	for name, r := range w.Runs {
		s.RunNames[name] = true
		if !r.Phase.Done() && !names(w.Status.StepRun, name) && !names(w.Status.Background, name) {
			s.Strays = append(s.Strays, name)
		}
	}
	slices.Sort(s.Strays)
	s.StepRun = named(w, w.Status.StepRun)
	s.Background = named(w, w.Status.Background)
	s.Restart = restart(w, &s)
	return s
}

func names(ref *rollout.RunRef, name string) bool { return ref != nil && ref.Name == name }

// named returns the run that ref names, if this attempt started it.
func named(w World, ref *rollout.RunRef) *rollout.Run {
	if ref == nil {
		return nil
	}
	r, ok := w.Runs[ref.Name]
	if !ok || r.Revision != w.Status.Current || r.Attempt != w.Status.Attempt {
		return nil
	}
	run := rollout.Run{
		Name: ref.Name, Phase: r.Phase, Message: r.Message, GuardReady: r.Ready,
		HoldUntil: r.HoldUntil, Unfinished: r.Unfinished,
	}
	if !r.Ready {
		run.GuardWhy = "metric error-rate has no successful measurement yet"
	}
	if !r.HoldUntil.IsZero() {
		run.Hold = "metric error-rate is between its two conditions"
	}
	if r.Phase == rollout.RunFailed {
		run.Verdict = &rollout.Verdict{
			Run: ref.Name, Metric: "error-rate", Message: r.Message, Value: "0.081", Failed: 3, Limit: 2, At: w.Now,
		}
	}
	return &run
}

// WriteKind says which object a [Write] is to.
type WriteKind string

// The kinds of write that follow the commit of the status.
const (
	Scale         WriteKind = "scale"
	Deadline      WriteKind = "deadline"
	Prune         WriteKind = "prune"
	Route         WriteKind = "route"
	StableService WriteKind = "stable service"
	CanaryService WriteKind = "canary service"
	Start         WriteKind = "start"
	Stop          WriteKind = "stop"
	Evict         WriteKind = "evict"
)

// A Write is one write of a Plan that would change the world.
type Write struct {
	Kind WriteKind
	// What is the revision or the run that is written to.
	What string
}

// Writes lists what p would change in w, the status apart, in a fixed order.
func (w World) Writes(p rollout.Plan) []Write {
	var ws []Write
	add := func(kind WriteKind, what string) { ws = append(ws, Write{kind, what}) }
	ws = append(ws, podWrites(w, p)...)
	ws = append(ws, trafficWrites(w, p)...)
	for _, x := range p.Start {
		add(Start, x.Name)
	}
	for _, x := range p.Stop {
		if r, ok := w.Runs[x.Name]; ok && !r.Phase.Done() {
			add(Stop, x.Name)
		}
	}
	for _, x := range p.Evict {
		add(Evict, x.Name)
	}
	return ws
}

// podWrites lists what p would change in ReplicaSets.
func podWrites(w World, p rollout.Plan) []Write {
	var ws []Write
	add := func(kind WriteKind, what string) { ws = append(ws, Write{kind, what}) }
	for _, r := range sorted(p.Replicas) {
		if pool, ok := w.Pools[r]; !ok || pool.Desired != p.Replicas[r] {
			add(Scale, string(r))
		}
	}
	for _, r := range sorted(p.Deadlines) {
		if pool, ok := w.Pools[r]; ok && !pool.Deadline.Equal(p.Deadlines[r].Truncate(time.Second)) {
			add(Deadline, string(r))
		}
	}
	for _, r := range p.Prune {
		add(Prune, string(r))
	}
	return ws
}

// trafficWrites lists what p would change in the router and the Services.
func trafficWrites(w World, p rollout.Plan) []Write {
	var ws []Write
	add := func(kind WriteKind, what string) { ws = append(ws, Write{kind, what}) }
	if w.Router != nil && (p.Weights != nil && *p.Weights != w.Router.Weights || p.Unlatch && w.Router.Aborted != "") {
		add(Route, "")
	}
	if to := p.Services.Stable; to != "" && to != w.Services.Stable {
		add(StableService, string(to))
	}
	if to := p.Services.Canary; to != "" && to != w.Services.Canary {
		add(CanaryService, string(to))
	}
	return ws
}

// Commit stores p's status as the API would: times lose what is below a
// second. A revision that is asked for again gets the next number, as its
// ReplicaSet does.
func (w *World) Commit(p rollout.Plan) {
	before := w.Status.Current
	w.Status = Stored(p.Status)
	w.Seen = true
	if pool, ok := w.Pools[w.Status.Current]; ok && before != w.Status.Current {
		if n := lastNumber(w); pool.Number < n {
			pool.Number = n + 1
			setPool(w, w.Status.Current, pool)
		}
	}
}

// Do lets one write of p land.
func (w *World) Do(p rollout.Plan, x Write) {
	r := rollout.Revision(x.What)
	switch x.Kind {
	case Scale:
		scale(w, r, p.Replicas[r])
	case Deadline:
		pool := w.Pools[r]
		pool.Deadline = p.Deadlines[r].Truncate(time.Second)
		setPool(w, r, pool)
	case Prune:
		w.Pools = maps.Clone(w.Pools)
		delete(w.Pools, r)
	case Route:
		route(w, p)
	case StableService:
		w.Services.Stable = r
	case CanaryService:
		w.Services.Canary = r
	case Start:
		start(w, p, x.What)
	case Stop:
		run := w.Runs[x.What]
		run.Phase, run.Stopped, run.HoldUntil = rollout.RunSuccessful, true, time.Time{}
		setRun(w, x.What, run)
	case Evict:
		evict(w, x.What)
	}
}

func setPool(w *World, r rollout.Revision, pool rollout.Pool) {
	w.Pools = maps.Clone(w.Pools)
	w.Pools[r] = pool
}

func setRun(w *World, name string, run Run) {
	w.Runs = maps.Clone(w.Runs)
	w.Runs[name] = run
}

func route(w *World, p rollout.Plan) {
	router := *w.Router
	if p.Weights != nil {
		router.Weights = *p.Weights
	}
	if p.Unlatch {
		router.Aborted, router.AbortedAttempt = "", 0
	}
	w.Router = &router
}

// start makes a run unless its name is taken.
func start(w *World, p rollout.Plan, name string) {
	if _, taken := w.Runs[name]; taken {
		return
	}
	for _, x := range p.Start {
		if x.Name == name {
			setRun(w, name, Run{
				Kind: x.Kind, Revision: p.Status.Current, Attempt: p.Status.Attempt, Step: x.Step, Phase: rollout.RunRunning,
			})
		}
	}
}

func scale(w *World, r rollout.Revision, n int32) {
	pool, ok := w.Pools[r]
	if !ok {
		pool.Number = lastNumber(w) + 1
	}
	pool.Desired, pool.Total = n, n
	pool.Ready, pool.Available = min(pool.Ready, n), min(pool.Available, n)
	setPool(w, r, pool)
	age(w, r)
}

func lastNumber(w *World) int64 {
	var n int64
	for _, pool := range w.Pools {
		n = max(n, pool.Number)
	}
	return n
}

// Apply commits p and lets those of its writes land that keep accepts; nil
// accepts all.
func (w *World) Apply(p rollout.Plan, keep func(Write) bool) {
	writes := w.Writes(p)
	latches := p.Status.Abort && !w.Status.Abort && p.Weights != nil
	w.Commit(p)
	for _, x := range writes {
		switch {
		case keep != nil && !keep(x):
		case x.Kind == Route && latches:
			Latch(w, p)
		default:
			w.Do(p, x)
		}
	}
}

// Latch lets nothing of the abort p land but its traffic, which goes first.
func Latch(w *World, p rollout.Plan) {
	route(w, p)
	w.Router.Aborted, w.Router.AbortedAttempt = p.Status.Current, p.Status.Attempt
}

// Stored returns st as it is read back from the API.
func Stored(st rollout.Status) rollout.Status {
	cut := func(t *time.Time) { *t = t.Truncate(time.Second) }
	st.Pauses, st.Skipped, st.Conditions = slices.Clone(st.Pauses), slices.Clone(st.Skipped), slices.Clone(st.Conditions)
	cut(&st.AbortedAt)
	cut(&st.RestartedAt)
	for i := range st.Pauses {
		cut(&st.Pauses[i].Start)
	}
	for i := range st.Skipped {
		cut(&st.Skipped[i].At)
	}
	for i := range st.Conditions {
		cut(&st.Conditions[i].Updated)
		cut(&st.Conditions[i].Changed)
	}
	if st.Verdict != nil {
		v := *st.Verdict
		cut(&v.At)
		st.Verdict = &v
	}
	return st
}

func sorted[V any](m map[rollout.Revision]V) []rollout.Revision {
	rs := make([]rollout.Revision, 0, len(m))
	for r := range m {
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b rollout.Revision) int { return strings.Compare(string(a), string(b)) })
	return rs
}

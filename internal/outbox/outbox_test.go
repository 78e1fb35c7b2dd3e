// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/outbox"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func all(string) bool { return true }

// a Rollout in the middle of a release.
func rollout(change ...func(*v1alpha1.Rollout)) *v1alpha1.Rollout {
	ro := &v1alpha1.Rollout{}
	ro.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{Steps: []v1alpha1.CanaryStep{
		{SetWeight: new(int32(10))}, {Pause: &v1alpha1.RolloutPause{}}, {Analysis: &v1alpha1.RolloutAnalysis{}}, {SetWeight: new(int32(50))},
	}}
	ro.Status = v1alpha1.RolloutStatus{
		StableRS: "old", CurrentPodHash: "new", CurrentStepIndex: new(int32(0)), Phase: v1alpha1.RolloutPhaseProgressing,
		Sluice: &v1alpha1.SluiceStatus{Attempt: 1},
	}
	for _, f := range change {
		f(ro)
	}
	return ro
}

func step(n int32) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) { ro.Status.CurrentStepIndex = &n }
}

func phase(p v1alpha1.RolloutPhase) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) { ro.Status.Phase = p }
}

func run(name string, p v1alpha1.AnalysisPhase) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		ro.Status.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: name, Status: p}
	}
}

func aborted(verdict string) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		ro.Status.Abort, ro.Status.Phase = true, v1alpha1.RolloutPhaseDegraded
		ro.Status.CurrentStepIndex = new(int32(0))
		if verdict != "" {
			ro.Status.Sluice.Verdict = &v1alpha1.AnalysisVerdict{Run: verdict, Message: "3 failed"}
		}
	}
}

func box(b v1alpha1.Outbox) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) { ro.Status.Sluice.Outbox = b.DeepCopy() }
}

func TestWhatIsDerived(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before, after *v1alpha1.Rollout
		want          []string
	}{
		"nothing":      {rollout(), rollout(), nil},
		"a step":       {rollout(), rollout(step(1)), []string{"RolloutStepCompleted Rollout step 1/4 completed (setWeight: 10)"}},
		"several":      {rollout(step(1)), rollout(step(3)), []string{"RolloutStepCompleted Rollout step 2/4 completed (pause)", "RolloutStepCompleted Rollout step 3/4 completed (analysis)"}},
		"the last":     {rollout(step(3)), rollout(step(4)), []string{"RolloutStepCompleted Rollout step 4/4 completed (setWeight: 50)"}},
		"step back":    {rollout(step(2)), rollout(step(0)), nil},
		"new revision": {rollout(step(0)), rollout(step(2), func(ro *v1alpha1.Rollout) { ro.Status.CurrentPodHash = "newer" }), nil},
		"a retry":      {rollout(step(0)), rollout(step(2), func(ro *v1alpha1.Rollout) { ro.Status.Sluice.Attempt = 2 }), nil},
		"nothing is rolled out": {
			rollout(func(ro *v1alpha1.Rollout) { ro.Status.StableRS = "new" }),
			rollout(step(4), func(ro *v1alpha1.Rollout) { ro.Status.StableRS = "new" }), nil,
		},
		"a step that somebody skipped": {rollout(step(1)), rollout(step(3), func(ro *v1alpha1.Rollout) {
			ro.Status.Sluice.Skipped = []v1alpha1.SkippedStep{{Step: 2, What: "analysis"}}
		}), []string{"RolloutStepCompleted Rollout step 2/4 completed (pause)"}},
		"a run starts":     {rollout(run("r", "")), rollout(run("r", "Running")), []string{"AnalysisRunRunning Analysis run r is Running [r]"}},
		"a run is pending": {rollout(), rollout(run("r", "Pending")), nil},
		"a run errs":       {rollout(run("r", "Running")), rollout(run("r", "Error")), []string{"AnalysisRunError Analysis run r is Error [r]"}},
		"another run":      {rollout(run("r", "Successful")), rollout(run("s", "Successful")), []string{"AnalysisRunSuccessful Analysis run s is Successful [s]"}},
		"a verdict before the run says so": {
			rollout(run("r", "Running")), rollout(run("r", "Running"), aborted("r")),
			[]string{"AnalysisRunFailed Analysis run r is Failed: 3 failed [r]"},
		},
		"the run says so later": {rollout(run("r", "Running"), aborted("r")), rollout(run("r", "Failed"), aborted("r")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, e := range outbox.Derive(tc.before, tc.after) {
				line := e.Reason + " " + e.Message
				if e.Run != "" {
					line += " [" + e.Run + "]"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func notice(n int64, reason string, change ...func(*v1alpha1.Notice)) v1alpha1.Notice {
	out := v1alpha1.Notice{Number: n, Reason: reason, At: metav1.NewTime(noon), Revision: "new", Attempt: 1, Phase: v1alpha1.RolloutPhaseProgressing}
	for _, f := range change {
		f(&out)
	}
	return out
}

func TestWhatIsAdded(t *testing.T) {
	t.Parallel()
	degraded := func(n *v1alpha1.Notice) { n.Phase = v1alpha1.RolloutPhaseDegraded }
	healthy := func(n *v1alpha1.Notice) { n.Phase = v1alpha1.RolloutPhaseHealthy }
	for name, tc := range map[string]struct {
		before, after *v1alpha1.Rollout
		events        []outbox.Event
		wanted        func(string) bool
		want          *v1alpha1.Outbox
	}{
		"nothing":         {before: rollout(), after: rollout(), wanted: all},
		"nobody wants it": {before: rollout(), after: rollout(), events: []outbox.Event{{Reason: "RolloutUpdated"}}, wanted: func(string) bool { return false }},
		"somebody does":   {before: rollout(), after: rollout(), events: []outbox.Event{{Reason: "RolloutUpdated"}}, wanted: all, want: &v1alpha1.Outbox{Last: 1, Notices: []v1alpha1.Notice{notice(1, "RolloutUpdated")}}},
		"numbers go on":   {before: rollout(), after: rollout(box(v1alpha1.Outbox{Last: 7})), events: []outbox.Event{{Reason: "RolloutUpdated"}}, wanted: all, want: &v1alpha1.Outbox{Last: 8, Notices: []v1alpha1.Notice{notice(8, "RolloutUpdated")}}},
		"an abort":        {before: rollout(), after: rollout(aborted("")), events: []outbox.Event{{Reason: "RolloutAborted"}}, wanted: all, want: &v1alpha1.Outbox{Last: 1, Aborts: []string{"new:1"}, Notices: []v1alpha1.Notice{notice(1, "RolloutAborted", degraded)}}},
		"an unwanted one": {before: rollout(), after: rollout(aborted("")), events: []outbox.Event{{Reason: "RolloutAborted"}}, wanted: func(string) bool { return false }, want: &v1alpha1.Outbox{Aborts: []string{"new:1"}}},
		"still not well":  {before: rollout(aborted("")), after: rollout(box(v1alpha1.Outbox{Last: 1, Aborts: []string{"new:1"}})), wanted: all, want: &v1alpha1.Outbox{Last: 1, Aborts: []string{"new:1"}}},
		"well, no abort":  {before: rollout(), after: rollout(phase("Healthy")), wanted: all},
		"it was well":     {before: rollout(phase("Healthy")), after: rollout(phase("Healthy"), box(v1alpha1.Outbox{Aborts: []string{"new:1"}})), wanted: all, want: &v1alpha1.Outbox{Aborts: []string{"new:1"}}},
		"well again": {before: rollout(), after: rollout(phase("Healthy"), box(v1alpha1.Outbox{Last: 1, Aborts: []string{"a:1", "a:2"}})), wanted: all, want: &v1alpha1.Outbox{Last: 2, Notices: []v1alpha1.Notice{notice(2, "RolloutRecovered", healthy, func(n *v1alpha1.Notice) {
			n.Message, n.Recovers = "Rollout is healthy again after an aborted update", []string{"a:1", "a:2"}
		})}}},
		"well, unheard":    {before: rollout(), after: rollout(phase("Healthy"), box(v1alpha1.Outbox{Last: 1, Aborts: []string{"a:1"}})), wanted: func(string) bool { return false }, want: &v1alpha1.Outbox{Last: 1}},
		"a repeated scale": {before: rollout(), after: rollout(box(v1alpha1.Outbox{Last: 1, Notices: []v1alpha1.Notice{notice(1, "ScalingReplicaSet")}})), events: []outbox.Event{{Reason: "ScalingReplicaSet"}}, wanted: all, want: &v1alpha1.Outbox{Last: 1, Notices: []v1alpha1.Notice{notice(1, "ScalingReplicaSet")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outbox.Add(tc.before, tc.after, tc.events, tc.wanted, noon)
			if diff := cmp.Diff(tc.want, tc.after.Status.Sluice.Outbox); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTooMuchIsBoundedAndAnAbortIsKept(t *testing.T) {
	t.Parallel()
	ro := rollout(aborted(""))
	outbox.Add(rollout(), ro, []outbox.Event{{Reason: "RolloutAborted", Message: strings.Repeat("é", 5000)}}, all, noon)
	for range 3 * outbox.MaxNotices {
		outbox.Add(rollout(), ro, []outbox.Event{{Reason: "RolloutPaused"}}, all, noon)
	}
	b := ro.Status.Sluice.Outbox
	if n := b.Notices; len(n) != outbox.MaxNotices || n[0].Reason != "RolloutAborted" || len(n[0].Message) > 1024 || n[1].Number != 2*outbox.MaxNotices+3 {
		t.Errorf("%d notices are kept, the first is %+v, the second %+v", len(n), n[0], n[1])
	}
	if len(b.Dead) != 10 || b.Dead[9].Reason != "RolloutPaused" || b.Dead[9].Why != "more than 40 notices waited" {
		t.Errorf("the dead are %+v", b.Dead)
	}
}

func deliveries(b *v1alpha1.Outbox, route func(v1alpha1.Notice) []outbox.Delivery) []outbox.Delivery {
	var out []outbox.Delivery
	for _, n := range b.Notices {
		out = append(out, route(n)...)
	}
	return out
}

func TestSettle(t *testing.T) {
	t.Parallel()
	to := func(names ...string) func(v1alpha1.Notice) []outbox.Delivery {
		return func(n v1alpha1.Notice) (out []outbox.Delivery) {
			for _, name := range names {
				out = append(out, outbox.Delivery{Notice: n, To: name})
			}
			return out
		}
	}
	two := []v1alpha1.Notice{notice(1, "A"), notice(2, "B")}
	now := new(metav1.NewTime(noon))
	for name, tc := range map[string]struct {
		box, want v1alpha1.Outbox
		to        []string
	}{
		"nobody is to be told":            {box: v1alpha1.Outbox{Last: 2, Notices: two}, want: v1alpha1.Outbox{Last: 2}},
		"nobody has been told":            {box: v1alpha1.Outbox{Last: 2, Notices: two}, to: []string{"a"}, want: v1alpha1.Outbox{Last: 2, Notices: two}},
		"everybody has":                   {box: v1alpha1.Outbox{Last: 2, Notices: two, Lanes: []v1alpha1.NoticeLane{{To: "a", Number: 2, Parts: 1}}}, to: []string{"a"}, want: v1alpha1.Outbox{Last: 2}},
		"one of two has":                  {box: v1alpha1.Outbox{Last: 2, Notices: two, Lanes: []v1alpha1.NoticeLane{{To: "a", Number: 2, Parts: 1}}}, to: []string{"a", "b"}, want: v1alpha1.Outbox{Last: 2, Notices: two, Lanes: []v1alpha1.NoticeLane{{To: "a", Number: 2, Parts: 1}}}},
		"the first of two":                {box: v1alpha1.Outbox{Last: 2, Notices: two, Lanes: []v1alpha1.NoticeLane{{To: "a", Number: 1, Parts: 1}}}, to: []string{"a"}, want: v1alpha1.Outbox{Last: 2, Notices: two[1:], Lanes: nil}},
		"what was told once is kept":      {box: v1alpha1.Outbox{Last: 2, Notices: two, Lanes: []v1alpha1.NoticeLane{{To: "a", Number: 2, Parts: 1, Once: []string{"x"}}}}, to: []string{"a"}, want: v1alpha1.Outbox{Last: 2, Lanes: []v1alpha1.NoticeLane{{To: "a", Number: 2, Parts: 1, Once: []string{"x"}}}}},
		"what is under way is kept":       {box: v1alpha1.Outbox{Last: 2, Notices: two, Lanes: []v1alpha1.NoticeLane{{To: "a", SendingSince: now}}}, to: []string{"a"}, want: v1alpha1.Outbox{Last: 2, Notices: two, Lanes: []v1alpha1.NoticeLane{{To: "a", SendingSince: now}}}},
		"but not for nobody":              {box: v1alpha1.Outbox{Last: 2, Notices: two, Lanes: []v1alpha1.NoticeLane{{To: "a", SendingSince: now}}}, want: v1alpha1.Outbox{Last: 2}},
		"the dead of another revision go": {box: v1alpha1.Outbox{Last: 2, Dead: []v1alpha1.DeadNotice{{Number: 1, Revision: "old"}, {Number: 2, Revision: "new"}}}, want: v1alpha1.Outbox{Last: 2, Dead: []v1alpha1.DeadNotice{{Number: 2, Revision: "new"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := tc.box.DeepCopy()
			outbox.Settle(b, deliveries(b, to(tc.to...)), "new")
			if diff := cmp.Diff(&tc.want, b); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhenToTryAgain(t *testing.T) {
	t.Parallel()
	d := outbox.Delivery{Notice: notice(3, "A")}
	least, most := func() float64 { return 0 }, func() float64 { return 1 }
	for name, tc := range map[string]struct {
		fate     outbox.Fate
		failures int
		after    time.Duration
		min, max time.Duration
	}{
		"the first failure":         {outbox.Later, 1, 0, time.Second / 2, time.Second},
		"the fourth":                {outbox.Later, 4, 0, 4 * time.Second, 8 * time.Second},
		"the hundredth":             {outbox.Later, 100, 0, 150 * time.Second, 5 * time.Minute},
		"a service that says when":  {outbox.Later, 1, time.Minute, time.Minute, time.Minute},
		"a configuration is broken": {outbox.Broken, 100, 0, 30 * time.Second, time.Minute},
		"not ready yet":             {outbox.Soon, 100, 0, 15 * time.Second, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var a, b outbox.Try
			for range tc.failures {
				a, b = a.Failed(d, tc.fate, tc.after, noon, least), b.Failed(d, tc.fate, tc.after, noon, most)
			}
			if got := [2]time.Duration{a.At.Sub(noon), b.At.Sub(noon)}; got != [2]time.Duration{tc.min, tc.max} {
				t.Errorf("got %v, want %s to %s", got, tc.min, tc.max)
			}
		})
	}
}

func TestWhenToGiveUp(t *testing.T) {
	t.Parallel()
	half := func() float64 { return 0.5 }
	d, other := outbox.Delivery{Notice: notice(3, "A")}, outbox.Delivery{Notice: notice(4, "B")}
	var try outbox.Try
	for n := range 5 {
		if why, over := try.GiveUp(d, time.Hour, noon); over {
			t.Fatalf("given up after %d refusals: %s", n, why)
		}
		try = try.Failed(d, outbox.Refused, 0, noon, half)
	}
	if why, over := try.GiveUp(d, time.Hour, noon); !over || why != "refused every time" {
		t.Errorf("after five refusals: %q, %t", why, over)
	}
	if try = try.Failed(other, outbox.Refused, 0, noon, half); try.Refusals != 1 || try.Failures != 1 {
		t.Errorf("another delivery begins with %+v", try)
	}
	for range 100 {
		try = try.Failed(d, outbox.Later, 0, noon, half)
	}
	if _, over := try.GiveUp(d, time.Hour, noon.Add(time.Hour-1)); over {
		t.Error("a service that is away is given up before the time")
	}
	if why, over := try.GiveUp(d, time.Hour, noon.Add(time.Hour)); !over || why != "not delivered within 1h0m0s" {
		t.Errorf("after an hour: %q, %t", why, over)
	}
}

// world is a Rollout, what its recipients have got, and a sender that crashes.
type world struct {
	ro       *v1alpha1.Rollout
	added    []v1alpha1.Notice
	got      map[string][]string // by lane: what arrived, in order
	lanes    []string
	parts    int
	crashing bool // a crash between sending and recording may have happened
	dead     map[string]bool
}

func (w *world) route(n v1alpha1.Notice) (out []outbox.Delivery) {
	for _, to := range w.lanes {
		for part := range w.parts {
			out = append(out, outbox.Delivery{Notice: n, To: to, Part: int32(part)})
		}
	}
	return out
}

func id(d outbox.Delivery) string { return fmt.Sprintf("%d.%d", d.Notice.Number, d.Part) }

// Whatever fails and whenever the sender crashes, every recipient gets every
// message, in order; and without a crash between sending and recording, once.
func TestNothingIsLostAndNothingIsOutOfOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{ro: rollout(), got: map[string][]string{}, dead: map[string]bool{}, lanes: []string{"slack:a", "snow:", "mail:b"}, parts: rapid.IntRange(1, 2).Draw(rt, "parts")}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0, 1:
				if w.ro.Status.Sluice.Outbox == nil || len(w.ro.Status.Sluice.Outbox.Notices) < outbox.MaxNotices {
					w.add()
				}
			default:
				w.send(rt)
			}
		}
		// In the end everything works.
		for w.pending() {
			w.deliver(func(outbox.Delivery) string { return "ok" })
		}
		w.judge(rt)
	})
}

func (w *world) add() {
	outbox.Add(w.ro, w.ro, []outbox.Event{{Reason: "RolloutPaused"}}, all, noon)
	b := w.ro.Status.Sluice.Outbox
	w.added = append(w.added, b.Notices[len(b.Notices)-1])
}

func (w *world) pending() bool {
	b := w.ro.Status.Sluice.Outbox
	return b != nil && len(b.Notices) > 0
}

func (w *world) send(rt *rapid.T) {
	w.deliver(func(outbox.Delivery) string {
		return rapid.SampledFrom([]string{"ok", "ok", "fail", "crash", "dead"}).Draw(rt, "fate")
	})
}

// deliver is a pass: one message to each lane, recorded one by one.
func (w *world) deliver(fate func(outbox.Delivery) string) {
	if !w.pending() {
		return
	}
	b := w.ro.Status.Sluice.Outbox.DeepCopy()
	every := deliveries(b, w.route)
	for _, d := range outbox.Next(b, every) {
		switch fate(d) {
		case "ok":
			w.got[d.To] = append(w.got[d.To], id(d))
			outbox.Done(b, d)
		case "crash": // it was sent, and the record is lost
			w.got[d.To] = append(w.got[d.To], id(d))
			w.crashing = true
			return
		case "dead":
			outbox.Dead(b, d, "x", noon)
			w.dead[d.To+" "+id(d)] = true
		}
		outbox.Settle(b, every, "new")
		w.ro.Status.Sluice.Outbox = b.DeepCopy()
	}
}

func (w *world) judge(rt *rapid.T) {
	for _, to := range w.lanes {
		var want []string
		for _, n := range w.added {
			for part := range w.parts {
				if key := fmt.Sprintf("%d.%d", n.Number, part); !w.dead[to+" "+key] || slices.Contains(w.got[to], key) {
					want = append(want, key)
				}
			}
		}
		got := w.got[to]
		if w.crashing { // at least once: the same again is no harm
			got = slices.Compact(slices.Clone(got))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Errorf("%s got (-want +got):\n%s", to, diff)
		}
	}
	b := w.ro.Status.Sluice.Outbox
	if b != nil && (len(b.Notices) > 0 || len(b.Lanes) > 0) {
		rt.Errorf("in the end the outbox holds %+v", b)
	}
}

func TestWhatIsToldOncePerValueIsNotToldAgain(t *testing.T) {
	t.Parallel()
	b := &v1alpha1.Outbox{}
	first := outbox.Delivery{Notice: notice(1, "A"), To: "a", Once: "x"}
	again, other := first, first
	again.Notice.Number, other.Notice.Number, other.Once = 2, 3, "y"
	outbox.Done(b, first)
	if diff := cmp.Diff([]outbox.Delivery{other}, outbox.Next(b, []outbox.Delivery{first, again, other})); diff != "" {
		t.Error(diff)
	}
	given := &v1alpha1.Outbox{}
	outbox.Dead(given, first, "away", noon)
	if got := outbox.Next(given, []outbox.Delivery{again}); len(got) != 1 {
		t.Error("what was given up counts as told once")
	}
}

func TestWhatIsUnderWayIsKnown(t *testing.T) {
	t.Parallel()
	b := &v1alpha1.Outbox{}
	d := outbox.Delivery{Notice: notice(1, "A"), To: "a"}
	if !outbox.SendingSince(b, "a").IsZero() {
		t.Error("something is under way before anything was sent")
	}
	outbox.Sending(b, d, noon)
	if got := outbox.SendingSince(b, "a"); !got.Equal(noon) {
		t.Errorf("it is under way since %s", got)
	}
	outbox.Done(b, d)
	if !outbox.SendingSince(b, "a").IsZero() {
		t.Error("it is under way after it was recorded")
	}
}

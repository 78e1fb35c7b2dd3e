// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package peer_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/api/v1alpha1"
)

const (
	healthy     = v1alpha1.RolloutPhaseHealthy
	paused      = v1alpha1.RolloutPhasePaused
	degraded    = v1alpha1.RolloutPhaseDegraded
	progressing = v1alpha1.RolloutPhaseProgressing
)

// The places that releases of stepping go through.
var (
	atTwenty = place{phase: paused, step: 1, weights: "80/20", image: "1.0.0"}
	atFifty  = place{phase: paused, step: 3, weights: "50/50", image: "1.0.0"}
	done     = place{phase: healthy, step: 4, weights: "100/0", image: "1.1.0"}
	aborted  = place{phase: degraded, step: 0, weights: "100/0", image: "1.0.0"}
)

// verbs are what people do with the plugin, and what the world looks like after
// it. Each starts from a canary that is paused at 20 %.
var verbs = []struct {
	name string
	plan plan
	do   func(r *release)
}{
	{"get rollout shows the revisions, the steps and the weights", plan{background: true}, func(r *release) {
		r.Eventually("there is a guard", func() error { return r.counted(1, 2) })
		out := r.do("get", "rollout", name)
		want := []string{
			"Name: checkout", "Namespace: " + r.ns, "Status:", "Paused", "CanaryPauseStep", "Strategy: Canary",
			"Step: 1/4", "SetWeight: 20", "ActualWeight: 20", "registry.internal/checkout:1.0.0 (stable)", "registry.internal/checkout:1.1.0 (canary)",
			"Desired: 5", "Current: 6", "Updated: 1", "Ready: 6", "Available: 6",
			"revision:2", "revision:1", "AnalysisRun", r.runs()[0].Name,
			"ReplicaSet ✔ Healthy", "Pod ✔ Running", "stable", "canary",
		}
		for _, rs := range r.replicaSets() {
			want = append(want, rs.Name+" ")
		}
		if missing := lacks(out, want...); len(missing) > 0 {
			r.Errorf("%q are not in\n%s", missing, out)
		}
	}},
	{"get rollout --watch follows a release", plan{}, func(r *release) {
		out, _ := r.follow("get", "rollout", name, "--watch")
		r.shows(out, "CanaryPauseStep")
		r.do("abort", name)
		r.shows(out, "Degraded", "RolloutAborted", "SetWeight: 0", "ActualWeight: 0")
	}},
	{"list rollouts has a line for it", plan{}, func(r *release) {
		out := r.do("list", "rollouts")
		if missing := lacks(out, "NAME STRATEGY STATUS STEP SET-WEIGHT READY DESIRED UP-TO-DATE AVAILABLE", "checkout Canary Paused 1/4 20 6/6 5 1 6"); len(missing) > 0 {
			r.Errorf("%q are not in\n%s", missing, out)
		}
	}},
	{"status --watch=false says where it is", plan{}, func(r *release) {
		if out := r.do("status", name, "--watch=false"); strings.TrimSpace(out) != "Paused - CanaryPauseStep" {
			r.Errorf("it prints %q", out)
		}
	}},
	{"status waits until it is healthy", plan{}, func(r *release) {
		out, end := r.follow("status", name)
		r.shows(out, "Paused - CanaryPauseStep")
		r.do("promote", name, "--full")
		if err := <-end; err != nil || !strings.Contains(out.String(), "Healthy") {
			r.Errorf("%v: %s", err, out)
		}
	}},
	{"status fails when it is degraded", plan{}, func(r *release) {
		out, end := r.follow("status", name)
		r.shows(out, "Paused - CanaryPauseStep")
		r.do("abort", name)
		if err := <-end; err == nil || !strings.Contains(out.String(), "Degraded") {
			r.Errorf("%v: %s", err, out)
		}
	}},
	{"promote goes on with the next step", plan{}, func(r *release) {
		r.do("promote", name)
		r.at(atFifty)
		r.do("promote", name)
		r.at(done)
	}},
	{"promote --full passes over everything", plan{background: true}, func(r *release) {
		r.do("promote", name, "--full")
		r.at(done)
	}},
	{"promote --skip-current-step passes over the pause", plan{}, func(r *release) {
		r.do("promote", name, "--skip-current-step")
		r.at(atFifty)
	}},
	{"promote --skip-all-steps passes over the rest", plan{}, func(r *release) {
		r.do("promote", name, "--skip-all-steps")
		r.at(done)
	}},
	{"abort brings the traffic back, retry starts over", plan{background: true}, func(r *release) {
		r.do("abort", name)
		r.at(aborted)
		r.do("retry", "rollout", name)
		r.at(atTwenty)
		r.do("promote", name, "--full")
		r.at(done)
	}},
	{"pause holds it, promote lets it go", plan{}, func(r *release) {
		r.do("pause", name)
		r.Eventually("it is paused by hand", func() error {
			if ro := r.Phase(r.ns, name, paused); !ro.Spec.Paused || ro.Status.Message != "manually paused" {
				return fmt.Errorf("spec.paused %v, %s", ro.Spec.Paused, ro.Status.Message)
			}
			return nil
		})
		r.do("promote", name)
		if ro := r.at(atFifty); ro.Spec.Paused {
			r.Error("spec.paused is still set")
		}
	}},
	{"undo goes back to the stable revision at once", plan{}, func(r *release) {
		before := r.rollout()
		r.do("undo", name)
		after := r.at(place{phase: healthy, step: 4, weights: "100/0", image: "1.0.0"})
		if after.Status.StableRS != before.Status.StableRS || after.Status.CurrentPodHash != before.Status.StableRS {
			r.Errorf("stable was %s and is %s, current %s", before.Status.StableRS, after.Status.StableRS, after.Status.CurrentPodHash)
		}
	}},
	{"undo --to-revision makes an old revision the next canary", plan{}, func(r *release) {
		r.do("promote", name, "--full")
		r.at(done)
		r.do("undo", name, "--to-revision=1")
		r.at(place{phase: paused, step: 1, weights: "80/20", image: "1.1.0"})
		if got := len(r.replicaSets()); got != 2 {
			r.Errorf("there are %d ReplicaSets, want the old one used again", got)
		}
		r.do("promote", name, "--full")
		r.at(place{phase: healthy, step: 4, weights: "100/0", image: "1.0.0"})
	}},
	{"set image starts a release", plan{}, func(r *release) {
		r.do("promote", name, "--full")
		r.at(done)
		r.do("set", "image", name, "checkout=registry.internal/checkout:1.2.0")
		r.at(place{phase: paused, step: 1, weights: "80/20", image: "1.1.0"})
		if got := r.rollout().Spec.Template.Spec.Containers[0].Image; got != "registry.internal/checkout:1.2.0" {
			r.Errorf("the image is %s", got)
		}
	}},
	{"terminate analysisrun ends the guard", plan{background: true}, func(r *release) {
		r.Eventually("there is a guard with readings", func() error { return r.counted(1, 2) })
		run := r.runs()[0].Name
		r.do("terminate", "analysisrun", run)
		r.Eventually("the run has ended", func() error {
			for _, run := range r.runs() {
				if run.Spec.Terminate && run.Status.Phase.Completed() {
					return nil
				}
			}
			return fmt.Errorf("runs are %+v", r.runs())
		})
		if got := r.weights(); got != "80/20" {
			r.Errorf("the weights are %s", got)
		}
	}},
	{"several names are several rollouts", plan{}, func(r *release) {
		code, out := r.command(r.cli, r.ns, "abort", name, "missing")
		if code == 0 || !strings.Contains(out, "missing") {
			r.Errorf("a missing name: %d, %s", code, out)
		}
		r.at(aborted)
	}},
	{"restart replaces the pods and nothing else", plan{}, func(r *release) {
		r.do("promote", name, "--full")
		r.at(done)
		r.Eventually("the old revision has no pods", func() error {
			if n := len(r.pods()); n != 5 {
				return fmt.Errorf("there are %d pods", n)
			}
			return nil
		})
		before := r.pods()
		r.do("restart", name)
		r.Eventually("every pod is another one", func() error {
			after := r.pods()
			same := slices.DeleteFunc(slices.Clone(after), func(p string) bool { return !slices.Contains(before, p) })
			if len(same) > 0 || len(after) != len(before) {
				return fmt.Errorf("%d of %d pods are the old ones; restartAt %v", len(same), len(after), r.rollout().Spec.RestartAt)
			}
			return nil
		})
		r.at(done)
	}},
}

// counted is nil once there are as many analysis runs, one of them with as many
// readings.
func (r *release) counted(runs, readings int) error {
	got, most := r.runs(), 0
	for _, run := range got {
		for _, m := range run.Status.MetricResults {
			most = max(most, len(m.Measurements))
		}
	}
	if len(got) != runs || most < readings {
		return fmt.Errorf("there are %d runs with %d readings", len(got), most)
	}
	return nil
}

// drives runs every verb of one side's command line on the other's controller.
func drives(t *testing.T, cli, controller side) {
	s := newStand(t)
	s.run(controller)
	for i, v := range verbs {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			r := s.release(t, fmt.Sprintf("verb-%02d", i), cli, v.plan)
			r.deploy("1.1.0")
			r.at(atTwenty)
			v.do(r)
		})
	}
}

func TestTheirPluginDrivesOurController(t *testing.T) {
	ours, theirs := sides(t)
	drives(t, theirs, ours)
}

func TestOurCommandsDriveTheirController(t *testing.T) {
	ours, theirs := sides(t)
	drives(t, ours, theirs)
}

func TestBothPrintTheSame(t *testing.T) {
	ours, theirs := sides(t)
	s := newStand(t)
	s.run(ours)
	r := s.release(t, "tree", theirs, plan{})
	r.deploy("1.1.0")
	r.at(atTwenty)
	plain := side{name: "sluice by its own name", cli: os.Getenv("SLUICE_BIN")}
	for _, args := range [][]string{{"status", name, "--watch=false"}, {"list", "rollouts"}} {
		_, want := s.command(theirs, "tree", args...)
		for _, who := range []side{ours, plain} {
			_, got := s.command(who, "tree", args...)
			if diff := cmp.Diff(strings.Fields(want), strings.Fields(got)); diff != "" {
				t.Errorf("%v of %s (-theirs +ours):\n%s", args, who.name, diff)
			}
		}
	}
	_, want := s.command(theirs, "tree", "get", "rollout", name, "--no-color")
	_, got := s.command(ours, "tree", "get", "rollout", name, "--no-color")
	if missing := lacks(got, summary(want)...); len(missing) > 0 {
		t.Errorf("ours lacks %q of theirs:\n%s\nours:\n%s", missing, want, got)
	}
}

// summary are the lines of a tree, up to the state that they tell: ages differ,
// the icon of a pause does on purpose, and so does the order of images.
func summary(tree string) []string {
	var out []string
	for line := range strings.Lines(strings.ReplaceAll(tree, "॥", "‖")) {
		fields := strings.Fields(strings.Replace(line, "Images:", "", 1))
		if len(fields) == 0 || strings.Contains(line, "KIND") {
			continue
		}
		if i := slices.IndexFunc(fields, func(f string) bool { return f == "Running" || f == "Healthy" || f == "Paused" }); i >= 0 {
			fields = fields[:i+1]
		}
		out = append(out, strings.Join(fields, " "))
	}
	return out
}

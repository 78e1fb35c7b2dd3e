// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.dev/sluice/internal/rollout"
	"sluice.dev/sluice/internal/sim"
)

var update = flag.Bool("update", false, "rewrite the stories in testdata")

// guide is the rollout of the guide: 10, 25, 50 and 100 %, an analysis at each
// and a guard behind them all.
func guide() rollout.Spec {
	spec := routed(4,
		weight(10), pauseFor(2*time.Minute), judge(),
		weight(25), pauseFor(5*time.Minute), judge(),
		weight(50), pauseFor(5*time.Minute), judge(),
		weight(100))
	spec.Background = true
	spec.ProgressDeadline = 10 * time.Minute
	return spec
}

func pauseFor(d time.Duration) rollout.Step {
	return rollout.Step{Kind: rollout.StepPause, Duration: d}
}

// healthy ends every step's analysis well after five minutes, and gives the
// guard its first good reading after one.
func healthy(s *sim.Story, name string, r sim.Run) {
	ref := &rollout.RunRef{Name: name}
	if r.Kind == rollout.RunKindBackground {
		s.After(time.Minute, name+" has a first good reading", func(w *sim.World) bool {
			return w.SetRun(ref, func(r *sim.Run) { r.Ready = true })
		})
		return
	}
	s.After(5*time.Minute, name+" passes", func(w *sim.World) bool { return w.End(ref, rollout.RunSuccessful, "") })
}

// person is something that a person does, which always happens.
func person(do func(*sim.World)) func(*sim.World) bool {
	return func(w *sim.World) bool { do(w); return true }
}

const failed = "metric error-rate: 3 measurements failed, limit 2"

func stories() map[string]func(*sim.Story) {
	on := func(kind rollout.RunKind, step int, then func(s *sim.Story, name string, ref *rollout.RunRef)) func(*sim.Story, string, sim.Run) {
		return func(s *sim.Story, name string, r sim.Run) {
			if r.Kind != kind || r.Step != step && kind == rollout.RunKindStep || r.Attempt > 1 {
				healthy(s, name, r)
				return
			}
			then(s, name, &rollout.RunRef{Name: name})
		}
	}
	fails := func(s *sim.Story, name string, ref *rollout.RunRef) {
		s.After(3*time.Minute, name+" fails", func(w *sim.World) bool { return w.End(ref, rollout.RunFailed, failed) })
	}
	return map[string]func(*sim.Story){
		"good":              func(s *sim.Story) { s.Started = healthy },
		"bad-at-first-gate": func(s *sim.Story) { s.Started = on(rollout.RunKindStep, 2, fails) },
		"held-in-the-band": func(s *sim.Story) {
			s.Started = on(rollout.RunKindStep, 2, func(s *sim.Story, name string, ref *rollout.RunRef) {
				s.After(time.Minute, name+" holds: 2 % errors", func(w *sim.World) bool {
					return w.SetRun(ref, func(r *sim.Run) { r.HoldUntil = w.Now.Add(30 * time.Minute) })
				})
				s.After(40*time.Minute, name+" passes", func(w *sim.World) bool { return w.End(ref, rollout.RunSuccessful, "") })
			})
		},
		"promoted-out-of-a-hold": func(s *sim.Story) {
			s.Started = on(rollout.RunKindStep, 2, func(s *sim.Story, name string, ref *rollout.RunRef) {
				s.After(time.Minute, name+" holds: 2 % errors", func(w *sim.World) bool {
					return w.SetRun(ref, func(r *sim.Run) { r.HoldUntil = w.Now.Add(30 * time.Minute) })
				})
				s.After(35*time.Minute, "somebody promotes", person((*sim.World).Promote))
			})
		},
		"bad-at-half": func(s *sim.Story) {
			s.Started = on(rollout.RunKindBackground, 0, func(s *sim.Story, name string, ref *rollout.RunRef) {
				healthy(s, name, sim.Run{Kind: rollout.RunKindBackground})
				s.After(25*time.Minute, name+" fails", func(w *sim.World) bool { return w.End(ref, rollout.RunFailed, failed) })
			})
		},
		"new-template-half-way": func(s *sim.Story) {
			s.Started = healthy
			s.After(10*time.Minute, "v3 is asked for", person(func(w *sim.World) {
				w.Ask(func(spec *rollout.Spec) { spec.Revision = v3 })
			}))
		},
		"back-to-stable-half-way": func(s *sim.Story) {
			s.Started = healthy
			s.After(10*time.Minute, "v1 is asked for again", person(func(w *sim.World) {
				w.Ask(func(spec *rollout.Spec) { spec.Revision = v1 })
			}))
		},
		"abort-and-retry": func(s *sim.Story) {
			s.Started = healthy
			s.After(4*time.Minute, "somebody aborts", person((*sim.World).Abort))
			s.After(10*time.Minute, "somebody retries", person((*sim.World).Retry))
		},
		"pods-never-come": func(s *sim.Story) {
			s.PodDelay = 30 * time.Minute
			s.Started = healthy
		},
		"promote-full": func(s *sim.Story) {
			s.Started = healthy
			s.After(3*time.Minute, "somebody promotes in full", person((*sim.World).PromoteFull))
		},
	}
}

// TestStories plays whole rollouts. Read the files as prose.
func TestStories(t *testing.T) {
	t.Parallel()
	for name, tell := range stories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sim.Story{World: released(t, guide()), PodDelay: 10 * time.Second}
			tell(s)
			if n := s.Play(300); n == 300 {
				t.Errorf("no end after %d passes", n)
			}
			compare(t, filepath.Join("testdata", name+".story"), s.Text())
		})
	}
	t.Run("first", func(t *testing.T) {
		t.Parallel()
		s := &sim.Story{World: sim.New("web", t0, guide()), PodDelay: 10 * time.Second, Started: healthy}
		s.Play(300)
		compare(t, filepath.Join("testdata", "first.story"), s.Text())
	})
	t.Run("pods-share", func(t *testing.T) {
		t.Parallel()
		spec := shared(4, weight(25), pauseFor(time.Minute), judge(), weight(50), judge())
		spec.Background = true
		s := &sim.Story{World: released(t, spec), PodDelay: 10 * time.Second, Started: healthy}
		s.Play(300)
		compare(t, filepath.Join("testdata", "pods-share.story"), s.Text())
	})
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got), rewrite it with -update:\n%s", path, diff)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package pods

import (
	"math/rand/v2"
	"testing"
	"time"
)

// of makes the version of a tag whose image has only it, with a share to meter.
func of(tag string, m *meter) *version {
	return &version{Behaviour: Parse("checkout:" + tag), tag: tag, share: m, rng: rand.New(rand.NewPCG(1, 2))}
}

// failures asks v n times, step apart, and returns how many of the replies failed
// and when the last one was asked for.
func failures(v *version, n int, from time.Time, step time.Duration) (int, time.Time) {
	bad := 0
	for range n {
		if v.next(from, -1).failed {
			bad++
		}
		from = from.Add(step)
	}
	return bad, from
}

func TestErrorsAreSpreadEvenly(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	cases := map[string]struct {
		tag  string
		want int // of 150, what a short window holds
	}{
		"eight percent":  {tag: "1-errors8", want: 12},
		"six percent":    {tag: "1-errors6", want: 9},
		"two percent":    {tag: "1-errors2", want: 3},
		"none":           {tag: "1", want: 0},
		"half a percent": {tag: "1-errors0.5", want: 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := of(tc.tag, &meter{})
			got, at := failures(v, 150, start, 50*time.Millisecond)
			if diff := got - tc.want; diff < -1 || diff > 1 {
				t.Errorf("first window has %d failures, want %d, one more or less", got, tc.want)
			}
			got, _ = failures(v, 150, at, 50*time.Millisecond)
			if diff := got - tc.want; diff < -1 || diff > 1 {
				t.Errorf("second window has %d failures, want %d, one more or less", got, tc.want)
			}
		})
	}
}

func TestBaselineLeavesWindowsWithoutAnError(t *testing.T) {
	t.Parallel()
	v := of("1.0.0", &meter{})
	now := time.Unix(1000, 0)
	clean, errors := 0, 0
	for range 1000 {
		before := errors
		for range 150 {
			if v.next(now, DefaultBaseline).failed {
				errors++
			}
			now = now.Add(50 * time.Millisecond)
		}
		if errors == before {
			clean++
		}
	}
	if errors == 0 || errors > 150 {
		t.Errorf("150,000 requests had %d errors, want some and at most 0.1 %%", errors)
	}
	if clean < 800 {
		t.Errorf("%d of 1,000 windows had no error, want most", clean)
	}
}

// split sends 400 requests over two seconds, every nth of them to canary, and
// returns how many of the canary's failed.
func split(stable, canary *version, every int, from time.Time) (bad int, now time.Time) {
	now = from
	for i := range 400 {
		v := stable
		if i%every == 0 {
			v = canary
		}
		if v.next(now, -1).failed {
			bad++
		}
		now = now.Add(5 * time.Millisecond)
	}
	return bad, now
}

func TestFaultsStartAtAShareOfTheTraffic(t *testing.T) {
	t.Parallel()
	m := &meter{}
	stable, canary := of("1.0.0", m), of("1.4.0-errors25-at50", m)
	now := time.Unix(1000, 0)
	bad, now := split(stable, canary, 10, now)
	if bad != 0 {
		t.Errorf("at a tenth of the traffic %d requests failed, want 0", bad)
	}
	bad, now = split(stable, canary, 4, now)
	if bad != 0 {
		t.Errorf("at a quarter of the traffic %d requests failed, want 0", bad)
	}
	bad, now = split(stable, canary, 2, now)
	if bad < 20 {
		t.Errorf("at half of the traffic %d of 200 requests failed, want a quarter of those after the first second", bad)
	}
	// The share is of the last second, so the first requests of the next two
	// seconds still count as half.
	_, now = split(stable, canary, 10, now)
	if bad, _ = split(stable, canary, 10, now); bad != 0 {
		t.Errorf("back at a tenth %d requests failed, want 0", bad)
	}
}

func TestFaultsEnd(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	t.Run("after the time in the tag", func(t *testing.T) {
		t.Parallel()
		v := of("1-errors50-for2", &meter{})
		bad, at := failures(v, 20, start, 100*time.Millisecond)
		if bad != 10 {
			t.Errorf("in the first two seconds %d of 20 requests failed, want 10", bad)
		}
		if bad, _ = failures(v, 20, at, 100*time.Millisecond); bad != 0 {
			t.Errorf("afterwards %d requests failed, want 0", bad)
		}
	})
	t.Run("when it turns", func(t *testing.T) {
		t.Parallel()
		v := of("1-errors50", &meter{})
		_, at := failures(v, 20, start, 100*time.Millisecond)
		v.turn()
		if bad, _ := failures(v, 20, at, 100*time.Millisecond); bad != 0 {
			t.Errorf("after its turn %d requests failed, want 0", bad)
		}
	})
}

func TestErrorsChangeWhenTheVersionTurns(t *testing.T) {
	t.Parallel()
	v := of("1-errors2-then6", &meter{})
	bad, at := failures(v, 100, time.Unix(1000, 0), 50*time.Millisecond)
	if bad != 2 {
		t.Errorf("at first %d of 100 requests failed, want 2", bad)
	}
	v.turn()
	if bad, _ = failures(v, 100, at, 50*time.Millisecond); bad != 6 {
		t.Errorf("after its turn %d of 100 requests failed, want 6", bad)
	}
}

func TestTailIsSeenByTheP99(t *testing.T) {
	t.Parallel()
	v := of("1-tail900", &meter{})
	slow := 0
	for range 1000 {
		if r := v.next(time.Unix(1000, 0), -1); r.delay >= 900*time.Millisecond {
			slow++
		}
	}
	if slow < 15 || slow > 60 {
		t.Errorf("%d of 1,000 replies were slow, want about %d", slow, 10*TailPercent)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice.dev/sluice/internal/replicas"
)

type (
	pool  = replicas.Pool
	state = replicas.State
	sizes = replicas.Sizes
)

func TestNext(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		why  string
		in   state
		want sizes
	}{
		"a first rollout starts all pods": {
			in:   state{Replicas: 4, MaxSurge: 1, MaxUnavailable: 1},
			want: sizes{Stable: 4},
		},
		"the canary grows before stable shrinks": {
			in:   state{Replicas: 4, Weight: 50, MaxSurge: 1, MaxUnavailable: 1, Stable: pool{4, 4}},
			want: sizes{Canary: 1, Stable: 4},
		},
		"stable shrinks once the canary is available": {
			in:   state{Replicas: 4, Weight: 50, MaxSurge: 1, Canary: pool{1, 1}, Stable: pool{4, 4}},
			want: sizes{Canary: 1, Stable: 3},
		},
		"a canary on its way is waited for": {
			why:  "Removing a stable pod now would lose capacity that is about to come.",
			in:   state{Replicas: 4, Weight: 50, MaxSurge: 1, MaxUnavailable: 1, Canary: pool{1, 0}, Stable: pool{4, 4}},
			want: sizes{Canary: 1, Stable: 4},
		},
		"without room to grow stable shrinks as far as allowed": {
			in:   state{Replicas: 4, Weight: 50, MaxUnavailable: 1, Stable: pool{4, 4}},
			want: sizes{Stable: 3},
		},
		"a single pod without surge is given up": {
			in:   state{Replicas: 1, Weight: 100, MaxUnavailable: 1, Stable: pool{1, 1}},
			want: sizes{},
		},
		"neither surge nor unavailable is one unavailable": {
			in:   state{Replicas: 4, Weight: 50, Stable: pool{4, 4}},
			want: sizes{Stable: 3},
		},
		"pods that are not available go first and for free": {
			in:   state{Replicas: 4, Weight: 50, MaxSurge: 1, Stable: pool{4, 2}},
			want: sizes{Canary: 1, Stable: 2},
		},
		"an abort grows stable and removes what it may of the canary at once": {
			in:   state{Replicas: 4, MaxSurge: 1, MaxUnavailable: 1, Canary: pool{2, 2}, Stable: pool{2, 2}},
			want: sizes{Canary: 1, Stable: 3},
		},
		"an abort removes a canary that is not available at once": {
			in:   state{Replicas: 4, MaxSurge: 1, Canary: pool{2, 0}, Stable: pool{3, 3}},
			want: sizes{Stable: 3},
		},
		"older revisions go before anything else": {
			in:   state{Replicas: 4, Weight: 50, MaxSurge: 1, MaxUnavailable: 1, Stable: pool{3, 3}, Older: []pool{{0, 0}, {2, 1}}},
			want: sizes{Stable: 3, Older: []int32{0, 0}},
		},
		"below the floor nothing available is removed": {
			in:   state{Replicas: 4, Weight: 50, MaxUnavailable: 1, Canary: pool{0, 0}, Stable: pool{4, 2}},
			want: sizes{Stable: 2},
		},
		"a smaller rollout": {
			in:   state{Replicas: 2, MaxSurge: 1, Stable: pool{5, 5}},
			want: sizes{Stable: 2},
		},
		"nothing at all": {in: state{Older: []pool{}}},
		"more available than asked for": {
			why:  "Pods that are being removed are not counted on.",
			in:   state{Replicas: 4, Weight: 50, MaxSurge: 1, Canary: pool{1, 1}, Stable: pool{3, 5}},
			want: sizes{Canary: 2, Stable: 3},
		},
		"stable grows before the canary": {
			in:   state{Replicas: 8, Weight: 50, MaxUnavailable: 2, Canary: pool{1, 1}, Stable: pool{1, 1}, Older: []pool{{4, 4}}},
			want: sizes{Canary: 1, Stable: 3, Older: []int32{4}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.want.Older == nil {
				tc.want.Older = []int32{}
			}
			if diff := cmp.Diff(tc.want, replicas.Next(tc.in)); diff != "" {
				t.Errorf("%s\n(-want +got):\n%s", tc.why, diff)
			}
		})
	}
}

// safe checks one call of Next against what its comment promises, for any
// subset of its writes.
func safe(s state, next sizes) error {
	canary, stable := replicas.Want(s.Replicas, s.Weight, s.MaxSurge)
	now := append([]pool{s.Canary, s.Stable}, s.Older...)
	to := append([]int32{next.Canary, next.Stable}, next.Older...)
	goal := append([]int32{canary, stable}, make([]int32, len(s.Older))...)
	floor := s.Replicas - s.MaxUnavailable
	if s.MaxSurge == 0 && s.MaxUnavailable == 0 {
		floor = s.Replicas - 1
	}
	var asked, available int32
	for i, p := range now {
		asked += p.Desired
		available += min(p.Available, p.Desired)
		if to[i] < min(p.Desired, goal[i]) || to[i] > max(p.Desired, goal[i]) {
			return fmt.Errorf("revision %d goes from %d to %d, away from %d", i, p.Desired, to[i], goal[i])
		}
	}
	for subset := range 1 << len(now) {
		var pods, left int32
		for i, p := range now {
			size := p.Desired
			if subset>>i&1 == 1 {
				size = to[i]
			}
			pods += size
			left += min(p.Available, size, p.Desired)
		}
		if pods > max(asked, s.Replicas+s.MaxSurge) {
			return fmt.Errorf("writes %b ask for %d pods, more than %d", subset, pods, s.Replicas+s.MaxSurge)
		}
		if left < min(available, floor) {
			return fmt.Errorf("writes %b leave %d available, fewer than %d", subset, left, floor)
		}
	}
	return nil
}

// arrived reports whether s has its wanted sizes, all available.
func arrived(s state) bool {
	canary, stable := replicas.Want(s.Replicas, s.Weight, s.MaxSurge)
	return s.Canary == pool{canary, canary} && s.Stable == pool{stable, stable} &&
		!slices.ContainsFunc(s.Older, func(p pool) bool { return p != pool{} })
}

// resized is s after its ReplicaSets took some of the sizes.
func resized(s state, next sizes, subset int) state {
	size := func(p pool, n int32, i int) pool {
		if subset>>i&1 == 0 {
			return p
		}
		return pool{Desired: n, Available: min(p.Available, n)}
	}
	s.Canary, s.Stable = size(s.Canary, next.Canary, 0), size(s.Stable, next.Stable, 1)
	s.Older = slices.Clone(s.Older)
	for i := range s.Older {
		s.Older[i] = size(s.Older[i], next.Older[i], i+2)
	}
	return s
}

// settles runs s on with pods that all become available, and checks that it
// arrives.
func settles(s state) error {
	const passes = 200
	for range passes {
		if arrived(s) {
			return nil
		}
		next := replicas.Next(s)
		if err := safe(s, next); err != nil {
			return fmt.Errorf("%+v: %w", s, err)
		}
		s = resized(s, next, -1)
		s.Canary.Available, s.Stable.Available = s.Canary.Desired, s.Stable.Desired
		for i := range s.Older {
			s.Older[i].Available = s.Older[i].Desired
		}
	}
	return fmt.Errorf("%+v: not at its sizes after %d passes", s, passes)
}

// Every weight of every small Rollout, from every way to stand there with all
// pods available.
func TestNextArrivesFromEverywhere(t *testing.T) {
	t.Parallel()
	for n := int32(0); n <= 12; n++ {
		for weight := int32(0); weight <= 100; weight++ {
			for _, bounds := range [][2]int32{{0, 1}, {1, 0}, {1, 1}, {3, 3}, {0, 12}, {0, 0}} {
				for canary := int32(0); canary <= n+1; canary += max(1, n/3) {
					s := state{
						Replicas: n, Weight: weight, MaxSurge: bounds[0], MaxUnavailable: bounds[1],
						Canary: pool{canary, canary}, Stable: pool{n - min(canary, n), n - min(canary, n)},
					}
					if err := settles(s); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// Every world that a small Rollout can get into when any of the writes land,
// pods become available and die, and the weight changes: all are safe, and all
// arrive once pods stay up.
func TestNextInEveryWorld(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		replicas, surge, unavailable int32
		weights                      []int32
	}{
		{1, 1, 0, []int32{50, 0}},
		{1, 0, 1, []int32{100, 0}},
		{2, 1, 0, []int32{50, 100}},
		{3, 1, 1, []int32{34, 0}},
		{3, 0, 1, []int32{50, 100}},
		{4, 1, 1, []int32{50, 0}},
		{4, 2, 0, []int32{75, 25}},
	} {
		t.Run(fmt.Sprintf("%d+%d-%d", tc.replicas, tc.surge, tc.unavailable), func(t *testing.T) {
			t.Parallel()
			start := state{
				Replicas: tc.replicas, Weight: tc.weights[0], MaxSurge: tc.surge, MaxUnavailable: tc.unavailable,
				Stable: pool{tc.replicas, tc.replicas}, Older: []pool{{1, 1}},
			}
			seen := map[string]bool{fmt.Sprint(start): true}
			for queue := []state{start}; len(queue) > 0; queue = queue[1:] {
				s := queue[0]
				if err := safe(s, replicas.Next(s)); err != nil {
					t.Fatalf("%+v: %v", s, err)
				}
				if err := settles(s); err != nil {
					t.Fatal(err)
				}
				for _, next := range events(s, tc.weights) {
					if key := fmt.Sprint(next); !seen[key] {
						seen[key] = true
						queue = append(queue, next)
					}
				}
			}
			t.Logf("%d worlds", len(seen))
		})
	}
}

// events are the worlds one event away from s.
func events(s state, weights []int32) []state {
	var out []state
	next := replicas.Next(s)
	for subset := range 1 << (2 + len(s.Older)) {
		out = append(out, resized(s, next, subset))
	}
	for i := range 2 + len(s.Older) {
		for _, change := range []int32{1, -1} {
			other := s
			other.Older = slices.Clone(s.Older)
			p := &other.Canary
			if i == 1 {
				p = &other.Stable
			} else if i > 1 {
				p = &other.Older[i-2]
			}
			if n := p.Available + change; n >= 0 && n <= p.Desired {
				p.Available = n
				out = append(out, other)
			}
		}
	}
	for _, weight := range weights {
		other := s
		other.Weight = weight
		out = append(out, other)
	}
	return out
}

func TestNextIsSafeAnywhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		anyPool := rapid.Custom(func(t *rapid.T) pool {
			desired := rapid.Int32Range(0, 30).Draw(t, "desired")
			return pool{desired, rapid.Int32Range(0, desired+2).Draw(t, "available")}
		})
		s := state{
			Replicas:       rapid.Int32Range(0, 25).Draw(t, "replicas"),
			Weight:         rapid.Int32Range(0, 100).Draw(t, "weight"),
			MaxSurge:       rapid.Int32Range(0, 25).Draw(t, "surge"),
			MaxUnavailable: rapid.Int32Range(0, 25).Draw(t, "unavailable"),
			Canary:         anyPool.Draw(t, "canary"),
			Stable:         anyPool.Draw(t, "stable"),
			Older:          rapid.SliceOfN(anyPool, 0, 3).Draw(t, "older"),
		}
		if err := safe(s, replicas.Next(s)); err != nil {
			t.Error(err)
		}
		if err := settles(s); err != nil {
			t.Error(err)
		}
	})
}

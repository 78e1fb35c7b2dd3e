// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"slices"
	"time"

	"sluice.dev/sluice/playground/bench/aborts"
	"sluice.dev/sluice/playground/bench/audit"
	"sluice.dev/sluice/playground/bench/canaries"
	"sluice.dev/sluice/playground/bench/report"
)

// A reference is what Argo Rollouts 1.10.1 was measured at for a number of
// canaries; 0 where it was not.
type reference struct{ wall, cpu, peak, all, events float64 }

// references are with the default rate limits, and with --qps 1000 --burst 2000.
var references = map[int][2]reference{
	100: {{26, 6.1, 135, 24.7, 7.7}, {16, 5.8, 112, 40.9, 10.8}},
	500: {{142, 32, 174, 24.6, 0}, {}},
}

// The goals per canary, and for memory by the number of canaries.
const (
	goalRequests = 10
	goalEvents   = 4
)

var goalMemory = map[int]float64{100: 80, 500: 110}

// better is the lower of two references, divided; nil if there is none.
func better(n int, part func(reference) float64, divided float64) report.Value {
	var best report.Value
	for _, r := range references[n] {
		if v := part(r); v > 0 && (best == nil || v/divided < *best) {
			best = report.Of(v / divided)
		}
	}
	return best
}

func known(v float64) report.Value {
	if v == 0 {
		return nil
	}
	return report.Of(v)
}

// costSection draws what n canaries cost.
func costSection(n int, costs [3]*canaries.Cost) report.Section {
	s := report.Section{Title: fmt.Sprintf("%d canaries at once (2 replicas; 20 %% / pause 1 s / 60 %%; no router; simulated nodes)", n)}
	add := func(f report.Figure, part func(reference) float64, ours func(*canaries.Cost) float64) {
		if part != nil {
			f.Argo = [2]report.Value{known(part(references[n][0])), known(part(references[n][1]))}
		}
		into := [3]*report.Value{&f.Ours, &f.Peer[0], &f.Peer[1]}
		for i, c := range costs {
			if c != nil {
				*into[i] = report.Of(ours(c))
			}
		}
		s.Figures = append(s.Figures, f)
	}
	wall, cpu := func(r reference) float64 { return r.wall }, func(r reference) float64 { return r.cpu }
	add(report.Figure{Name: "wall time", Unit: "s", Digits: 1, Goal: better(n, wall, 2)}, wall,
		func(c *canaries.Cost) float64 { return c.Wall.Seconds() })
	add(report.Figure{Name: "controller's CPU time", Unit: "s", Digits: 2, Goal: better(n, cpu, 3)}, cpu,
		func(c *canaries.Cost) float64 { return c.CPU.Seconds() })
	add(report.Figure{Name: "peak memory", Unit: "MB", Digits: 1, Goal: known(goalMemory[n])}, func(r reference) float64 { return r.peak },
		func(c *canaries.Cost) float64 { return c.Peak })
	add(report.Figure{Name: "memory afterwards", Unit: "MB", Digits: 1}, nil,
		func(c *canaries.Cost) float64 { return c.Memory })
	add(report.Figure{Name: "requests per canary", Digits: 2, Goal: report.Of(goalRequests)},
		func(r reference) float64 {
			if r.events == 0 {
				return 0
			}
			return r.all - r.events
		},
		func(c *canaries.Cost) float64 { return float64(c.Tally.Requests) / float64(n) })
	add(report.Figure{Name: "Events per canary", Digits: 2, Goal: report.Of(goalEvents)}, func(r reference) float64 { return r.events },
		func(c *canaries.Cost) float64 { return float64(c.Tally.Events) / float64(n) })
	add(report.Figure{Name: "requests and Events per canary", Digits: 2}, func(r reference) float64 { return r.all },
		func(c *canaries.Cost) float64 { return float64(c.Tally.Requests+c.Tally.Events) / float64(n) })
	add(report.Figure{Name: "answered with 409 (conflict)"}, nil, func(c *canaries.Cost) float64 { return float64(c.Tally.Conflicts) })
	add(report.Figure{Name: "answered with another error"}, nil, func(c *canaries.Cost) float64 { return float64(c.Tally.Errors) })
	names := [3]string{"sluice", "peer", "peer with qps 1000"}
	for i, c := range costs {
		if c != nil {
			s.Notes = append(s.Notes, names[i]+", requests per canary by verb and resource:")
			s.Notes = append(s.Notes, kinds(&c.Tally, n)...)
		}
	}
	return s
}

// kinds lists a tally, two kinds on a line.
func kinds(t *audit.Tally, n int) []string {
	var out []string
	for i, k := range t.Sorted() {
		text := fmt.Sprintf("%8.2f  %-36s", float64(t.Kinds[k])/float64(n), k)
		if i%2 == 0 {
			out = append(out, text)
			continue
		}
		out[len(out)-1] += text
	}
	return out
}

// idleSection draws what idle controllers asked for.
func idleSection(idles [3]*canaries.Idle) report.Section {
	first := idles[0]
	s := report.Section{Title: fmt.Sprintf("Idle with %d rollouts, for %s", first.N, first.For)}
	requests := report.Figure{Name: "requests but watches and the lease", Goal: report.Of(0)}
	lease := report.Figure{Name: "watches and the lease"}
	cpu := report.Figure{Name: "controller's CPU time", Unit: "ms"}
	for i, idle := range idles {
		if idle == nil {
			continue
		}
		all := 0
		for _, n := range idle.Tally.Kinds {
			all += n
		}
		rest := idle.Tally.Requests + idle.Tally.Events
		for f, v := range map[*report.Figure]float64{
			&requests: float64(rest), &lease: float64(all - rest), &cpu: float64(idle.CPU.Milliseconds()),
		} {
			*[3]*report.Value{&f.Ours, &f.Peer[0], &f.Peer[1]}[i] = report.Of(v)
		}
	}
	s.Figures = []report.Figure{requests, lease, cpu}
	if first.Tally.Requests+first.Tally.Events > 0 {
		s.Notes = append(s.Notes, "sluice, requests by verb and resource:")
		s.Notes = append(s.Notes, kinds(&first.Tally, 1)...)
	}
	return s
}

// A quantile of the aborts' latencies.
type quantile struct {
	name  string
	share float64
	goal  float64 // ms
	argo  [2]float64
}

// abortSections draws the aborts.
func abortSections(taken [3]*abortTimes) []report.Section {
	alone := latencies("Aborts one at a time: from the failing reply to weight 0 stored", taken,
		func(t *abortTimes) []aborts.Sample { return t.alone }, []quantile{
			{name: "p50", share: 0.5},
			{name: "p99", share: 0.99, goal: 100},
			{name: "worst", share: 1},
		})
	atOnce := latencies(fmt.Sprintf("Aborts, %d at once: from the failing reply to weight 0 stored", aborts.Together), taken,
		func(t *abortTimes) []aborts.Sample { return t.atOnce }, []quantile{
			{name: "p50", share: 0.5, goal: 100, argo: [2]float64{950, 589}},
			{name: "p90", share: 0.9, argo: [2]float64{1672, 722}},
			{name: "worst", share: 1, goal: 250},
		})
	f := taken[0].fsync
	atOnce.Notes = append(atOnce.Notes, fmt.Sprintf("etcd's fsync meanwhile: mean %.2f ms, p50 <= %.0f ms, p99 <= %.0f ms (%.0f of them)",
		ms(f.Mean()), ms(f.AtMost(0.5)), ms(f.AtMost(0.99)), f.Count))
	return []report.Section{alone, atOnce}
}

func latencies(title string, taken [3]*abortTimes, of func(*abortTimes) []aborts.Sample, quantiles []quantile) report.Section {
	s := report.Section{Title: fmt.Sprintf("%s (%d aborts)", title, len(of(taken[0])))}
	for _, q := range quantiles {
		f := report.Figure{Name: q.name, Unit: "ms", Digits: 0, Goal: known(q.goal), Below: true}
		f.Argo = [2]report.Value{known(q.argo[0]), known(q.argo[1])}
		into := [3]*report.Value{&f.Ours, &f.Peer[0], &f.Peer[1]}
		for i, t := range taken {
			if t != nil {
				*into[i] = report.Of(ms(at(of(t), q.share, (*aborts.Sample).Latency)))
			}
		}
		s.Figures = append(s.Figures, f)
	}
	ours := of(taken[0])
	part := func(end func(*aborts.Sample) time.Time) float64 {
		return ms(at(ours, 0.5, func(a *aborts.Sample) time.Duration { return end(a).Sub(a.Reply) }))
	}
	s.Notes = append(s.Notes, fmt.Sprintf("sluice, p50: first write arrives after %.1f ms, the status is stored after %.1f, the weight after %.1f,",
		part(func(a *aborts.Sample) time.Time { return a.Judged }),
		part(func(a *aborts.Sample) time.Time { return a.Committed }),
		part(func(a *aborts.Sample) time.Time { return a.Stored })),
		fmt.Sprintf("and a watch shows it after %.1f ms", part(func(a *aborts.Sample) time.Time { return a.Seen })))
	slowest := slices.MaxFunc(ours, func(a, b aborts.Sample) int { return int(a.Latency() - b.Latency()) })
	s.Notes = append(s.Notes, "sluice, the slowest one's requests:")
	for _, r := range slowest.Requests {
		s.Notes = append(s.Notes, "  "+r)
	}
	return s
}

// at is a quantile of what of says of the samples, by the nearest rank.
func at(samples []aborts.Sample, share float64, of func(*aborts.Sample) time.Duration) time.Duration {
	all := make([]time.Duration, len(samples))
	for i := range samples {
		all[i] = of(&samples[i])
	}
	slices.Sort(all)
	rank := int(share*float64(len(all))+0.999999) - 1
	return all[min(max(rank, 0), len(all)-1)]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

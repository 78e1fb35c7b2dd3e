// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"

	"sluice.dev/sluice/playground/mesh"
)

// climb is the order of the weights of a release that makes it.
var climb = []string{"90/10", "75/25", "50/50", "0/100", "100/0"}

// good plays a version that climbs by itself.
func good(ctx context.Context, p *Play) error {
	if err := p.ship(ctx, plugin); err != nil {
		return err
	}
	if err := p.await(ctx, 30*time.Minute, "the new version has all traffic", p.promoted); err != nil {
		return err
	}
	checkClimb(p, 1)
	checkQueries(p, p.Stage.Datadog.Requests())
	checkSuccesses(p)
	checkSilence(p)
	checkGateFirst(p)
	return nil
}

// checkClimb looks at the order of the weights, and that the stable Service had
// moved before they returned.
func checkClimb(p *Play, row int) {
	shifts, weights := p.shifts(), p.weights()
	p.Ledger.Check(row, slices.Equal(weights, climb), "release %d: weights %s", p.release.number, strings.Join(weights, ", "))
	if row != 1 || len(shifts) < 2 {
		return
	}
	all, home := shifts[len(shifts)-2], shifts[len(shifts)-1]
	moved := false
	for _, m := range p.Stage.Mesh.Moves(p.release.since) {
		if m.Service == stableService && m.Hash == p.release.hash {
			moved = m.Version > all.Version && m.Version < home.Version
		}
	}
	p.Ledger.Check(row, moved, "%s selected %s after 0/100 and before 100/0, when its endpoints were those of %s",
		stableService, p.release.hash, strings.Join(home.Weights[0].Hashes, " and "))
}

// checkQueries looks at the hash in everything that Datadog was asked.
func checkQueries(p *Play, asked []datadogtest.Request) {
	mine, others, proofs := 0, 0, 0
	for _, r := range asked {
		if r.Time.Before(p.release.since) {
			continue
		}
		switch values := r.TagValues(mesh.TagHash); {
		case slices.Equal(values, []string{p.release.hash}):
			mine++
		case len(values) == 0 && asksWhetherItExists(r.Queries):
			proofs++
		default:
			others++
		}
	}
	p.Ledger.Check(2, mine > 0 && others == 0,
		"%d queries with the hash %s, %d with another or none; %d more asked whether a silent count exists at all",
		mine, p.release.hash, others, proofs)
}

// asksWhetherItExists reports whether queries ask for every value of the tag,
// as is needed to tell a count of zero from one that nobody sends.
func asksWhetherItExists(queries map[string]string) bool {
	for _, q := range queries {
		if !strings.Contains(q, "by {"+mesh.TagHash+"}") {
			return false
		}
	}
	return len(queries) > 0
}

// checkSuccesses looks at what became of readings below the limit.
func checkSuccesses(p *Play) {
	below, other := 0, 0
	for _, r := range p.readings() {
		v, err := strconv.ParseFloat(r.Value, 64)
		if err != nil || v >= 0.01 {
			continue
		}
		if below++; r.Phase != v1alpha1.AnalysisPhaseSuccessful {
			other++
		}
	}
	p.Ledger.Check(4, below >= 5 && other == 0, "%d readings of %s below 0.01, %d of them not Successful", below, errorRate, other)
}

// checkSilence looks for readings of a canary without a single error.
func checkSilence(p *Play) {
	zero := 0
	for _, r := range p.readings() {
		for _, note := range r.Metadata {
			if strings.Contains(note, "taken as 0") && r.Phase == v1alpha1.AnalysisPhaseSuccessful {
				zero++
				break
			}
		}
	}
	p.Ledger.Check(10, zero > 0, "%d windows of the healthy canary had no error series, were taken as 0 errors and passed", zero)
}

// checkGateFirst looks at whether the step's run was over before the next
// weight.
func checkGateFirst(p *Play) {
	var gate *v1alpha1.AnalysisRun
	for _, r := range p.Witness.Runs(p.release.hash) {
		if r.Labels[v1alpha1.LabelRolloutType] == v1alpha1.RolloutTypeStep {
			gate = r
		}
	}
	shifts := p.shifts()
	if gate == nil || len(shifts) < 2 {
		p.Ledger.Check(11, false, "release %d had no run of a step", p.release.number)
		return
	}
	over := p.Witness.Ended(gate.Name)
	ok := gate.Status.Phase == v1alpha1.AnalysisPhaseSuccessful && over > 0 && over < shifts[1].Version
	p.Ledger.Check(11, ok, "%s was %s (resourceVersion %d) before the weights became %s (%d)",
		gate.Name, gate.Status.Phase, over, shifts[1], shifts[1].Version)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package story plays the demo's releases on a stage, as people would make them,
// and notes in a ledger what was seen of the guide's promises. It puts nothing
// up.
package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/pace"

	"sluice.dev/sluice/playground/demo/proof"
	"sluice.dev/sluice/playground/demo/screen"
	"sluice.dev/sluice/playground/demo/stage"
	"sluice.dev/sluice/playground/demo/witness"
	"sluice.dev/sluice/playground/mesh"
)

const (
	// Name is the guide's Rollout and its container.
	Name = "checkout"
	// repository is its image without the tag.
	repository = "registry.internal/payments/checkout"
	// virtualService and stableService are the guide's.
	virtualService = "checkout-vsvc"
	stableService  = "checkout-stable"
	// slack is added to every limit: what does not get faster with the pace.
	slack = 30 * time.Second
)

// The two names of the product's program.
const (
	sluice = "sluice"
	plugin = "kubectl-argo-rollouts"
)

// A Play is one performance.
type Play struct {
	Stage   *stage.Stage
	Witness *witness.Witness
	Ledger  *proof.Ledger
	Screen  *screen.Screen
	// Factor is what waiting times are divided by.
	Factor float64

	release release
	// window is what `get rollout --watch` has printed so far.
	window buffer
}

// release is the release that is being played.
type release struct {
	number int
	title  string
	tag    string
	hash   string
	since  time.Time
}

// image is an image of the guide's repository.
func image(tag string) string { return repository + ":" + tag }

// limit is how long to wait for something that takes at most d at the guide's
// own pace.
func (p *Play) limit(d time.Duration) time.Duration { return pace.Duration(d, p.Factor) + slack }

// await waits for something about the Rollout.
func (p *Play) await(ctx context.Context, d time.Duration, what string, ok func(*v1alpha1.Rollout) bool) error {
	return p.Witness.Await(ctx, what, p.limit(d), func() bool {
		ro := p.Witness.Rollout()
		return ro != nil && ok(ro)
	})
}

// command runs a command line as a person would and shows it, without what it
// prints; that is returned.
func (p *Play) command(ctx context.Context, line ...string) (string, error) {
	p.Screen.Say("  $ %s", strings.Join(line, " "))
	cmd := p.Stage.Command(ctx, line...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) || (err == nil && errs.Len() > 0 && out.Len() == 0) {
		err = errors.Join(err, errors.New(strings.TrimSpace(errs.String())))
	}
	if err != nil {
		return out.String(), fmt.Errorf("%s: %w", strings.Join(line, " "), err)
	}
	return out.String(), nil
}

// act runs one of the guide's commands on the Rollout and notes that it worked.
func (p *Play) act(ctx context.Context, program string, line ...string) error {
	line = append(append([]string{program}, line...), "-n", stage.Namespace)
	out, err := p.command(ctx, line...)
	text := strings.Join(line, " ")
	if err != nil {
		p.Ledger.Check(14, false, "%v", err)
		return err
	}
	if first, _, _ := strings.Cut(strings.TrimSpace(out), "\n"); first != "" {
		p.Screen.Say("  %s", first)
	}
	p.Ledger.Check(14, true, "%s", text)
	return nil
}

// begin announces a release.
func (p *Play) begin(tag, title string, rows ...int) {
	p.release = release{number: p.release.number + 1, title: title, tag: tag, since: time.Now()}
	p.Screen.Say("\nRelease %d  %s", p.release.number, title)
	p.Screen.Say("           %s, for %s", image(tag), rowsText(rows))
}

func rowsText(rows []int) string {
	texts := make([]string, 0, len(rows))
	for _, r := range rows {
		texts = append(texts, strconv.Itoa(r))
	}
	if len(texts) == 1 {
		return "row " + texts[0]
	}
	return "rows " + strings.Join(texts[:len(texts)-1], ", ") + " and " + texts[len(texts)-1]
}

// ship sets the image and waits until the controller has made a revision of it.
func (p *Play) ship(ctx context.Context, program string) error {
	before := p.Witness.Rollout().Status.CurrentPodHash
	p.release.since = time.Now()
	_, err := p.command(ctx, program, "set", "image", Name, Name+"="+image(p.release.tag), "-n", stage.Namespace)
	if err != nil {
		return err
	}
	return p.await(ctx, time.Minute, "the new image has a revision", func(ro *v1alpha1.Rollout) bool {
		p.release.hash = ro.Status.CurrentPodHash
		return p.release.hash != before && p.release.hash != ro.Status.StableRS
	})
}

// shifts are the weights of the release so far, in the order they came.
func (p *Play) shifts() []mesh.Shift {
	var out []mesh.Shift
	for _, s := range p.Stage.Mesh.Shifts(p.release.since) {
		if s.VirtualService == virtualService {
			out = append(out, s)
		}
	}
	return out
}

// weights are the shifts as text.
func (p *Play) weights() []string {
	out := []string{}
	for _, s := range p.shifts() {
		out = append(out, s.String())
	}
	return out
}

// at reports whether the last weights are these.
func (p *Play) at(weights string) bool {
	w := p.weights()
	return len(w) > 0 && w[len(w)-1] == weights
}

// readings are the release's measurements of the error rate so far.
func (p *Play) readings() []witness.Reading {
	var out []witness.Reading
	for _, r := range p.Witness.Readings(p.release.since) {
		if r.Metric == errorRate && r.Hash == p.release.hash {
			out = append(out, r)
		}
	}
	return out
}

// count returns how many of the readings satisfy all conditions.
func count(rs []witness.Reading, conditions ...func(witness.Reading) bool) int {
	n := 0
	for _, r := range rs {
		ok := true
		for _, c := range conditions {
			ok = ok && c(r)
		}
		if ok {
			n++
		}
	}
	return n
}

// phase is the condition that a reading has that phase.
func phase(want v1alpha1.AnalysisPhase) func(witness.Reading) bool {
	return func(r witness.Reading) bool { return r.Phase == want }
}

// kind is the condition that a reading is of a run of that type.
func kind(want string) func(witness.Reading) bool {
	return func(r witness.Reading) bool { return r.Kind == want }
}

// after is the condition that a reading was seen after a moment.
func after(t time.Time) func(witness.Reading) bool {
	return func(r witness.Reading) bool { return r.Seen.After(t) }
}

// promoted reports whether the release is all there is.
func (p *Play) promoted(ro *v1alpha1.Rollout) bool {
	return ro.Status.Phase == v1alpha1.RolloutPhaseHealthy && ro.Status.StableRS == p.release.hash && p.at("100/0")
}

// aborted reports whether the release was turned back.
func (p *Play) aborted(ro *v1alpha1.Rollout) bool {
	return ro.Status.Abort && ro.Status.Phase == v1alpha1.RolloutPhaseDegraded && p.at("100/0")
}

// back returns to the stable version after an abort.
func (p *Play) back(ctx context.Context, program string) error {
	if err := p.act(ctx, program, "undo", Name); err != nil {
		return err
	}
	return p.await(ctx, time.Minute, "the Rollout is Healthy on the version before", func(ro *v1alpha1.Rollout) bool {
		return ro.Status.Phase == v1alpha1.RolloutPhaseHealthy && ro.Status.CurrentPodHash == ro.Status.StableRS && !ro.Status.Abort
	})
}

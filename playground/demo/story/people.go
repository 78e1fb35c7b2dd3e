// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"sluice.dev/sluice/api/v1alpha1"

	"sluice.dev/sluice/playground/demo/stage"
)

// people act on the release as the guide says they may. (Row 14.)
func people(ctx context.Context, p *Play) error {
	if err := p.act(ctx, plugin, "abort", Name); err != nil {
		return err
	}
	if err := p.await(ctx, time.Minute, "the release is aborted by hand", p.aborted); err != nil {
		return err
	}
	countUsers(p)
	p.Ledger.Check(14, p.at("100/0"), "after abort: weights %s, Rollout %s", strings.Join(p.weights(), ", "), p.Witness.Rollout().Status.Phase)
	if err := sees(ctx, p, v1alpha1.RolloutPhaseDegraded); err != nil {
		return err
	}
	if err := p.act(ctx, sluice, "retry", "rollout", Name); err != nil {
		return err
	}
	err := p.await(ctx, 5*time.Minute, "the retried release waits in its first pause", func(ro *v1alpha1.Rollout) bool {
		return p.at("90/10") && step(ro) == 1
	})
	if err != nil {
		return err
	}
	if err := skipPause(ctx, p); err != nil {
		return err
	}
	if err := p.act(ctx, plugin, "promote", Name, "--full"); err != nil {
		return err
	}
	if err := p.await(ctx, 5*time.Minute, "the release has all traffic", p.promoted); err != nil {
		return err
	}
	weights := p.weights()
	p.Ledger.Check(14, true, "after promote --full: weights %s, Rollout Healthy on %s",
		strings.Join(weights[max(0, len(weights)-2):], ", "), p.release.tag)
	return sees(ctx, p, v1alpha1.RolloutPhaseHealthy)
}

// sees waits until the other window shows the Rollout in a phase, as a person
// would before going on.
func sees(ctx context.Context, p *Play, phase v1alpha1.RolloutPhase) error {
	return p.Witness.Await(ctx, fmt.Sprintf("`get rollout --watch` shows the Rollout as %s", phase), slack, func() bool {
		out := p.window.String()
		last := out[max(strings.LastIndex(out, "Status:"), 0):]
		line, _, whole := strings.Cut(last, "\n")
		return whole && strings.Contains(line, string(phase))
	})
}

// skipPause promotes out of the first pause and sees that it ended there.
func skipPause(ctx context.Context, p *Play) error {
	if err := p.act(ctx, sluice, "promote", Name); err != nil {
		return err
	}
	done := time.Now()
	err := p.await(ctx, time.Minute, "promote has ended the pause", func(ro *v1alpha1.Rollout) bool { return step(ro) == 2 })
	if err != nil {
		return err
	}
	p.Ledger.Check(14, true, "after promote: the pause was over %d ms later", time.Since(done).Milliseconds())
	return nil
}

// step is the index of the current step, -1 if there is none.
func step(ro *v1alpha1.Rollout) int32 {
	if ro.Status.CurrentStepIndex == nil {
		return -1
	}
	return *ro.Status.CurrentStepIndex
}

// watch starts `get rollout --watch` as the guide has it, and returns what stops
// it and looks at what it has printed. (Row 14.)
func watch(ctx context.Context, p *Play) (stop func(), err error) {
	line := []string{plugin, "get", "rollout", Name, "-n", stage.Namespace, "--watch"}
	p.Screen.Say("  $ %s   (in another window)", strings.Join(line, " "))
	ctx, cancel := context.WithCancel(ctx)
	cmd := p.Stage.Command(ctx, line...)
	cmd.Stdout, cmd.Stderr = &p.window, &p.window
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("%s: %w", strings.Join(line, " "), err)
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			cancel()
			_ = cmd.Wait() // it is ended by a signal
			checkWatch(p, strings.Join(line, " "), p.window.String(), cmd)
		})
	}, nil
}

// checkWatch looks at what the watch has printed.
func checkWatch(p *Play, line, out string, cmd *exec.Cmd) {
	missing := []string{}
	for _, want := range []string{
		p.release.tag, p.release.hash, "Progressing", "Degraded", "Healthy", "SetWeight", "ActualWeight", errorRate, latency,
	} {
		if !strings.Contains(out, want) {
			missing = append(missing, want)
		}
	}
	frames := strings.Count(out, "ActualWeight")
	text := fmt.Sprintf("%s: %d drawings while the release went on", line, frames)
	if len(missing) > 0 {
		text += fmt.Sprintf(", without %s (%v)", strings.Join(missing, ", "), cmd.ProcessState)
	}
	p.Ledger.Check(14, len(missing) == 0 && frames > 1, "%s", text)
}

// A buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends to the buffer.
func (b *buffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(data)
}

// String is what was written so far.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

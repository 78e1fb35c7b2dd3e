// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && long

package peer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/itest/bed"
)

const (
	name  = "checkout"
	plain = "plain.yaml" // without traffic routing
)

// stepping are the steps of most releases here: 20 % and 50 %, each until a
// person promotes.
const stepping = "[{setWeight: 20}, {pause: {}}, {setWeight: 50}, {pause: {}}]"

// A plan says what a release is like.
type plan struct {
	file       string // of the Rollout, in testdata; default routed.yaml
	steps      string // default stepping
	replicas   int    // default 5
	background bool   // guard the release with the analysis
	// metric is when the analysis passes and fails, as lines of YAML. The
	// default never ends, and fails at ten errors.
	metric string
	// extra are more fields of the canary strategy, as YAML. The default lets
	// pods go soon; without a router it adds a pod
	// before it takes one away.
	extra string
}

// defaults are what plans leave out.
func (p plan) defaults() plan {
	if p.file == "" {
		p.file = "routed.yaml"
	}
	if p.steps == "" {
		p.steps = stepping
	}
	if p.replicas == 0 {
		p.replicas = 5
	}
	if p.metric == "" {
		p.metric = "successCondition: result < 10\n      failureLimit: 2"
	}
	switch {
	case p.extra != "":
	case p.file == plain:
		p.extra = "{ maxSurge: 1, maxUnavailable: 0 }"
	default:
		p.extra = "{ scaleDownDelaySeconds: 1, abortScaleDownDelaySeconds: 1 }"
	}
	return p
}

// manifest is what a person applies.
func (p plan) manifest(tb testing.TB, ns string) string {
	tb.Helper()
	p = p.defaults()
	background := ""
	if p.background {
		background = "analysis: { templates: [{ templateName: errors }] }"
	}
	var docs []string
	for _, file := range []string{"analysis.yaml", p.file} {
		raw, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			tb.Fatal(err)
		}
		docs = append(docs, string(raw))
	}
	return strings.NewReplacer(
		"NAMESPACE", ns, "STEPS", p.steps, "METRIC", p.metric, "BACKGROUND", background,
		"REPLICAS", strconv.Itoa(p.replicas), "EXTRA", lines(p.extra),
	).Replace(strings.Join(docs, "---\n"))
}

// lines makes of a YAML mapping on one line its fields, indented.
func lines(mapping string) string {
	fields := strings.Split(strings.Trim(mapping, "{ }"), ", ")
	return strings.Join(fields, "\n      ")
}

// A release is a Rollout in a namespace of its own.
type release struct {
	*stand
	ns   string
	plan plan
	text string
	cli  side
}

// prepare returns a release that does not exist yet.
func (s *stand) prepare(t *testing.T, ns string, cli side, p plan) *release {
	t.Helper()
	b := *s.Bed
	b.TB = t
	return &release{stand: &stand{Bed: &b, datadog: s.datadog}, ns: ns, plan: p.defaults(), text: p.manifest(t, ns), cli: cli}
}

// begin makes the Rollout and waits until its first revision is healthy.
func (r *release) begin() {
	r.Helper()
	r.errors(1)
	r.Namespace(r.ns)
	r.Apply(r.text)
	r.Phase(r.ns, name, v1alpha1.RolloutPhaseHealthy)
}

func (s *stand) release(t *testing.T, ns string, cli side, p plan) *release {
	t.Helper()
	r := s.prepare(t, ns, cli, p)
	r.begin()
	return r
}

// errors is how many errors Datadog knows of the release.
func (r *release) errors(n float64) {
	r.datadog.Count("errors", map[string]string{"case": r.ns}, time.Now(), n)
}

// deploy asks for another version the way Git does.
func (r *release) deploy(version string) {
	r.Helper()
	r.Apply(r.text, "checkout:1.0.0", "checkout:"+version)
}

// do runs a command line that must succeed, and returns what it printed.
func (r *release) do(args ...string) string {
	r.Helper()
	code, out := r.command(r.cli, r.ns, args...)
	if code != 0 {
		r.Fatalf("%s %s ended with %d: %s", r.cli.name, strings.Join(args, " "), code, out)
	}
	return out
}

func (r *release) rollout() *v1alpha1.Rollout { r.Helper(); return r.Rollout(r.ns, name) }

// A place is where a release can be.
type place struct {
	phase   v1alpha1.RolloutPhase
	step    int32
	weights string // stable/canary; empty: not looked at
	sizes   string // of the stable and the newest ReplicaSet; empty: not looked at
	image   string // of the stable revision
}

// at waits until the release is there.
func (r *release) at(want place) *v1alpha1.Rollout {
	r.Helper()
	var ro *v1alpha1.Rollout
	r.Eventually(fmt.Sprintf("the release %s is at %+v", r.ns, want), func() error {
		ro = r.Phase(r.ns, name, want.phase)
		got := want
		got.step = -1
		if ro.Status.CurrentStepIndex != nil {
			got.step = *ro.Status.CurrentStepIndex
		}
		if want.weights != "" {
			got.weights = r.weights()
		}
		if want.sizes != "" {
			got.sizes = fmt.Sprintf("%d/%d", r.size(ro.Status.StableRS), r.size(ro.Status.CurrentPodHash))
		}
		got.image = r.image(ro.Status.StableRS)
		if got != want {
			return fmt.Errorf("it is at %+v: %s %s", got, ro.Status.Phase, ro.Status.Message)
		}
		return nil
	})
	return ro
}

// follow runs a command that watches, and returns what it prints and how it
// ends.
func (r *release) follow(args ...string) (out *buffer, done <-chan error) {
	r.Helper()
	out = &buffer{}
	ctx, cancel := context.WithTimeout(r.Context(), bed.Patience)
	r.Cleanup(cancel)
	cmd := command(ctx, r.cli.cli, append([]string{"--kubeconfig", r.Cluster.Kubeconfig(), "-n", r.ns}, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		r.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- cmd.Wait() }()
	return out, end
}

// shows waits until a command has printed all of parts.
func (r *release) shows(out *buffer, parts ...string) {
	r.Helper()
	r.Eventually(fmt.Sprintf("%q is printed", parts), func() error {
		if missing := lacks(out.String(), parts...); len(missing) > 0 {
			return fmt.Errorf("%q are not in\n%s", missing, tail(out.String()))
		}
		return nil
	})
}

// lacks are the parts that a text does not hold. Runs of spaces count as one.
func lacks(text string, parts ...string) []string {
	text = strings.Join(strings.Fields(text), " ")
	return slices.DeleteFunc(slices.Clone(parts), func(p string) bool { return strings.Contains(text, p) })
}

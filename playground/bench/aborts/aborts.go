// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package aborts measures how long an abort takes: from the arrival of the reply
// that breaks the limit to weight 0 stored in the API. Every reply is held back
// until nothing else is going on, and let go alone or with the others.
package aborts

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"

	"sluice.dev/sluice/playground/bench/audit"
	"sluice.dev/sluice/playground/bench/rig"
)

const (
	// Together is how many aborts happen at once.
	Together = 20
	// patience bounds a wait, for controllers that do not get there.
	patience = 3 * time.Minute
	// quiet is how long nothing happens before a reply is let go.
	quiet = 100 * time.Millisecond
)

// A Sample is one abort.
type Sample struct {
	Name string
	// Reply is when the failing reply began to be written, Seen when a watch
	// showed weight 0.
	Reply, Seen time.Time
	// Judged is when the API server received the first write that followed,
	// Committed when a write of the Rollout was stored, Stored when weight 0 was.
	// They are as the audit log has them.
	Judged, Committed, Stored time.Time
	// Requests are what the controller asked for about the Rollout and what it
	// owns, from the reply until weight 0 was seen.
	Requests []string
}

// Latency is from the reply to weight 0 stored.
func (s *Sample) Latency() time.Duration { return s.Stored.Sub(s.Reply) }

// A Bench aborts Rollouts.
type Bench struct {
	rig     *rig.Rig
	process *rig.Process
	datadog *datadogtest.Server
	gate    *gate
	watch   *watcher
	round   int
}

// New creates what the aborts need, and waits until the first revisions are
// Healthy. The controller must be running.
func New(ctx context.Context, r *rig.Rig, p *rig.Process) (_ *Bench, err error) {
	b := &Bench{rig: r, process: p}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.datadog, err = datadogtest.New(datadogtest.Options{}); err != nil {
		return nil, fmt.Errorf("start the Datadog: %w", err)
	}
	if b.gate, err = newGate(ctx, b.datadog.URL()); err != nil {
		return nil, err
	}
	if b.watch, err = watching(ctx, r.Client); err != nil {
		return nil, err
	}
	if err := b.create(ctx); err != nil {
		return nil, err
	}
	return b, b.await(ctx, "the first revisions are Healthy", func(name string) bool { return b.watch.phase(name) == "Healthy" })
}

// Close stops what the bench started.
func (b *Bench) Close() {
	if b.watch != nil {
		b.watch.stop()
	}
	if b.gate != nil {
		_ = b.gate.close()
	}
	if b.datadog != nil {
		_ = b.datadog.Close()
	}
}

func (b *Bench) create(ctx context.Context) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: rig.ControllerNamespace, Name: "datadog"},
		StringData: map[string]string{"address": b.gate.url, "api-key": "api", "app-key": "app"},
	}
	if err := b.rig.Client.Create(ctx, secret); err != nil {
		return fmt.Errorf("create the Secret: %w", err)
	}
	texts := []string{template}
	for i := range Together {
		texts = append(texts, fmt.Sprintf(objects, name(i)))
	}
	for _, text := range texts {
		objs, err := decode(text)
		if err != nil {
			return err
		}
		for _, o := range objs {
			if err := b.rig.Client.Create(ctx, o); err != nil {
				return fmt.Errorf("create %s %s: %w", o.GetKind(), o.GetName(), err)
			}
		}
	}
	return nil
}

func name(i int) string { return fmt.Sprintf("svc-%02d", i) }

// ready brings all Rollouts to where a reply decides.
func (b *Bench) ready(ctx context.Context) error {
	b.round++
	var all sync.WaitGroup
	errs := make(chan error, Together)
	for i := range Together {
		b.datadog.Count("errors", map[string]string{"case": name(i)}, time.Now(), 1000)
		all.Go(func() {
			o := &unstructured.Unstructured{}
			o.SetAPIVersion("argoproj.io/v1alpha1")
			o.SetKind("Rollout")
			o.SetNamespace(rig.Namespace)
			o.SetName(name(i))
			errs <- b.rig.Client.Patch(ctx, o, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, change, b.round+1)))
		})
	}
	all.Wait()
	for range Together {
		if err := <-errs; err != nil {
			return fmt.Errorf("change a template: %w", err)
		}
	}
	err := b.await(ctx, "the first measurement is under way", func(name string) bool {
		return b.gate.holds(name) && b.watch.weight(name) == canaryWeight
	})
	if err != nil {
		return err
	}
	return rig.Pause(ctx, 2*quiet)
}

// await waits until ok holds for every Rollout.
func (b *Bench) await(ctx context.Context, what string, ok func(name string) bool) error {
	deadline := time.Now().Add(patience)
	for i := 0; i < Together; {
		if ok(name(i)) {
			i++
			continue
		}
		if err := b.process.Ended(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not for %s after %s; %s; the end of the controller's log:\n%s",
				what, name(i), patience, b.watch.describe(name(i)), b.process.Tail())
		}
		if err := rig.Pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// Alone aborts all Rollouts, one after the other.
func (b *Bench) Alone(ctx context.Context) ([]Sample, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	var out []Sample
	for i := range Together {
		s, err := b.abort(ctx, name(i))
		if err != nil {
			return nil, err
		}
		out = append(out, s)
		if err := b.settled(ctx, name(i)); err != nil {
			return nil, err
		}
	}
	return out, b.fill(ctx, out, began)
}

// AtOnce aborts all Rollouts at the same time.
func (b *Bench) AtOnce(ctx context.Context) ([]Sample, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	out, errs := make([]Sample, Together), make(chan error, Together)
	for i := range Together {
		go func() {
			var err error
			out[i], err = b.abort(ctx, name(i))
			errs <- err
		}()
	}
	for range Together {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	for i := range Together {
		if err := b.settled(ctx, name(i)); err != nil {
			return nil, err
		}
	}
	return out, b.fill(ctx, out, began)
}

// abort lets one reply go and waits until weight 0 is seen.
func (b *Bench) abort(ctx context.Context, name string) (Sample, error) {
	reply, err := b.gate.release(ctx, name)
	if err != nil {
		return Sample{}, fmt.Errorf("reply to %s: %w", name, err)
	}
	seen, err := b.watch.zero(ctx, name)
	return Sample{Name: name, Reply: reply, Seen: seen}, err
}

// settled waits until nothing more follows from an abort.
func (b *Bench) settled(ctx context.Context, name string) error {
	deadline := time.Now().Add(patience)
	for b.watch.phase(name) != "Degraded" {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not Degraded %s after its abort; %s", name, patience, b.watch.describe(name))
		}
		if err := rig.Pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return rig.Pause(ctx, quiet)
}

// fill adds to the samples what the audit log knows of them.
func (b *Bench) fill(ctx context.Context, samples []Sample, began time.Time) error {
	if err := rig.Pause(ctx, quiet); err != nil {
		return err
	}
	entries, err := audit.Read(b.rig.Cluster.AuditLog(), rig.User, began)
	if err != nil {
		return err
	}
	for i := range samples {
		s := &samples[i]
		for j := range entries {
			s.note(&entries[j])
			s.list(&entries[j])
		}
		if s.Stored.IsZero() || s.Stored.After(s.Seen) {
			s.Stored = s.Seen
		}
	}
	return nil
}

// stored reports whether e changed an object.
func stored(e *audit.Entry) bool {
	return (e.Verb == "patch" || e.Verb == "update") && e.Answer.Code == 200
}

// list takes down a request if it may have been in the way.
func (s *Sample) list(e *audit.Entry) {
	if e.Received.After(s.Seen) || e.Done.Before(s.Reply) || !strings.HasPrefix(e.Object.Name, s.Name) {
		return
	}
	s.Requests = append(s.Requests, fmt.Sprintf("%4d..%d ms %s: %d",
		e.Received.Sub(s.Reply).Milliseconds(), e.Done.Sub(s.Reply).Milliseconds(), e.Kind(), e.Answer.Code))
}

// note takes down a request if it is the first of its kind after the reply.
func (s *Sample) note(e *audit.Entry) {
	if !stored(e) || e.Object.Name != s.Name || e.Done.Before(s.Reply) {
		return
	}
	if s.Judged.IsZero() || e.Received.Before(s.Judged) {
		s.Judged = e.Received
	}
	switch {
	case e.Object.Resource == "rollouts" && s.Committed.IsZero():
		s.Committed = e.Done
	case e.Object.Resource == "virtualservices" && s.Stored.IsZero():
		s.Stored = e.Done
	}
}

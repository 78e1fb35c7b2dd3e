// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kill

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
)

// lease is a lease of a second, so that a killed leader is soon replaced.
var lease = []string{
	"--leader-election-lease-duration=1s", "--leader-election-renew-deadline=700ms", "--leader-election-retry-period=150ms",
	"--analysis-error-backoff=1s",
}

// seed is from the environment to repeat a run.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if text := os.Getenv("SLUICE_TEST_SEED"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SLUICE_TEST_SEED=%d", n)
	return n
}

func TestTheControllerIsKilledAtAnyMoment(t *testing.T) {
	b := bed.New(t, cluster.Options{})
	b.Namespace(namespace)
	h := record(b)
	s := newSite(b)
	log := filepath.Join(t.TempDir(), "controller.log")
	names := []string{"alpha", "beta", "gamma", "delta", "plain-a", "plain-b"}
	for i, name := range names {
		s.create(name, i < 4)
	}
	p := b.Process(log, lease...)
	leader := b.Led(p, "")
	for _, name := range names {
		b.Phase(namespace, name, v1alpha1.RolloutPhaseHealthy)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := make(chan struct{})
	users := make([]*user, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		users[i] = &user{site: s, name: name}
		all.Go(func() { users[i].work(ctx, stop, i) })
	}

	random := rand.New(rand.NewPCG(seed(t), 0)) //nolint:gosec // moments, not secrets
	began := time.Now()
	for n := range kills {
		if random.IntN(3) > 0 { // two of three within an instant of a write
			<-h.stirred
			wait(ctx, time.Duration(random.IntN(30))*time.Millisecond)
		} else {
			wait(ctx, time.Duration(random.IntN(2500))*time.Millisecond)
		}
		p.Kill()
		p = b.Process(log, lease...)
		leader = b.Led(p, leader)
		if n%25 == 24 {
			t.Logf("%d kills, %d releases, %s", n+1, s.finished.Load(), time.Since(began).Round(time.Second))
		}
	}
	close(stop)
	finished(t, &all, cancel)
	for _, u := range users {
		if u.problem != nil {
			t.Error(u.problem)
		}
	}
	if n := int(s.finished.Load()); n < len(names) {
		t.Errorf("only %d releases ended meanwhile", n)
	}
	t.Logf("%d kills, %d releases, %s", kills, s.finished.Load(), time.Since(began).Round(time.Second))
	settle(s, names)
	judge(t, h)
	if t.Failed() {
		keep(t, log, h)
	}
}

// finished waits until the users have seen their last release end.
func finished(t *testing.T, all *sync.WaitGroup, cancel context.CancelFunc) {
	t.Helper()
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * bed.Patience):
		cancel()
		<-done
	}
}

// settle waits until the runs of all rollouts have ended.
func settle(s *site, names []string) {
	s.Helper()
	s.Eventually("all runs have ended", func() error {
		var runs v1alpha1.AnalysisRunList
		if err := s.Client.List(s.Context(), &runs, client.InNamespace(namespace)); err != nil {
			return err
		}
		for i := range runs.Items {
			if !runs.Items[i].Status.Phase.Completed() {
				return fmt.Errorf("%s is %s", runs.Items[i].Name, runs.Items[i].Status.Phase)
			}
		}
		return nil
	})
	for _, name := range names {
		ro := s.Rollout(namespace, name)
		if ro.Status.Phase != v1alpha1.RolloutPhaseHealthy && ro.Status.Phase != v1alpha1.RolloutPhaseDegraded {
			s.Errorf("%s is %s: %s", name, ro.Status.Phase, ro.Status.Message)
		}
	}
}

// judge checks everything that was ever stored.
func judge(t *testing.T, h *history) {
	t.Helper()
	w := newWorld()
	all, whole := h.versions()
	if !whole {
		t.Error("a watch was ended: the history has holes")
	}
	for i := range all {
		w.see(&all[i])
	}
	w.end()
	t.Logf("%d stored states were looked at", len(all))
	for i, complaint := range w.broken {
		if i == 20 {
			t.Errorf("and %d more", len(w.broken)-i)
			break
		}
		t.Error(complaint)
	}
}

// keep copies what tells why a test failed to where SLUICE_TEST_KEEP says.
func keep(t *testing.T, log string, h *history) {
	t.Helper()
	dir := os.Getenv("SLUICE_TEST_KEEP")
	if dir == "" {
		return
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "controller.log"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "history.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, _ := h.versions()
	for i := range all {
		if err := json.NewEncoder(f).Encode(all[i].obj); err != nil {
			t.Fatal(err)
		}
	}
}

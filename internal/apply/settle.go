// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/api/v1alpha1"
)

// settleTime is how long a status that differs in what is merely counted may
// wait for company. While pods come and go, every one of them changes a count;
// most are followed by something that must be written at once.
const settleTime = 3 * time.Second

// A busy API server is asked less: counts wait patience times as long as the
// last write of a status took, up to longestSettle.
const (
	patience      = 30
	longestSettle = 10 * time.Second
)

// A settler remembers when each rollout's status was written last. Its zero
// value is ready to use.
type settler struct {
	mu      sync.Mutex
	written map[types.UID]time.Time
	took    time.Duration
	swept   time.Time
}

func (s *settler) wait() time.Duration {
	return min(max(settleTime, patience*s.took), longestSettle)
}

// wrote records a write, and how long it took.
func (s *settler) wrote(uid types.UID, now time.Time, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.written == nil {
		s.written = map[types.UID]time.Time{}
	}
	if now.Sub(s.swept) > longestSettle {
		maps.DeleteFunc(s.written, func(_ types.UID, at time.Time) bool { return now.Sub(at) > longestSettle })
		s.swept = now
	}
	s.written[uid], s.took = now, took
}

// due is when the status of uid may be written again for counts alone; the
// zero time is now.
func (s *settler) due(uid types.UID, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.written[uid]
	if !ok || now.Sub(at) >= s.wait() {
		return time.Time{}
	}
	return at.Add(s.wait())
}

// countsOnly reports whether the statuses differ in nothing but counts and in
// what is said about them.
func countsOnly(was, is *v1alpha1.RolloutStatus) bool {
	if was.Phase != is.Phase {
		return false
	}
	same := *is
	same.Replicas, same.UpdatedReplicas = was.Replicas, was.UpdatedReplicas
	same.ReadyReplicas, same.AvailableReplicas = was.ReadyReplicas, was.AvailableReplicas
	same.HPAReplicas, same.Message, same.Conditions = was.HPAReplicas, was.Message, was.Conditions
	same.Canary.Weights = was.Canary.Weights
	if was.Sluice != nil && is.Sluice != nil { // the seal is over all of these
		same.Sluice = is.Sluice.DeepCopy()
		same.Sluice.Seal = was.Sluice.Seal
	}
	return equality.Semantic.DeepEqual(was, &same)
}

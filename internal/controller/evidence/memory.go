// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/api/v1alpha1"
	record "sluice.dev/sluice/internal/evidence"
)

// memory is what a Recorder knows besides the objects: what is kept already,
// and the runs of attempts that are not recorded yet, which may be deleted
// before they are. Losing it costs reading the one again, and of the other those
// runs that are gone. Its zero value is ready to use.
type memory struct {
	mu     sync.Mutex
	loaded bool
	kept   map[types.UID][]record.Kept
	runs   map[types.UID]map[types.UID]*v1alpha1.AnalysisRun
	names  map[types.NamespacedName]types.UID
	// complained is when it was said last that something is forbidden.
	complained time.Time
}

// load takes in what is kept, once.
func (m *memory) load(all map[types.UID][]record.Kept) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept, m.loaded = all, true
}

func (m *memory) isLoaded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.loaded
}

// see remembers the runs of ro's attempts, and returns them and those that were
// seen before.
func (m *memory) see(ro *v1alpha1.Rollout, cached []v1alpha1.AnalysisRun) []*v1alpha1.AnalysisRun {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := m.runs[ro.UID]
	if seen == nil {
		seen = map[types.UID]*v1alpha1.AnalysisRun{}
	}
	for i := range cached {
		seen[cached[i].UID] = &cached[i]
	}
	for uid, run := range seen {
		if !m.wanted(ro, run) {
			delete(seen, uid)
		}
	}
	if m.runs == nil {
		m.runs, m.names = map[types.UID]map[types.UID]*v1alpha1.AnalysisRun{}, map[types.NamespacedName]types.UID{}
	}
	m.runs[ro.UID] = seen
	m.names[types.NamespacedName{Namespace: ro.Namespace, Name: ro.Name}] = ro.UID
	out := make([]*v1alpha1.AnalysisRun, 0, len(seen))
	for _, run := range seen {
		out = append(out, run)
	}
	return out
}

// wanted reports whether an attempt that is not recorded yet started run.
func (m *memory) wanted(ro *v1alpha1.Rollout, run *v1alpha1.AnalysisRun) bool {
	attempts := ro.Status.Sluice.Attempts
	for i := range attempts {
		if a := &attempts[i]; !m.has(ro.UID, a) && len(record.RunsOf(ro, []*v1alpha1.AnalysisRun{run}, a)) > 0 {
			return true
		}
	}
	return false
}

func (m *memory) has(owner types.UID, a *v1alpha1.RolloutAttempt) bool {
	return slices.ContainsFunc(m.kept[owner], func(k record.Kept) bool { return k.Revision == a.Revision && k.Attempt == a.Attempt })
}

// due reports whether an attempt that has ended is to be recorded. One that
// ended before another that is kept has been: its record was let go.
func (m *memory) due(owner types.UID, a *v1alpha1.RolloutAttempt, history int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if history <= 0 || m.has(owner, a) {
		return false
	}
	return !slices.ContainsFunc(m.kept[owner], func(k record.Kept) bool { return !k.Ended.Before(a.EndedAt.Time) })
}

// keep takes down that k is kept, and returns what is beyond the history.
func (m *memory) keep(owner types.UID, k record.Kept, history int) []record.Kept {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := append(slices.Clone(m.kept[owner]), k)
	record.SortKept(all)
	cut := min(len(all), history)
	old := slices.Clone(all[cut:])
	m.kept[owner] = all[:cut]
	return old
}

// forget drops what is known of a Rollout that is gone.
func (m *memory) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	uid, ok := m.names[name]
	if !ok {
		return
	}
	delete(m.names, name)
	delete(m.runs, uid)
	delete(m.kept, uid)
}

// complain reports whether to say again that something is forbidden.
func (m *memory) complain(now time.Time, every time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.complained.IsZero() && now.Sub(m.complained) < every {
		return false
	}
	m.complained = now
	return true
}

// keptOf are the records that are kept, by the Rollout's UID.
func keptOf(list []metav1.PartialObjectMetadata, into map[types.UID][]record.Kept) {
	for i := range list {
		if k, err := record.KeptOf(&list[i].ObjectMeta); err == nil {
			uid := types.UID(list[i].Labels[record.LabelOf])
			into[uid] = append(into[uid], k)
		}
	}
	for _, all := range into {
		record.SortKept(all)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"sluice.dev/sluice/api/v1alpha1"
)

var t0 = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func stamp(t time.Time) *metav1.Time { return new(metav1.NewTime(t)) }

func taken(at time.Time, phase v1alpha1.AnalysisPhase, value string) v1alpha1.Measurement {
	return v1alpha1.Measurement{
		Phase: phase, Value: value, StartedAt: stamp(at), FinishedAt: stamp(at.Add(time.Second)),
		Metadata: map[string]string{keyRange: at.Add(-5*time.Minute).Format(time.RFC3339) + "/" + at.Format(time.RFC3339), KeyCounts: `{"errors":3,"hits":250}`},
	}
}

func TestWhatIsKeptComesBackAsItWas(t *testing.T) {
	t.Parallel()
	want := []v1alpha1.Measurement{
		taken(t0, v1alpha1.AnalysisPhaseSuccessful, "0.011904761904761904"),
		{Phase: v1alpha1.AnalysisPhaseInconclusive, Message: `query "hits" returned nothing <b>`, StartedAt: stamp(t0.Add(time.Minute)), FinishedAt: stamp(t0.Add(time.Minute)), Metadata: map[string]string{keyReason: "NoData"}},
		taken(t0.Add(2*time.Minute), v1alpha1.AnalysisPhaseFailed, "[0.5,0.25]"),
		taken(t0.Add(3*time.Minute), v1alpha1.AnalysisPhaseError, ""),
	}
	stored := Keep("", want[:1], 1<<20)
	stored = Keep(stored, want[1:], 1<<20)
	got, lost := measurements(&v1alpha1.MetricResult{Count: 3, Error: 1, Metadata: map[string]string{KeyPast: stored}})
	if diff := cmp.Diff(want, got); diff != "" || lost != 0 {
		t.Errorf("%d are lost, -want +got:\n%s", lost, diff)
	}
}

func TestSuccessesMakeRoom(t *testing.T) {
	t.Parallel()
	stored := ""
	for i := range 900 {
		phase := v1alpha1.AnalysisPhaseSuccessful
		if i < 3 {
			phase = v1alpha1.AnalysisPhaseFailed
		}
		stored = Keep(stored, []v1alpha1.Measurement{taken(t0.Add(time.Duration(i)*time.Minute), phase, strconv.Itoa(i))}, 1<<20)
	}
	got, lost := measurements(&v1alpha1.MetricResult{Count: 900, Metadata: map[string]string{KeyPast: stored}})
	if len(got) != 500 || lost != 400 || got[2].Value != "2" || got[3].Value != "403" || got[499].Value != "899" {
		t.Errorf("%d are kept, %d lost: %v %v %v", len(got), lost, got[2].Value, got[3].Value, got[499].Value)
	}
}

// Whatever is measured, a metric keeps to its budget, in order, and what was not
// successful outlives what was.
func TestKeepIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		budget, stored, bad := rapid.IntRange(300, 5000).Draw(t, "budget"), "", 0
		n := rapid.IntRange(1, 120).Draw(t, "n")
		for i := range n {
			phase := rapid.SampledFrom([]v1alpha1.AnalysisPhase{"Successful", "Successful", "Failed", "Inconclusive", "Error"}).Draw(t, "phase")
			if phase != v1alpha1.AnalysisPhaseSuccessful {
				bad++
			}
			m := taken(t0.Add(time.Duration(i)*time.Second), phase, rapid.StringN(0, 40, 400).Draw(t, "value"))
			m.Message = rapid.String().Draw(t, "message")
			stored = Keep(stored, []v1alpha1.Measurement{m}, budget)
			if len(stored) > budget {
				t.Fatalf("%d bytes are kept of %d", len(stored), budget)
			}
		}
		got, lost := measurements(&v1alpha1.MetricResult{Count: int32(n), Metadata: map[string]string{KeyPast: stored}})
		if len(got)+lost != n {
			t.Fatalf("%d are kept and %d lost of %d", len(got), lost, n)
		}
		good := 0
		for i, m := range got {
			if i > 0 && m.StartedAt.Before(got[i-1].StartedAt) {
				t.Fatal("they are not in order")
			}
			if m.Phase == v1alpha1.AnalysisPhaseSuccessful {
				good++
			}
		}
		if good > 0 && len(got)-good < bad {
			// A success that came after the last bad one was dropped may be there.
			if last := got[len(got)-1]; last.Phase != v1alpha1.AnalysisPhaseSuccessful {
				t.Fatalf("%d successes are kept while %d of %d others are", good, len(got)-good, bad)
			}
		}
	})
}

func FuzzPast(f *testing.F) {
	f.Add(`{"r":[["S",1,2,"x"]],"lost":{"S":1}}`)
	f.Add(`{"r":[[],[1],["S"],null,"x",["Q",1,2,""]]}`)
	f.Fuzz(func(t *testing.T, stored string) {
		next := Keep(stored, []v1alpha1.Measurement{taken(t0, v1alpha1.AnalysisPhaseFailed, "1")}, 4096)
		got, _ := measurements(&v1alpha1.MetricResult{Metadata: map[string]string{KeyPast: next}})
		if len(got) == 0 || got[len(got)-1].Value != "1" {
			t.Errorf("from %q: %q", stored, next)
		}
	})
}

func TestBudgetsOfManyMetricsFitIntoOneRun(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 10, 11, 40, 500} {
		if total := PastBudget(n) * n; total > 256<<10 || PastBudget(n) > 24<<10 {
			t.Errorf("%d metrics may keep %d bytes", n, total)
		}
	}
}

func TestClipCutsNoCharacterInTwo(t *testing.T) {
	t.Parallel()
	if s := clip(strings.Repeat("é", 300)); len(s) > maxPastText || !strings.HasSuffix(s, "é…") {
		t.Errorf("got %q", s)
	}
}

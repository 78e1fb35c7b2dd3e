// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"sluice.dev/sluice/playground/bench/report"
)

func section() report.Section {
	return report.Section{Title: "Aborts", Figures: []report.Figure{
		{
			Name: "p50", Unit: "ms", Goal: report.Of(100), Below: true, Ours: report.Of(100),
			Argo: [2]report.Value{report.Of(950), report.Of(589)}, Peer: [2]report.Value{report.Of(1036), nil},
		},
		{Name: "requests per canary", Digits: 2, Goal: report.Of(10), Ours: report.Of(10)},
		{Name: "not measured", Goal: report.Of(1)},
	}, Notes: []string{"a note"}}
}

func TestATableSaysWhetherEachGoalWasMet(t *testing.T) {
	t.Parallel()
	s := section()
	got := s.Table()
	for _, want := range []string{
		"100  < 100 missed", "950      589", "1036 10.4x", "10.00  <= 10.00 met", "not measured", "  a note\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
			t.Errorf("%d columns, want at most 100: %s", n, line)
		}
	}
}

func TestOnlyWhatWasMeasuredCounts(t *testing.T) {
	t.Parallel()
	r := report.Report{Sections: []report.Section{section()}}
	if met, all := r.Goals(); met != 1 || all != 2 {
		t.Errorf("Goals() = %d of %d, want 1 of 2", met, all)
	}
}

func TestAReportIsWrittenAsJSON(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bench.json")
	r := report.Report{Machine: []string{"two cores"}, Sections: []report.Section{section()}}
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var back report.Report
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if f := back.Sections[0].Figures[0]; *f.Ours != 100 || *f.Argo[1] != 589 || f.Peer[1] != nil {
		t.Errorf("read back %s", data)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestOneMetric plays scripts against the guide's metric, changed by with. want
// is the phase of the run and the number of measurements it took.
func TestOneMetric(t *testing.T) {
	t.Parallel()
	background := func(_ *Metric, r *Run) { r.Background = true }
	limit := func(n int) func(*Metric, *Run) { return func(m *Metric, _ *Run) { m.InconclusiveLimit = new(n) } }
	argo := func(_ *Metric, r *Run) { r.Semantics = Argo }
	onlySuccess := func(m *Metric, _ *Run) { m.Failure = nil }
	streak := func(limit, failures int) func(*Metric, *Run) {
		return func(m *Metric, _ *Run) { m.SuccessLimit, m.FailureLimit = limit, failures }
	}
	tests := map[string]struct {
		why    string
		with   func(*Metric, *Run)
		script string
		want   Phase
		taken  int
		says   string
	}{
		"five good readings":                    {why: "acceptance 4", script: "SSSSS", want: Successful, taken: 5},
		"four are not enough":                   {why: "acceptance 4", script: "SSSS", want: Running, taken: 4},
		"aborts on the third failure":           {why: "rule 8, acceptance 6", script: "FFFSS", want: Failed, taken: 3, says: `Metric "error-rate" assessed Failed due to failed (3) > failureLimit (2)`},
		"not on the second":                     {why: "rule 8, acceptance 6", script: "FF", want: Running, taken: 2},
		"failures need not be in a row":         {why: "rule 8: cumulative", script: "FSFSF", want: Failed, taken: 5},
		"two failures and three successes pass": {why: "rule 9: at most failureLimit of them Failed", script: "FFSSS", want: Successful, taken: 5},
		"an inconclusive one between does not heal": {
			why: "rule 9: never the count towards failing", script: "FBFBBF", want: Failed, taken: 6,
		},
		"the band holds":                              {why: "rule 9, acceptance 5: as long as it lasts", script: strings.Repeat("B", 50), want: Running, taken: 50, says: `Metric "error-rate" holds: in the band`},
		"the band recovers":                           {why: "rule 9, acceptance 5", script: "BBBSSSSS", want: Successful, taken: 8},
		"the band worsens":                            {why: "acceptance 5", script: "BBFFF", want: Failed, taken: 5},
		"a canary in the band does not pass by luck":  {why: "rule 9: the last five are conclusive", script: "SBSSBSSSBSSSSB", want: Running, taken: 14},
		"four good ones after the band do not pass":   {why: "rule 9: it restarts the count", script: "SSSSBSSSS", want: Running, taken: 9},
		"five good ones after the band pass":          {why: "rule 9", script: "SSSSBSSSSS", want: Successful, taken: 10},
		"no data holds like the band":                 {why: "rule 10, D4, acceptance 10", script: "NNNNNNNN", want: Running, taken: 8, says: `holds: no data: query hits returned nothing`},
		"no data and one condition":                   {why: "D4: on every metric", with: onlySuccess, script: "SSSSNSSSS", want: Running, taken: 9},
		"data comes back":                             {why: "D4", with: onlySuccess, script: "NNSSSSS", want: Successful, taken: 7},
		"only one condition and failures":             {why: "rule 3: no band", with: onlySuccess, script: "BBB", want: Failed, taken: 3},
		"the second inconclusive ends it":             {why: "rule 9: inconclusiveLimit is Argo's rule", with: limit(1), script: "SBSB", want: Inconclusive, taken: 4, says: "inconclusive (2) > inconclusiveLimit (1)"},
		"no data counts as inconclusive":              {why: "rule 9: with the limit, NoData counts", with: limit(1), script: "SNSN", want: Inconclusive, taken: 4, says: "query hits returned nothing"},
		"one inconclusive in five is allowed":         {why: "rule 9: it takes part in the count", with: limit(1), script: "SSBSS", want: Successful, taken: 5},
		"five allowed failures are no pass":           {why: "rule 10, D5", with: func(m *Metric, _ *Run) { m.FailureLimit = 9 }, script: "FFFFF", want: Inconclusive, taken: 5, says: "no successful reading"},
		"five allowed inconclusives are no pass":      {why: "rule 10, D5", with: limit(9), script: "BBBBB", want: Inconclusive, taken: 5},
		"one success among failures passes":           {why: "rule 9: at least one", with: func(m *Metric, _ *Run) { m.FailureLimit = 9 }, script: "FFFSF", want: Successful, taken: 5},
		"the success must be one of the last":         {why: "rule 9: of the last count", with: func(m *Metric, _ *Run) { m.FailureLimit = 9 }, script: "SBFFFFF", want: Inconclusive, taken: 7},
		"assumed successes alone are no pass":         {why: "rule 4: never the one success", with: func(m *Metric, _ *Run) { m.OnNoData = NoDataSuccess }, script: "NNNNN", want: Inconclusive, taken: 5},
		"assumed successes and one real":              {why: "rule 4: conclusive all the same", with: func(m *Metric, _ *Run) { m.OnNoData = NoDataSuccess }, script: "NNSNN", want: Successful, taken: 5},
		"no data that fails":                          {why: "rule 4: onNoData failure", with: func(m *Metric, _ *Run) { m.OnNoData = NoDataFailure }, script: "NNN", want: Failed, taken: 3},
		"no data that errs":                           {why: "rule 4: onNoData error, onError abort", with: func(m *Metric, _ *Run) { m.OnNoData, m.AbortOnError = NoDataError, true }, script: "NNNNN", want: Error, taken: 5},
		"an abort condition":                          {why: "D2: whatever the limits", with: withAbort(t), script: "SSA", want: Failed, taken: 3, says: "due to abortCondition"},
		"an abort condition in the background":        {why: "D2", with: func(m *Metric, r *Run) { withAbort(t)(m, r); r.Background = true }, script: "SSSSSSSA", want: Failed, taken: 8},
		"an abort condition with endless budget":      {why: "D2: failureLimit -1", with: func(m *Metric, r *Run) { withAbort(t)(m, r); m.FailureLimit = -1 }, script: "A", want: Failed, taken: 1},
		"errors hold":                                 {why: "D8, acceptance 9", script: "EEEEEEEEEE", want: Running, taken: 10, says: "more than 4 errors in a row: 503 from api.datadoghq.eu"},
		"four errors say what they are":               {why: "rule 6", script: "EEEE", want: Running, taken: 4, says: "holds: 503 from api.datadoghq.eu"},
		"a denied request holds at once":              {why: "rule 12: 403 is named at once", script: "D", want: Running, taken: 1, says: "holds: 403 from api.datadoghq.eu"},
		"the provider answers again":                  {why: "D8: it goes on", script: "SSEEEEEEESSS", want: Successful, taken: 12},
		"errors do not take part in the count":        {why: "1.7.2: Errors are not counted", script: "ESESESESES", want: Successful, taken: 10},
		"onError abort":                               {why: "rule 13: more than four in a row", with: onError, script: "EEEEE", want: Error, taken: 5, says: "consecutiveErrors (5) > consecutiveErrorLimit (4): \"Error Message: 503"},
		"onError abort with a success between":        {why: "rule 13: in a row", with: onError, script: "EEEESEEEE", want: Running, taken: 9},
		"throttled answers are no errors in a row":    {why: "rule 12: 429 does not count", with: onError, script: "TTTTTTTTEEEETTT", want: Running, taken: 15},
		"throttled answers do not break a row either": {why: "rule 12", with: onError, script: "EETEETTE", want: Error, taken: 8},
		"a streak passes":                             {why: "rule 11", with: streak(3, 2), script: "SSS", want: Successful, taken: 3},
		"a streak is broken":                          {why: "rule 11 and 1.7.2 f: both limits apply", with: streak(4, 2), script: "SSFSS", want: Inconclusive, taken: 5},
		"a streak is broken, no failure limit":        {why: "rule 11 and 1.7.2 f: only the streak", with: streak(4, -1), script: "SSFFS", want: Failed, taken: 5},
		"a streak is broken by the band, then made":   {why: "rule 9: the band ends nothing", with: streak(3, 2), script: "SSBSBSSS", want: Successful, taken: 8},
		"a streak of assumed successes":               {why: "D5", with: func(m *Metric, r *Run) { streak(2, 2)(m, r); m.OnNoData = NoDataSuccess }, script: "NNNN", want: Running, taken: 4},
		"a streak without a count":                    {why: "rule 11", with: func(m *Metric, r *Run) { streak(2, 2)(m, r); m.Count = 0 }, script: "SFSBSS", want: Successful, taken: 6},
		"one measurement":                             {why: "rule 11: no interval, no count", with: once, script: "S", want: Successful, taken: 1},
		"one measurement in the band is repeated":     {why: "rule 9", with: once, script: "BBS", want: Successful, taken: 3},
		"one measurement that fails":                  {why: "rule 8: default limit 0", with: func(m *Metric, r *Run) { once(m, r); m.FailureLimit = 0 }, script: "F", want: Failed, taken: 1},
		"the background does not end":                 {why: "D11, acceptance 12: neither count", with: background, script: strings.Repeat("S", 40), want: Running, taken: 40},
		"nor by a streak":                             {why: "D11: nor consecutiveSuccessLimit", with: func(m *Metric, r *Run) { streak(2, 2)(m, r); r.Background = true }, script: "SSSSSSSS", want: Running, taken: 8},
		"a regression long after five readings":       {why: "acceptance 12", with: background, script: strings.Repeat("S", 20) + "FFF", want: Failed, taken: 23, says: "failed (3) > failureLimit (2) in the last 5 readings"},
		"failures far apart are forgiven":             {why: "D11: in any five readings", with: background, script: strings.Repeat("FSSSSF", 10), want: Running, taken: 60},
		"three in five are not":                       {why: "D11", with: background, script: "SSSSSFSFSF", want: Failed, taken: 10},
		"three in six are":                            {why: "D11", with: background, script: "SSFSFSSF", want: Running, taken: 8},
		"the band between does not forgive":           {why: "D11: conclusive readings", with: background, script: "SSSSFBBBBBBFNNNNNF", want: Failed, taken: 18},
		"the background without a count":              {why: "D11: cumulative", with: func(m *Metric, r *Run) { m.Count = 0; r.Background = true }, script: "FSSSSSSSFSSSSSSSSSF", want: Failed, taken: 19},
		"a background budget can be exceeded":         {why: "D11: a guard that cannot fail is none", with: func(m *Metric, r *Run) { m.Count = 1; r.Background = true }, script: "SFFF", want: Failed, taken: 4},
		"the background holds blind":                  {why: "acceptance 10", with: background, script: "NNNNNN", want: Running, taken: 6},
		"a background metric without interval ends":   {why: "D11: that has an interval", with: func(m *Metric, r *Run) { once(m, r); r.Background = true }, script: "S", want: Successful, taken: 1},
		"Argo: the band ends it":                      {why: "1.7.2 d: inconclusiveLimit 0", with: argo, script: "SB", want: Inconclusive, taken: 2},
		"Argo: the background ends with its count":    {why: "D11 is off", with: func(m *Metric, r *Run) { argo(m, r); r.Background = true }, script: "SSSSS", want: Successful, taken: 5},
		"Argo: five errors abort":                     {why: "D8 is off", with: argo, script: "EEEEE", want: Error, taken: 5},
		"Argo: throttled answers are errors":          {why: "D7 is off", with: argo, script: "TTTTT", want: Error, taken: 5},
		"Argo: no data is an error":                   {why: "D1 is off", with: argo, script: "NNNNN", want: Error, taken: 5},
		"Argo: five allowed failures pass":            {why: "D5 is off", with: func(m *Metric, r *Run) { argo(m, r); m.FailureLimit = 9 }, script: "FFFFF", want: Successful, taken: 5},
		"Argo: the third failure":                     {why: "1.7.2 d", with: argo, script: "FFF", want: Failed, taken: 3},
		"Argo: a streak is broken":                    {why: "1.7.2 f", with: func(m *Metric, r *Run) { argo(m, r); streak(4, 2)(m, r) }, script: "SSFSS", want: Inconclusive, taken: 5},
	}
	for name, tc := range tests {
		for _, forget := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", restarted"}[forget], func(t *testing.T) {
				t.Parallel()
				m := guide(t)
				run := Run{UID: "u"}
				if tc.with != nil {
					tc.with(&m, &run)
				}
				run.Metrics = []Metric{m}
				w := &world{t: t, run: run, now: start, at: map[string][]time.Duration{}, forget: forget}
				w.step(nil)
				w.one(tc.script)
				if w.state.Phase != tc.want || len(w.at[m.Name]) != tc.taken {
					t.Errorf("%s: %s after %d measurements, want %s after %d", tc.why, w.summary(), len(w.at[m.Name]), tc.want, tc.taken)
				}
				if !strings.Contains(w.state.Message, tc.says) {
					t.Errorf("%s: message %q does not say %q", tc.why, w.state.Message, tc.says)
				}
			})
		}
	}
}

func once(m *Metric, _ *Run)    { m.Interval, m.Count = 0, 0 }
func onError(m *Metric, _ *Run) { m.AbortOnError = true }
func withAbort(t testing.TB) func(*Metric, *Run) {
	return func(m *Metric, _ *Run) { m.Abort = must(t, "result >= 50") }
}

// TestSeveralMetrics plays a script for each metric of a run.
func TestSeveralMetrics(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		why    string
		with   func(*Run)
		a, b   string
		want   Phase
		phases [2]Phase
		taken  [2]int
	}{
		"both pass":                         {why: "rule 18", a: "SSSSS", b: "SSSSS", want: Successful, phases: [2]Phase{Successful, Successful}, taken: [2]int{5, 5}},
		"one fails and stops the other":     {why: "rule 18", a: "SSFFF", b: "SSSSS", want: Failed, phases: [2]Phase{Failed, Successful}, taken: [2]int{5, 5}},
		"one fails early":                   {why: "rule 18: the other is stopped", a: "FFF", b: "SSSSS", want: Failed, phases: [2]Phase{Failed, Successful}, taken: [2]int{3, 3}},
		"the stopped one had no success":    {why: "D5", a: "FFF", b: "BBBBB", want: Failed, phases: [2]Phase{Failed, Inconclusive}, taken: [2]int{3, 3}},
		"one holds, the other goes on":      {why: "rule 16: a pass is never stale", a: "BBBBBBBB", b: "SSSSSSSS", want: Running, phases: [2]Phase{Running, Successful}, taken: [2]int{8, 8}},
		"the one that passed turns bad":     {why: "rule 16: same window", a: "BBBBBBBB", b: "SSSSSFFF", want: Failed, phases: [2]Phase{Inconclusive, Failed}, taken: [2]int{8, 8}},
		"it is forgiven old failures":       {why: "rule 16: the window slides", a: "BBBBBBBBBBB", b: "FFSSSSSSSFF", want: Running, phases: [2]Phase{Running, Successful}, taken: [2]int{11, 11}},
		"a pass gone stale is none":         {why: "rule 16: never stale", a: "BSSSSS", b: "SSSSSB", want: Running, phases: [2]Phase{Successful, Running}, taken: [2]int{6, 6}},
		"a stale pass comes back":           {why: "rule 16", a: "BSSSSSSSSSS", b: "SSSSSBSSSSS", want: Successful, phases: [2]Phase{Successful, Successful}, taken: [2]int{11, 11}},
		"dry run: its failures decide not":  {why: "rule 15", with: dryB, a: "SSSSS", b: "FFFFF", want: Successful, phases: [2]Phase{Successful, Failed}, taken: [2]int{5, 3}},
		"dry run: it does not delay":        {why: "rule 15: it ends when the others do", with: func(r *Run) { dryB(r); r.Metrics[0].Count = 2 }, a: "SS", b: "SSSSS", want: Successful, phases: [2]Phase{Successful, Successful}, taken: [2]int{2, 2}},
		"dry run: the band ends it":         {why: "rule 15: D3 does not apply", with: dryB, a: "SSSSS", b: "SB", want: Successful, phases: [2]Phase{Successful, Inconclusive}, taken: [2]int{5, 2}},
		"dry run: five errors end it":       {why: "rule 15: D8 does not apply", with: dryB, a: "BBBBBSSSSS", b: "EEEEE", want: Successful, phases: [2]Phase{Successful, Error}, taken: [2]int{10, 5}},
		"dry run: no data decides nothing":  {why: "rule 15: D4 does not apply", with: dryB, a: "SSSSS", b: "N", want: Successful, phases: [2]Phase{Successful, Inconclusive}, taken: [2]int{5, 1}},
		"dry run: it ends in time":          {why: "rule 15: at the latest after count x interval", with: func(r *Run) { dryB(r); r.Metrics[1].InconclusiveLimit = new(99); r.Metrics[1].ErrorLimit = 99 }, a: "BBBBBBBB", b: "SEEEEEEEEEE", want: Running, phases: [2]Phase{Running, Successful}, taken: [2]int{8, 8}},
		"only dry runs":                     {why: "1.7.3: they are Successful", with: func(r *Run) { dryB(r); r.Metrics[0].DryRun = true }, a: "FFF", b: "SSSSS", want: Successful, phases: [2]Phase{Failed, Successful}, taken: [2]int{3, 5}},
		"inconclusive stops the other":      {why: "1.7.3", with: func(r *Run) { r.Metrics[0].InconclusiveLimit = new(0) }, a: "SB", b: "SSSSS", want: Inconclusive, phases: [2]Phase{Inconclusive, Successful}, taken: [2]int{2, 2}},
		"failed is worse than inconclusive": {why: "rule 18: what is in hand is judged", with: func(r *Run) { r.Metrics[0].InconclusiveLimit = new(0); r.Metrics[1].FailureLimit = 0 }, a: "SB", b: "SF", want: Failed, phases: [2]Phase{Inconclusive, Failed}, taken: [2]int{2, 2}},
		"background: one regresses":         {why: "acceptance 12", with: func(r *Run) { r.Background = true }, a: "SSSSSSSSSSFFF", b: "SSSSSSSSSSSSS", want: Failed, phases: [2]Phase{Failed, Successful}, taken: [2]int{13, 13}},
		"Argo: the passed one rests":        {why: "D11 is off", with: func(r *Run) { r.Semantics = Argo; r.Metrics[0].Count = 7 }, a: "SSSSSSS", b: "SSSSSF", want: Successful, phases: [2]Phase{Successful, Successful}, taken: [2]int{7, 5}},
	}
	for name, tc := range tests {
		for _, forget := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", restarted"}[forget], func(t *testing.T) {
				t.Parallel()
				a, b := guide(t), guide(t)
				a.Name, b.Name = "a", "b"
				run := Run{UID: "u", Metrics: []Metric{a, b}}
				if tc.with != nil {
					tc.with(&run)
				}
				w := &world{t: t, run: run, now: start, at: map[string][]time.Duration{}, forget: forget}
				w.step(nil)
				w.play(map[string]string{"a": tc.a, "b": tc.b})
				phases := [2]Phase{w.state.Results[0].Phase, w.state.Results[1].Phase}
				taken := [2]int{len(w.at["a"]), len(w.at["b"])}
				if w.state.Phase != tc.want || phases != tc.phases || taken != tc.taken {
					t.Errorf("%s: run %s, metrics %v after %v, want %s, %v after %v\n%s", tc.why, w.state.Phase, phases, taken, tc.want, tc.phases, tc.taken, w.state.Message)
				}
			})
		}
	}
}

func dryB(r *Run) { r.Metrics[1].DryRun = true }

func TestTermination(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		why        string
		by         Termination
		reason     string
		argo       bool
		background bool
		script     string
		want       Phase
		message    string
	}{
		"by a person before it passed":       {why: "rule 22", by: ByPerson, script: "SSS", want: Inconclusive, message: "Run Terminated: by a person, before it had passed"},
		"by a person before it started":      {why: "rule 22", by: ByPerson, want: Inconclusive, message: "Run Terminated: by a person, before it had passed"},
		"by a person, in the background":     {why: "rule 22: a guard never passes", by: ByPerson, background: true, script: "SSSSSSSS", want: Inconclusive, message: "Run Terminated: by a person, before it had passed"},
		"by the controller":                  {why: "rule 22: it carries its reason", by: ByController, reason: "the rollout was promoted", background: true, script: "SSSSSSSS", want: Successful, message: "Run Terminated: the rollout was promoted"},
		"by the controller, without success": {why: "D5", by: ByController, reason: "the rollout was aborted", script: "BN", want: Inconclusive, message: "Run Terminated: the rollout was aborted"},
		"by the controller, with nothing":    {why: "D5: #4479", by: ByController, background: true, script: "EEE", want: Inconclusive, message: "Run Terminated"},
		"by the controller, in the dark":     {why: "D5: errors are no success", by: ByController, background: true, script: "SEE", want: Inconclusive, message: "Run Terminated"},
		"Argo: with nothing but errors":      {why: "1.7.2 g", by: ByPerson, argo: true, script: "EEE", want: Successful, message: "Run Terminated"},
		"Argo: before it started":            {why: "1.7.2 b", by: ByPerson, argo: true, want: Successful, message: "Run Terminated"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := Run{UID: "u", Metrics: []Metric{guide(t)}, Background: tc.background}
			if tc.argo {
				run.Semantics = Argo
			}
			w := newWorld(t, run).one(tc.script)
			w.run.Terminate, w.run.Reason = tc.by, tc.reason
			w.step(nil)
			if w.state.Phase != tc.want || w.state.Message != tc.message || w.state.CompletedAt.IsZero() {
				t.Errorf("%s: %s, %q, want %s, %q", tc.why, w.state.Phase, w.state.Message, tc.want, tc.message)
			}
		})
	}
}

// A failing reading in hand wins over a termination that comes with it.
func TestTerminationDoesNotHideAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Run{Metrics: []Metric{guide(t)}}).one("FF")
	w.run.Terminate = ByPerson
	x := w.measure("error-rate", 'F')
	w.step([]Taken{{"error-rate", x}})
	if w.state.Phase != Failed || !strings.Contains(w.state.Message, "failed (3)") {
		t.Errorf("run is %s, %q", w.state.Phase, w.state.Message)
	}
}

func TestARunWithoutMetricsIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Run{})
	if w.state.Phase != Error || w.state.Message != "the run has no metrics" {
		t.Errorf("run is %s, %q", w.state.Phase, w.state.Message)
	}
}

func TestMessagesChangeWithTheStateOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Run{UID: "u", Metrics: []Metric{guide(t)}}).one("SBBBBNNNSSBEEEEEEEDDSSSSS")
	want := []string{
		"",
		`Metric "error-rate" holds: in the band: neither successCondition nor failureCondition holds`,
		`Metric "error-rate" holds: no data: query hits returned nothing`,
		`Metric "error-rate" holds: was inconclusive; passes when 5 readings in a row are conclusive`,
		`Metric "error-rate" holds: in the band: neither successCondition nor failureCondition holds`,
		`Metric "error-rate" holds: 503 from api.datadoghq.eu`,
		`Metric "error-rate" holds: more than 4 errors in a row: 503 from api.datadoghq.eu`,
		`Metric "error-rate" holds: more than 4 errors in a row: 403 from api.datadoghq.eu`,
		`Metric "error-rate" holds: was inconclusive; passes when 5 readings in a row are conclusive`,
		"",
	}
	if diff := cmp.Diff(want, w.messages); diff != "" {
		t.Errorf("rule 21: messages (-want +got):\n%s", diff)
	}
}

// The provider's words may hold a request id; the message stays.
func TestAnErrorThatIsWordedAnewIsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Run{UID: "u", Metrics: []Metric{guide(t)}})
	for _, id := range []string{"1", "2", "3"} {
		o := Observation{Failure: &Failure{Reason: "Unavailable", Status: 503, Message: "503, request " + id}}
		x := w.run.Assess(w.run.Metrics[0], o, w.now)
		x.Started, x.Finished = w.now, w.now
		w.step([]Taken{{"error-rate", x}})
		w.now = w.plan.WakeAt
	}
	if len(w.messages) != 2 || !strings.HasSuffix(w.messages[1], "503, request 1") {
		t.Errorf("rule 21: messages are %q", w.messages)
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	// Times are since the start; the readings are a minute apart, the first
	// error is tried again after ten seconds.
	tests := map[string]struct {
		why    string
		with   func(*Metric, *Run)
		script string
		holds  bool
		since  time.Duration
		limit  time.Duration
	}{
		"good readings":                        {why: "rule 14", script: "SSF"},
		"before the first":                     {why: "rule 14"},
		"the band":                             {why: "rule 14", script: "SB", holds: true, since: minute, limit: 30 * minute},
		"it began with the first":              {why: "rule 14: it bounds the whole", script: "BNNB", holds: true, limit: 30 * minute},
		"a good one between does not renew it": {why: "rule 14: else a flapping canary holds for ever", script: "BSBSSB", holds: true, limit: 30 * minute},
		"recovering still counts":              {why: "rule 14", script: "BSSSS", holds: true, limit: 30 * minute},
		"an error":                             {why: "rule 14", script: "E", holds: true, limit: 30 * minute},
		"a throttled answer":                   {why: "rule 14: 429 alike", script: "T", holds: true, limit: 30 * minute},
		"after an error a good one ends it":    {why: "rule 14: progress is made", script: "SES"},
		"after an error in the band it does not": {
			why: "rule 14", script: "BES", holds: true, limit: 30 * minute,
		},
		"in the background a good one ends it": {why: "D14: the gate is open again", with: func(_ *Metric, r *Run) { r.Background = true }, script: "BBS"},
		"it was passed":                        {why: "rule 14", script: "BSSSSS"},
		"maxHold is given":                     {why: "rule 14", with: func(m *Metric, _ *Run) { m.MaxHold = 45 * time.Second }, script: "B", holds: true, limit: 45 * time.Second},
		"three times count and interval":       {why: "rule 14: the larger", with: func(m *Metric, _ *Run) { m.Count = 20 }, script: "B", holds: true, limit: 60 * minute},
		"a dry run":                            {why: "rule 15: it never delays", with: func(m *Metric, _ *Run) { m.DryRun, m.ErrorLimit = true, 9 }, script: "E"},
		"Argo":                                 {why: "D8 is off", with: func(_ *Metric, r *Run) { r.Semantics = Argo }, script: "E"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, run := guide(t), Run{UID: "u"}
			if tc.with != nil {
				tc.with(&m, &run)
			}
			run.Metrics = []Metric{m}
			w := newWorld(t, run)
			w.forget = true
			w.one(tc.script)
			hold, ok := Holds(run, w.state)
			if ok != tc.holds {
				t.Fatalf("%s: holds is %v: %+v", tc.why, ok, hold)
			}
			if !ok {
				return
			}
			if hold.Metric != m.Name || hold.Message == "" || hold.Since.Sub(start) != tc.since || hold.Until.Sub(hold.Since) != tc.limit {
				t.Errorf("%s: hold %q (%q) since %s for %s, want since %s for %s", tc.why, hold.Metric, hold.Message, hold.Since.Sub(start), hold.Until.Sub(hold.Since), tc.since, tc.limit)
			}
		})
	}
}

func TestTheHoldWhoseTimeIsUpFirst(t *testing.T) {
	t.Parallel()
	a, b := guide(t), guide(t)
	a.Name, b.Name, b.MaxHold = "a", "b", minute
	w := newWorld(t, Run{Metrics: []Metric{a, b}}).play(map[string]string{"a": "BBB", "b": "SBB"})
	if hold, ok := Holds(w.run, w.state); !ok || hold.Metric != "b" {
		t.Errorf("hold is %+v, want that of b", hold)
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		why    string
		with   func(*Run)
		a, b   string
		ready  bool
		reason string
	}{
		"nothing measured":          {why: "D14", reason: `metric "a" has no measurement yet`},
		"one of two":                {why: "D14: every metric", a: "S", reason: `metric "b" has no measurement yet`},
		"both good":                 {why: "D14", a: "S", b: "S", ready: true},
		"one in the band":           {why: "D14: the latest is conclusive", a: "SS", b: "SB", reason: `metric "b": in the band`},
		"one silent":                {why: "D14: a blind guard holds", a: "SN", b: "SS", reason: `metric "a": no data: query hits`},
		"one in error":              {why: "D14: a blind guard holds", a: "SE", b: "SS", reason: `metric "a": 503 from`},
		"one throttled":             {why: "D14", a: "SS", b: "ST", reason: `metric "b": 429`},
		"only failures":             {why: "D14: a Successful reading", a: "F", b: "S", reason: `metric "a" has no successful reading yet`},
		"a failure after a success": {why: "D14: a failure is conclusive", a: "SF", b: "SS", ready: true},
		"sight comes back":          {why: "D14", a: "SNES", b: "SSSS", ready: true},
		"only assumed successes":    {why: "rule 4", with: func(r *Run) { r.Metrics[0].OnNoData = NoDataSuccess }, a: "NN", b: "SS", reason: `metric "a" has no successful reading yet`},
		"a dry run is blind":        {why: "D14: not a dry run", with: dryB, a: "S", b: "N", ready: true},
		"a failed run":              {why: "D14", a: "FFF", b: "SSS", reason: "the run is Failed"},
		"Argo knows no such thing":  {why: "D14 is off", with: func(r *Run) { r.Semantics = Argo }, ready: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := guide(t), guide(t)
			a.Name, b.Name = "a", "b"
			run := Run{UID: "u", Metrics: []Metric{a, b}, Background: true}
			if tc.with != nil {
				tc.with(&run)
			}
			w := newWorld(t, run)
			w.forget = true
			w.play(map[string]string{"a": tc.a, "b": tc.b})
			ready, why := Guard(run, w.state)
			if ready != tc.ready || !strings.Contains(why, tc.reason) || ready != (why == "") {
				t.Errorf("%s: guard is %v, %q, want %v, %q", tc.why, ready, why, tc.ready, tc.reason)
			}
		})
	}
}

func TestCulprit(t *testing.T) {
	t.Parallel()
	a, b := guide(t), guide(t)
	a.Name, b.Name = "a", "b"
	run := Run{Metrics: []Metric{a, b}, Background: true}
	w := newWorld(t, run).play(map[string]string{"a": "SSSSSSSSS", "b": "FSSSSSFFF"})
	got, ok := Culprit(run, w.state)
	want := Blame{Metric: "b", Message: `Metric "b" assessed Failed due to failed (3) > failureLimit (2) in the last 5 readings`, Phase: Failed, Failed: 3, Limit: 2}
	if !ok || got != want {
		t.Errorf("culprit is %+v, want %+v", got, want)
	}
	if _, ok := Culprit(run, State{Phase: Running}); ok {
		t.Error("a running run has a culprit")
	}
}

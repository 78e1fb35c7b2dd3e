// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice.dev/sluice/api/v1alpha1"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// samples are records of every outcome.
func samples() map[string]Record {
	o, a := aborted()
	out := map[string]Record{"aborted": Build(o, a, recorded())}
	o, a = promoted()
	out["promoted"] = Build(o, a, at(27*time.Minute))
	o, a = aborted()
	a.EndedAt, a.Outcome, a.Reason, a.Message, a.Verdict, a.Marks = nil, "", "", "", nil, a.Marks[:5]
	o.Runs = nil
	out["in-progress"] = Build(o, a, at(5*time.Minute))
	o, a = aborted()
	a.Outcome, a.Reason, a.Message, a.Verdict, a.Attempt, a.Dropped = v1alpha1.OutcomeSuperseded, "", "a new template replaced this one", nil, 2, 1
	o.ReplicaSets = o.ReplicaSets[1:]
	out["superseded"] = Build(o, a, recorded())
	return out
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s (run with -update and look at the difference):\n%s", path, diff)
	}
}

func TestRecordsAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for name, r := range samples() {
		page, err := HTML(&r)
		if err != nil {
			t.Fatal(err)
		}
		data, err := JSON(&r)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", []byte(Text(&r)))
		if name == "aborted" {
			golden(t, name+".html", page)
			golden(t, name+".json", data)
		}
		again, err := Read(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Errorf("%s comes back from JSON as another, -want +got:\n%s", name, diff)
		}
	}
}

// The same objects give the same bytes, in whatever order they come.
func TestTheSameObjectsGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	write := func(turn bool) [3]string {
		o, a := aborted()
		if turn {
			slices.Reverse(o.Runs)
			slices.Reverse(o.ReplicaSets)
		}
		r := Build(o, a, recorded())
		page, errPage := HTML(&r)
		data, errData := JSON(&r)
		archive, errZip := Zip(&r, RunsOf(o.Rollout, o.Runs, a))
		if err := errors.Join(errPage, errData, errZip); err != nil {
			t.Fatal(err)
		}
		return [3]string{string(page), string(data), string(archive)}
	}
	for range 5 {
		if write(false) != write(true) {
			t.Fatal("they differ")
		}
	}
}

func TestWhatBelongsToAnotherAttemptIsLeftOut(t *testing.T) {
	t.Parallel()
	o, a := aborted()
	base := len(Build(o, a, recorded()).Runs)
	for what, change := range map[string]func(*v1alpha1.AnalysisRun){
		"another attempt":                func(r *v1alpha1.AnalysisRun) { r.Annotations[KeyAttempt] = "2" },
		"another revision":               func(r *v1alpha1.AnalysisRun) { r.Labels[v1alpha1.LabelPodTemplateHash] = stableHash },
		"another rollout":                func(r *v1alpha1.AnalysisRun) { r.OwnerReferences[0].UID = "x" },
		"nobody":                         func(r *v1alpha1.AnalysisRun) { r.OwnerReferences = nil },
		"an earlier release of the same": func(r *v1alpha1.AnalysisRun) { r.CreationTimestamp.Time = at(-time.Hour) },
		"a later release of the same":    func(r *v1alpha1.AnalysisRun) { r.CreationTimestamp.Time = at(time.Hour) },
	} {
		o, a := aborted()
		change(o.Runs[0])
		if got := len(Build(o, a, recorded()).Runs); got != base-1 {
			t.Errorf("a run of %s: %d runs are on record", what, got)
		}
	}
}

func TestTheRequestsThatTheCanaryServed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change         func(*Record)
		served, failed float64
	}{
		"errors / hits": {served: 10944, failed: 497},
		"good / hits, where more is better": {served: 10944, failed: 10447, change: func(r *Record) {
			r.each(func(m Metric) Metric { m.Pass = "result >= 0.99"; return m })
		}},
		"with default_zero and in percent": {served: 10944, failed: 497, change: func(r *Record) {
			r.each(func(m Metric) Metric {
				m.Query = strings.Replace(m.Query, "errors / hits;", "100 * default_zero(errors) / hits;", 1)
				return m
			})
		}},
		"of a later attempt, whose first windows reach into the one before": {served: 10944 - 212, failed: 497, change: func(r *Record) { r.Attempt = 2 }},
		"of all revisions together": {change: func(r *Record) {
			r.each(func(m Metric) Metric { m.Query = strings.ReplaceAll(m.Query, canaryHash, "*"); return m })
		}},
		"by the version that the image names": {served: 10944, failed: 497, change: func(r *Record) {
			r.each(func(m Metric) Metric {
				m.Query = strings.ReplaceAll(m.Query, "kube_pod_label_rollouts_pod_template_hash:"+canaryHash, "version:1.1.0")
				return m
			})
		}},
		"of another version that begins alike": {change: func(r *Record) {
			r.each(func(m Metric) Metric {
				m.Query = strings.ReplaceAll(m.Query, "kube_pod_label_rollouts_pod_template_hash:"+canaryHash, "version:1.1.01")
				return m
			})
		}},
		"of a formula beyond a ratio": {change: func(r *Record) {
			r.each(func(m Metric) Metric {
				m.Query = strings.Replace(m.Query, "errors / hits;", "errors / (hits + 1);", 1)
				return m
			})
		}},
		"with conditions that do not say what is good": {change: func(r *Record) {
			r.each(func(m Metric) Metric { m.Pass, m.Fail = "result != 3", "isNaN(result)"; return m })
		}},
	}
	for name, tc := range tests {
		o, a := aborted()
		r := Build(o, a, recorded())
		if tc.change != nil {
			tc.change(&r)
		}
		got := requests(&r, nil)
		if tc.served == 0 {
			if got != nil {
				t.Errorf("%s: got %+v, want none", name, got)
			}
			continue
		}
		if got == nil || got.Served != tc.served || got.Failed != tc.failed {
			t.Errorf("%s: got %+v, want %v and %v", name, got, tc.served, tc.failed)
		}
	}
}

func TestWhatWasCountedOverTheWholeAttempt(t *testing.T) {
	t.Parallel()
	total := func(problem string, counts map[string]float64) []Total {
		return []Total{{Countable: Countable{Run: "checkout-" + canaryHash + "-5", Metric: "error-rate"}, Counts: counts, From: at(0), To: recorded(), Problem: problem}}
	}
	tests := map[string]struct {
		totals []Total
		want   Requests
	}{
		"both counts":            {total("", map[string]float64{"errors": 612, "hits": 12840}), Requests{Served: 12840, Failed: 612}},
		"no errors, which exist": {total("", map[string]float64{"hits": 12840}), Requests{Served: 12840}},
		"nothing":                {total("", nil), Requests{Served: 10944, Failed: 497, AtLeast: true}},
		"an error":               {total("Datadog answered 503", nil), Requests{Served: 10944, Failed: 497, AtLeast: true}},
	}
	for name, tc := range tests {
		o, a := aborted()
		o.Totals = tc.totals
		r := Build(o, a, recorded())
		if q := r.Requests; q == nil || q.Served != tc.want.Served || q.Failed != tc.want.Failed || q.AtLeast != tc.want.AtLeast {
			t.Errorf("%s: got %+v, want %+v", name, q, tc.want)
		}
		if said := strings.Contains(strings.Join(r.Missing, " "), "could not be counted: Datadog answered 503."); said != (name == "an error") {
			t.Errorf("%s: it lacks %q", name, r.Missing)
		}
	}
	o, a := aborted()
	r := Build(o, a, recorded())
	silent := total("", map[string]float64{"hits": 12840})
	r.each(func(m Metric) Metric { m.Readings = []Reading{}; return m })
	if q := requests(&r, silent); q != nil {
		t.Errorf("silence is taken for zero: %+v", q)
	}
	r.each(func(m Metric) Metric {
		m.Query = strings.Replace(m.Query, "errors /", "default_zero( errors ) /", 1)
		return m
	})
	if q := requests(&r, silent); q == nil || q.Served != 12840 || q.Failed != 0 {
		t.Errorf("the formula takes silence for zero: %+v", q)
	}
	r = Build(o, a, recorded())
	r.each(func(m Metric) Metric { m.Aggregator = "last"; return m })
	if q := requests(&r, nil); q != nil {
		t.Errorf("the last buckets of windows are added up as if they were windows: %+v", q)
	}
	if diff := cmp.Diff([]Countable{{"checkout-" + canaryHash + "-5", "error-rate"}}, CountableOf(&r)); diff != "" {
		t.Error(diff)
	}
}

// The sum is what was served at least: over windows that do not overlap, and no
// other choice of such windows gives more.
func TestTheSumIsOverDisjointWindows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		var all []tally
		for range n {
			from := rapid.IntRange(0, 40).Draw(t, "from")
			all = append(all, tally{from: at(time.Duration(from) * time.Second), to: at(time.Duration(from+rapid.IntRange(1, 15).Draw(t, "long")) * time.Second), served: float64(rapid.IntRange(1, 9).Draw(t, "served"))})
		}
		best := 0.0
		for set := range 1 << n {
			sum, ok := 0.0, true
			for i := range n {
				if set&(1<<i) == 0 {
					continue
				}
				sum += all[i].served
				for j := range i {
					if set&(1<<j) != 0 && all[i].from.Before(all[j].to) && all[j].from.Before(all[i].to) {
						ok = false
					}
				}
			}
			if ok {
				best = max(best, sum)
			}
		}
		got, sum := disjoint(slices.Clone(all)), 0.0
		for i, w := range got {
			sum += w.served
			if i > 0 && w.from.Before(got[i-1].to) {
				t.Fatalf("windows overlap: %v", got)
			}
		}
		if sum != best {
			t.Fatalf("got %v, want %v", sum, best)
		}
	})
}

func TestSecretsOfTheTemplateStayOut(t *testing.T) {
	t.Parallel()
	for path, values := range map[string][2]string{
		"spec.containers[a].env[DB_PASSWORD].value": {`"a"`, `"b"`}, "spec.containers[a].env[apiToken].value": {"", `"b"`},
		"spec.containers[a].env[URL].value": {`"postgres://u:pw@db"`, `"postgres://u:pw2@db"`}, "spec.containers[a].args[0]": {`"--password=x"`, `"--password=y"`},
		"metadata.annotations.auth-key": {`"a"`, `"b"`},
	} {
		if !secretive(path, values[0], values[1]) {
			t.Errorf("%s %v is shown", path, values)
		}
	}
	for path, values := range map[string][2]string{
		"spec.containers[a].env[POOL_SIZE].value": {`"1"`, `"2"`}, "spec.containers[a].env[X].valueFrom.secretKeyRef.key": {`"a"`, `"b"`},
		"spec.containers[monkey].image": {`"a"`, `"b"`}, "spec.containers[a].args[1]": {`"-v=1"`, `"-v=2"`}, "metadata.annotations.team": {`"a"`, `"b"`},
	} {
		if secretive(path, values[0], values[1]) {
			t.Errorf("%s %v is hidden", path, values)
		}
	}
	r := samples()["aborted"]
	page, _ := HTML(&r)
	data, _ := JSON(&r)
	for _, secret := range []string{"hunter2", "correct horse"} {
		if strings.Contains(string(page)+string(data)+Text(&r), secret) {
			t.Errorf("%q is in the record", secret)
		}
	}
}

// hostile is text that would be markup if it were not escaped.
const hostile = `</title></style><script>alert(1)</script><img src=x onerror=alert(1)>"'` + "`" + ` onload="x" javascript:alert(1) {{.}} ]]> -->` + "\x1b[31m"

// soil puts hostile text into every text of a record.
func soil(r *Record) {
	r.Rollout, r.Namespace, r.Message, r.Reason = hostile, hostile, hostile, hostile
	r.Verdict, r.Missing = append(r.Verdict, hostile), append(r.Missing, hostile)
	r.StartedBy = Starter{Name: hostile, Manager: hostile}
	r.Change.Commit, r.Change.From.Hash, r.Change.To.Hash = hostile, hostile, hostile
	r.Change.Images = append(r.Change.Images, ImageChange{hostile, hostile, hostile})
	r.Change.Template = append(r.Change.Template, FieldChange{Path: hostile, From: hostile, To: hostile})
	r.Skipped = append(r.Skipped, Skip{What: hostile, By: hostile})
	r.Timeline = append(r.Timeline, Event{At: r.EndedAt, Kind: v1alpha1.MarkHold, Text: hostile}, Event{At: r.EndedAt, Kind: hostile, Text: hostile})
	for i := range r.Runs {
		r.Runs[i].Name, r.Runs[i].Message, r.Runs[i].Kind, r.Runs[i].Args = hostile, hostile, hostile, []string{hostile}
	}
	r.each(func(m Metric) Metric {
		m.Name, m.Phase, m.Message, m.Query, m.Pass, m.Fail, m.Abort, m.Limits, m.Schedule = hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile
		for k := range m.Readings {
			x := &m.Readings[k]
			x.Reason, x.Message, x.Notes, x.Phase = hostile, hostile, map[string]string{hostile: hostile}, hostile
			if k%2 == 0 {
				x.Value = hostile
			}
			x.Counts = map[string]float64{hostile: 1}
		}
		return m
	})
}

var (
	elements = regexp.MustCompile(`<\s*/?\s*([a-zA-Z!][a-zA-Z0-9]*)`)
	loads    = regexp.MustCompile(`(?i)<[^>]*\s(src|href|srcset|action|on[a-z]+|style|data|xlink:href)\s*=`)
)

// count is how often each element occurs in a page.
func elementsOf(page []byte) map[string]int {
	out := map[string]int{}
	for _, m := range elements.FindAllSubmatch(page, -1) {
		out[strings.ToLower(string(m[1]))]++
	}
	return out
}

func TestNoTextBecomesMarkup(t *testing.T) {
	t.Parallel()
	o, a := aborted()
	r := Build(o, a, recorded())
	soil(&r)
	page, err := HTML(&r)
	if err != nil {
		t.Fatal(err)
	}
	for name := range elementsOf(page) {
		if name == "script" || name == "img" || name == "link" || name == "iframe" {
			t.Errorf("the page has an element %s", name)
		}
	}
	if m := loads.Find(page); m != nil {
		t.Errorf("the page has %q", m)
	}
	if n := elementsOf(page); n["style"] != 2 || n["html"] != 2 || n["body"] != 2 {
		t.Errorf("the page has these elements: %v", n)
	}
	if strings.Contains(Text(&r), "\x1b") {
		t.Error("the text has a terminal's escape sequence")
	}
}

func TestThePageNeedsNothingElse(t *testing.T) {
	t.Parallel()
	for name, r := range samples() {
		page, err := HTML(&r)
		if err != nil {
			t.Fatal(err)
		}
		for _, never := range []string{"<script", "http://", "https://", "url(", "@import", "src=", "href="} {
			if strings.Contains(string(page), never) {
				t.Errorf("%s: the page has %q", name, never)
			}
		}
		for _, always := range []string{"prefers-color-scheme: dark", "@media print", "Content-Security-Policy", "<svg"} {
			if !strings.Contains(string(page), always) {
				t.Errorf("%s: the page lacks %q", name, always)
			}
		}
		for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAll(page, -1) {
			d := xml.NewDecoder(bytes.NewReader(svg))
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: a chart is no XML: %v\n%s", name, err, svg)
				}
			}
			if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") || strings.Contains(string(svg), "ZgotmplZ") {
				t.Errorf("%s: a chart has no number somewhere:\n%s", name, svg)
			}
		}
	}
}

// A line joins readings that follow each other, and never spans a time in which
// nothing was measured.
func TestLinesHaveGapsWhereNoDataWas(t *testing.T) {
	t.Parallel()
	m := Metric{Name: "m"}
	for i, value := range []string{"1", "2", "", "3", "4", "5"} {
		when := at(time.Duration(i) * time.Minute)
		if i == 5 {
			when = at(20 * time.Minute)
		}
		m.Readings = append(m.Readings, Reading{At: when, Value: value, Phase: "Successful"})
	}
	r := Record{StartedAt: t0, RecordedAt: at(21 * time.Minute), Runs: []Run{{Metrics: []Metric{m}}}}
	c := metricChart(&r, seriesOf(&r)[0], span(&r), "m")
	var joined []int
	for _, p := range c.Paths {
		joined = append(joined, strings.Count(p, "L")+1)
	}
	if diff := cmp.Diff([]int{2, 2, 1}, joined); diff != "" || len(c.Points) != 6 {
		t.Errorf("%d points, lines join:\n%s", len(c.Points), diff)
	}
}

// No value, limit or time makes a chart that cannot be drawn.
func TestChartsOfAnything(t *testing.T) {
	t.Parallel()
	value := rapid.OneOf(rapid.Just(""), rapid.Just("NaN"), rapid.Just("[1,2,x]"), rapid.Just("-1e308"), rapid.Just("1e308"),
		rapid.Map(rapid.Float64(), func(f float64) string { return fmt.Sprint(f) }))
	condition := rapid.OneOf(rapid.Just(""), rapid.Just("result < 1e999"), rapid.Just("result > 1 && true"),
		rapid.Map(rapid.Float64(), func(f float64) string { return fmt.Sprintf("result >= %g", f) }))
	rapid.Check(t, func(t *rapid.T) {
		m := Metric{Name: "m", Pass: condition.Draw(t, "pass"), Fail: condition.Draw(t, "fail"), Abort: condition.Draw(t, "abort")}
		for range rapid.IntRange(0, 8).Draw(t, "n") {
			m.Readings = append(m.Readings, Reading{At: at(time.Duration(rapid.Int64Range(-1e6, 1e6).Draw(t, "at")) * time.Second), Value: value.Draw(t, "value"), Phase: "Failed"})
		}
		r := Record{StartedAt: t0, RecordedAt: t0, Runs: []Run{{Metrics: []Metric{m}}}}
		page, err := HTML(&r)
		if err != nil {
			t.Fatal(err)
		}
		for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(string(page), -1) {
			text := regexp.MustCompile(`(?s)<(title|text)[^>]*>.*?</(title|text)>`).ReplaceAllString(svg, "")
			if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
				t.Fatalf("no number somewhere in\n%s", svg)
			}
		}
	})
}

func TestZipHoldsThePageTheRecordAndTheRuns(t *testing.T) {
	t.Parallel()
	o, a := aborted()
	r := Build(o, a, recorded())
	data, err := Zip(&r, RunsOf(o.Rollout, o.Runs, a))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
		if f.UncompressedSize64 == 0 {
			t.Errorf("%s is empty", f.Name)
		}
	}
	want := []string{
		"checkout-20260301T090000Z-revision-5-attempt-1/evidence.html", "checkout-20260301T090000Z-revision-5-attempt-1/evidence.json",
		"checkout-20260301T090000Z-revision-5-attempt-1/analysisruns/checkout-7969db57d7-5.json", "checkout-20260301T090000Z-revision-5-attempt-1/analysisruns/checkout-7969db57d7-5-2.json",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestARecordThatIsTooLargeSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	o, a := aborted()
	full := Build(o, a, recorded())
	full.each(func(m Metric) Metric {
		for i := range 3000 {
			m.Readings = append(m.Readings, Reading{At: at(time.Duration(i) * time.Second), Value: fmt.Sprint(float64(i*7919%9973) / 9973), Phase: []string{"Successful", "Failed"}[i%7/6], Message: fmt.Sprint("reading ", i*i), Notes: map[string]string{"n": strconv.Itoa(i * i)}})
		}
		m.Successful, m.Failed = m.Successful+2572, m.Failed+428
		return m
	})
	last := 1 << 30
	for _, limit := range []int{1 << 20, 60 << 10, 30 << 10, 12 << 10, 4 << 10, 3000} {
		data, err := Pack(full, limit)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Unpack(data)
		if err != nil {
			t.Fatal(err)
		}
		kept, dropped, all := 0, 0, 0
		for _, run := range r.Runs {
			for _, m := range run.Metrics {
				kept, dropped, all = kept+len(m.Readings), dropped+m.Dropped, all+int(m.Successful+m.Failed+m.Inconclusive)
			}
		}
		switch {
		case len(data) > limit:
			t.Errorf("%d bytes, %d are allowed", len(data), limit)
		case kept > last || kept+dropped != all:
			t.Errorf("within %d: %d readings are kept and %d dropped of %d", limit, kept, dropped, all)
		case dropped > 0 && !strings.Contains(strings.Join(r.Missing, " "), "are counted and not listed"):
			t.Errorf("within %d, it lacks %d readings and says %q", limit, dropped, r.Missing)
		}
		if diff := cmp.Diff(full.Verdict, r.Verdict); diff != "" {
			t.Errorf("the verdict is another: %s", diff)
		}
		last = kept
	}
	if _, err := Pack(full, 100); err == nil || !strings.Contains(err.Error(), "payments/checkout does not fit into 100 bytes") {
		t.Errorf("got %v", err)
	}
	before, _ := JSON(&full)
	if _, err := Pack(full, 4<<10); err != nil {
		t.Fatal(err)
	}
	if after, _ := JSON(&full); !bytes.Equal(before, after) {
		t.Error("Pack changed the record it was given")
	}
}

func TestANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := Read([]byte(`{"version": 99}`)); err == nil || !strings.Contains(err.Error(), "version 99") {
		t.Errorf("got %v", err)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Duration(0): "0s", Duration(400 * time.Millisecond): "400ms", Duration(22*time.Minute + 7*time.Second + 900*time.Millisecond): "22m7s",
		Duration(2 * time.Hour): "2h", Duration(10 * time.Minute): "10m", Duration(10*time.Hour + 10*time.Minute): "10h10m", Duration(time.Hour + 5*time.Second): "1h0m5s",
		Thousands(0): "0", Thousands(999): "999", Thousands(1000): "1,000", Thousands(1234567.5): "1,234,567.5", Thousands(-1234): "-1,234", Thousands(-123): "-123",
		number(0.1 + 0.2): "0.3", number(123456): "123500", number(0.00001234): "0.00001234", number(100): "100",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWhereTheAxisOfValuesBegins(t *testing.T) {
	t.Parallel()
	limit := func(v float64) threshold { return threshold{"fail", ">=", v} }
	tests := map[string]struct {
		values   []float64
		limits   []threshold
		from, to float64
	}{
		"at 0":                              {[]float64{180, 480}, []threshold{limit(400), limit(600)}, 0, 672},
		"near rates of success":             {[]float64{0.92, 0.99}, []threshold{limit(0.95), limit(0.99)}, 0.9025, 1.0005},
		"below, where something is":         {[]float64{-2, 3}, nil, -2, 3.6},
		"at 0, when all are the same":       {[]float64{7, 7}, nil, 0, 7.84},
		"at 0, when all are 0":              {[]float64{0}, nil, 0, 1.12},
		"at 0, when nothing was measured":   {nil, nil, 0, 1.12},
		"with a limit far beyond left off":  {[]float64{0.01}, []threshold{limit(0.02), limit(0.5)}, 0, 0.0224},
		"with the first limit, however far": {[]float64{0.0001}, []threshold{limit(0.5)}, 0, 0.56},
	}
	for name, tc := range tests {
		if got := scale(tc.values, tc.limits, 100); math.Abs(got.from-tc.from) > 1e-3 || math.Abs(got.to-tc.to) > 1e-3 {
			t.Errorf("%s: from %v to %v, want %v to %v", name, got.from, got.to, tc.from, tc.to)
		}
	}
}

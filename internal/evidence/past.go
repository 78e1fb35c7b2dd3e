// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/fit"
)

// KeyPast is the key of a metric result's metadata under which the readings are
// that its measurements have no room for.
const KeyPast = v1alpha1.SluicePrefix + "past"

// KeyCounts is the key of a measurement's metadata that holds how many events
// each query of a formula has counted, as a JSON object of numbers by name.
const KeyCounts = "counts"

const (
	keyReason = v1alpha1.SluicePrefix + "reason"
	keyRange  = v1alpha1.SluicePrefix + "range"

	// maxPast is how many conclusive readings are kept of one metric.
	maxPast = 500
	// maxPastBytes bounds what one metric keeps, and maxRunBytes what all of a
	// run do: a run is one object, which has to fit into the API server.
	maxPastBytes = 24 << 10
	maxRunBytes  = 256 << 10
	// maxPastText bounds a message and a value that is kept.
	maxPastText = 240
)

// PastBudget is how many bytes each of a run's metrics may keep.
func PastBudget(metrics int) int { return min(maxPastBytes, maxRunBytes/max(1, metrics)) }

// past is what KeyPast holds.
type past struct {
	// Rows are the readings, oldest first, each an array: see encodeRow.
	Rows []json.RawMessage `json:"r,omitempty"`
	// Lost are the readings that there was no room for, by the letter of their
	// phase.
	Lost map[string]int `json:"lost,omitempty"`
}

var letters = map[v1alpha1.AnalysisPhase]string{
	v1alpha1.AnalysisPhaseSuccessful: "S", v1alpha1.AnalysisPhaseFailed: "F",
	v1alpha1.AnalysisPhaseInconclusive: "I", v1alpha1.AnalysisPhaseError: "E",
}

var phases = map[string]v1alpha1.AnalysisPhase{
	"S": v1alpha1.AnalysisPhaseSuccessful, "F": v1alpha1.AnalysisPhaseFailed,
	"I": v1alpha1.AnalysisPhaseInconclusive, "E": v1alpha1.AnalysisPhaseError,
}

// Keep adds the measurements that are about to be dropped from a metric's result
// to those that were before, within budget bytes. The oldest successful ones
// make room first: how many of them there were is in the counters.
func Keep(stored string, dropped []v1alpha1.Measurement, budget int) string {
	if len(dropped) == 0 {
		return stored
	}
	p := decodePast(stored)
	for i := range dropped {
		p.Rows = append(p.Rows, encodeRow(&dropped[i]))
	}
	p.makeRoom(budget - len(`{"r":[],"lost":{"E":10000,"F":10000,"I":10000,"S":10000}}`))
	text, err := json.Marshal(p)
	if err != nil {
		return stored
	}
	return string(text)
}

// makeRoom drops rows until the rest fits into budget bytes.
func (p *past) makeRoom(budget int) {
	size, conclusive := 0, 0
	count := func(r json.RawMessage, sign int) string {
		l := letterOf(r)
		size += sign * (len(r) + 1)
		if l == "S" || l == "F" {
			conclusive += sign
		}
		return l
	}
	for _, r := range p.Rows {
		count(r, 1)
	}
	for len(p.Rows) > 0 && (conclusive > maxPast || size > budget) {
		i := slices.IndexFunc(p.Rows, func(r json.RawMessage) bool { return letterOf(r) == "S" })
		i = max(0, i)
		if p.Lost == nil {
			p.Lost = map[string]int{}
		}
		p.Lost[count(p.Rows[i], -1)]++
		p.Rows = slices.Delete(p.Rows, i, i+1)
	}
}

// decodePast reads what Keep wrote. What cannot be read is taken as absent.
func decodePast(stored string) past {
	var p past
	if json.Unmarshal([]byte(stored), &p) != nil {
		return past{}
	}
	p.Lost = maps.Clone(p.Lost)
	return p
}

// letterOf is the letter of an encoded row, which comes first.
func letterOf(r json.RawMessage) string {
	if len(r) < 4 || r[1] != '"' {
		return "?"
	}
	return string(r[2])
}

// encodeRow writes a measurement as
// [letter,start,seconds,value,from,to,counts,reason,message], without what is
// empty at the end.
func encodeRow(m *v1alpha1.Measurement) json.RawMessage {
	letter := letters[m.Phase]
	if letter == "" {
		letter = "I"
	}
	cells := []any{letter, unix(m.StartedAt), int64(0), clip(m.Value), int64(0), int64(0), "", m.Metadata[keyReason], clip(m.Message)}
	if m.StartedAt != nil && m.FinishedAt != nil {
		cells[2] = int64(m.FinishedAt.Sub(m.StartedAt.Time) / time.Second)
	}
	if from, to, ok := parseRange(m.Metadata[keyRange]); ok {
		cells[4], cells[5] = from.Unix(), to.Unix()
	}
	cells[6] = m.Metadata[KeyCounts]
	for len(cells) > 4 && (cells[len(cells)-1] == "" || cells[len(cells)-1] == int64(0)) {
		cells = cells[:len(cells)-1]
	}
	text, err := json.Marshal(cells)
	if err != nil {
		return json.RawMessage(`["I",0,0,""]`)
	}
	return text
}

// decodeRow undoes encodeRow.
func decodeRow(r json.RawMessage) (v1alpha1.Measurement, bool) {
	var cells []any
	if json.Unmarshal(r, &cells) != nil || len(cells) < 4 {
		return v1alpha1.Measurement{}, false
	}
	text := func(i int) string {
		if i >= len(cells) {
			return ""
		}
		s, _ := cells[i].(string)
		return s
	}
	number := func(i int) int64 {
		if i >= len(cells) {
			return 0
		}
		f, _ := cells[i].(float64)
		return int64(f)
	}
	started := metav1.NewTime(time.Unix(number(1), 0).UTC())
	finished := metav1.NewTime(started.Add(time.Duration(number(2)) * time.Second))
	m := v1alpha1.Measurement{
		Phase: phases[text(0)], StartedAt: &started, FinishedAt: &finished, Value: text(3), Message: text(8), Metadata: map[string]string{},
	}
	set := func(key, value string) {
		if value != "" {
			m.Metadata[key] = value
		}
	}
	if number(5) != 0 {
		set(keyRange, time.Unix(number(4), 0).UTC().Format(time.RFC3339)+"/"+time.Unix(number(5), 0).UTC().Format(time.RFC3339))
	}
	set(KeyCounts, text(6))
	set(keyReason, text(7))
	return m, m.Phase != ""
}

// measurements are all that are kept of a metric, oldest first, and how many
// are not.
func measurements(res *v1alpha1.MetricResult) (kept []v1alpha1.Measurement, lost int) {
	p := decodePast(res.Metadata[KeyPast])
	for _, r := range p.Rows {
		if m, ok := decodeRow(r); ok {
			kept = append(kept, m)
		}
	}
	kept = append(kept, res.Measurements...)
	return kept, max(0, int(res.Count+res.Error)-len(kept))
}

func unix(t *metav1.Time) int64 {
	if t == nil {
		return 0
	}
	return t.Unix()
}

// parseRange reads from/to.
func parseRange(s string) (from, to time.Time, ok bool) {
	a, b, found := strings.Cut(s, "/")
	from, errFrom := time.Parse(time.RFC3339, a)
	to, errTo := time.Parse(time.RFC3339, b)
	return from.UTC(), to.UTC(), found && errFrom == nil && errTo == nil
}

// clip bounds a text without cutting a character in two.
func clip(s string) string { return fit.Bytes(s, maxPastText) }

// counts reads how many events each query of a formula has counted.
func counts(m *v1alpha1.Measurement) map[string]float64 {
	var out map[string]float64
	if m.Metadata[KeyCounts] == "" || json.Unmarshal([]byte(m.Metadata[KeyCounts]), &out) != nil {
		return nil
	}
	return out
}

func plural(n int, one string) string { return counted(n, one, one+"s") }

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

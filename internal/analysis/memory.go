// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"strconv"
	"strings"
	"time"
)

// The keys of a metric result's metadata that hold its memory.
const (
	KeyAnchor     = "sluice.dev/anchor"
	KeyNext       = "sluice.dev/next"
	KeyLast       = "sluice.dev/last"
	KeyWindow     = "sluice.dev/window"
	KeyConclusive = "sluice.dev/conclusive-window"
	KeyAssumed    = "sluice.dev/assumed"
	KeyThrottled  = "sluice.dev/throttled"
	KeyPassedAt   = "sluice.dev/passed-at" //nolint:gosec // no credential: when a metric passed
	KeyHoldSince  = "sluice.dev/hold-since"
	KeyHoldUntil  = "sluice.dev/hold-until"
	KeyHoldCause  = "sluice.dev/hold-cause"
)

// keys are all keys that Encode may set.
var keys = []string{
	KeyAnchor, KeyNext, KeyLast, KeyWindow, KeyConclusive, KeyAssumed, KeyThrottled, KeyPassedAt,
	KeyHoldSince, KeyHoldUntil, KeyHoldCause,
}

// Encode writes the memory of m's result into metadata, and removes what does
// not apply any more.
func (y Memory) Encode(m Metric, metadata map[string]string) {
	for _, k := range keys {
		delete(metadata, k)
	}
	set := func(key, value string) {
		if value != "" {
			metadata[key] = value
		}
	}
	set(KeyAnchor, encodeTime(y.Anchor))
	set(KeyNext, encodeTime(y.Next))
	set(KeyLast, string(y.Last))
	set(KeyWindow, squeeze(y.Recent))
	if y.Conclusive != conclusiveOf(y.Recent) {
		metadata[KeyConclusive] = squeeze(y.Conclusive) // which may be empty
	}
	set(KeyAssumed, encodeCount(y.Assumed))
	set(KeyThrottled, encodeCount(y.Throttled))
	set(KeyPassedAt, encodeTime(y.PassedAt))
	set(KeyHoldSince, encodeTime(y.HoldSince))
	set(KeyHoldCause, y.HoldCause)
	if !y.HoldSince.IsZero() {
		set(KeyHoldUntil, encodeTime(y.HoldSince.Add(m.HoldLimit())))
	}
}

// Decode reads what [Memory.Encode] wrote. What cannot be read is taken as
// absent, which never makes a metric pass sooner.
func Decode(metadata map[string]string) Memory {
	y := Memory{
		Anchor:    decodeTime(metadata[KeyAnchor]),
		Next:      decodeTime(metadata[KeyNext]),
		Last:      Phase(metadata[KeyLast]),
		Recent:    unsqueeze(metadata[KeyWindow]),
		Assumed:   decodeCount(metadata[KeyAssumed]),
		Throttled: decodeCount(metadata[KeyThrottled]),
		PassedAt:  decodeTime(metadata[KeyPassedAt]),
		HoldSince: decodeTime(metadata[KeyHoldSince]),
		HoldCause: metadata[KeyHoldCause],
	}
	y.Conclusive = conclusiveOf(y.Recent)
	if w, ok := metadata[KeyConclusive]; ok {
		y.Conclusive = unsqueeze(w)
	}
	return y
}

func encodeTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func decodeTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

func encodeCount(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func decodeCount(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// conclusiveOf is the conclusive readings of a window.
func conclusiveOf(window string) string {
	return strings.ReplaceAll(window, string(letterInconclusive), "")
}

// squeeze writes runs of a letter as the letter and a number: SSSFI is S3FI.
func squeeze(window string) string {
	var b strings.Builder
	for i := 0; i < len(window); {
		j := i
		for j < len(window) && window[j] == window[i] {
			j++
		}
		b.WriteByte(window[i])
		if j-i > 1 {
			b.WriteString(strconv.Itoa(j - i))
		}
		i = j
	}
	return b.String()
}

// unsqueeze undoes squeeze. What is no window gives the empty one.
func unsqueeze(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		letter := s[i]
		if !strings.ContainsRune("SsFfI", rune(letter)) {
			return ""
		}
		j := i + 1
		for j < len(s) && s[j] >= '0' && s[j] <= '9' {
			j++
		}
		n := 1
		if j > i+1 {
			var err error
			if n, err = strconv.Atoi(s[i+1 : j]); err != nil || n > MaxWindow {
				return ""
			}
		}
		if b.Len()+n > MaxWindow {
			return ""
		}
		b.WriteString(strings.Repeat(string(letter), n))
		i = j
	}
	return b.String()
}

// Window returns the last readings as they are stored, such as S3FI.
func (y Memory) Window() string { return squeeze(y.Recent) }

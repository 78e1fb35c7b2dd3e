// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package pods

import (
	"strconv"
	"strings"
	"time"
)

// A Behaviour is how a version acts, as its image tag says.
//
// A tag is a version followed by words, all joined by dashes:
//
//	1.2.0                    healthy
//	1.2.0-errors8            8 % of the replies are 500
//	1.2.0-errors0.5          so are 0.5 %
//	1.2.0-slow300            every reply takes 300 ms longer
//	1.2.0-tail900            3 % of the replies take 900 ms longer
//	1.2.0-errors25-at50      the faults hold while the version gets at least
//	                         50 % of its image's requests
//	1.2.0-errors2-for60      the faults end 60 s after its first request
//	1.2.0-errors2-then6      2 % until [Farm.Turn], 6 % from then on
//
// Words that are none of these are taken as part of the version, so any tag
// makes a pod. The zero value is a healthy version.
type Behaviour struct {
	// Version is the tag without its words.
	Version string
	// ErrorPercent is the share of replies that are 500, 0 to 100.
	ErrorPercent float64
	// Slow is added to every reply.
	Slow time.Duration
	// Tail is added to TailPercent of the replies.
	Tail time.Duration
	// AtPercent is the share of the image's requests from which on the faults
	// hold; 0 means always.
	AtPercent float64
	// ThenPercent takes the place of ErrorPercent after [Farm.Turn].
	ThenPercent float64
	// For is how long the faults last after the version's first request; 0
	// means for ever.
	For time.Duration
}

// TailPercent is the share of replies that a Behaviour's Tail slows down. It is
// well above 1 %, so that the p99 shows it.
const TailPercent = 3

// Parse reads the Behaviour from an image, which may have a registry with a
// port and a digest. An image without a tag is the healthy version "latest".
func Parse(image string) Behaviour {
	_, tag := Split(image)
	b := Behaviour{}
	version := []string{}
	for i, word := range strings.Split(tag, "-") {
		if i == 0 || !b.apply(word) {
			version = append(version, word)
		}
	}
	b.Version = strings.Join(version, "-")
	return b
}

// Split cuts an image into its repository and its tag; the tag is "latest" when
// there is none.
func Split(image string) (repository, tag string) {
	image, _, _ = strings.Cut(image, "@")
	i := strings.LastIndexByte(image, ':')
	if i < 0 || strings.Contains(image[i:], "/") || i == len(image)-1 {
		return strings.TrimSuffix(image, ":"), "latest"
	}
	return image[:i], image[i+1:]
}

// apply reads one word into b and reports whether it is one of the language's.
func (b *Behaviour) apply(word string) bool {
	digits := strings.IndexAny(word, "0123456789")
	if digits <= 0 {
		return false
	}
	n, err := strconv.ParseFloat(word[digits:], 64)
	if err != nil || n < 0 {
		return false
	}
	switch word[:digits] {
	case "errors":
		b.ErrorPercent = min(n, 100)
	case "slow":
		b.Slow = scale(time.Millisecond, n)
	case "tail":
		b.Tail = scale(time.Millisecond, n)
	case "at":
		b.AtPercent = min(n, 100)
	case "then":
		b.ThenPercent = min(n, 100)
	case "for":
		b.For = scale(time.Second, n)
	default:
		return false
	}
	return true
}

// scale is n units, at most an hour.
func scale(unit time.Duration, n float64) time.Duration {
	return min(time.Duration(n*float64(unit)), time.Hour)
}

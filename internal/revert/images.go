// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package revert

import (
	"path"
	"regexp"
	"strings"
)

// An image is a reference to a container image, in its parts.
type image struct {
	whole, repository, tag, digest string
}

func parse(ref string) image {
	im := image{whole: ref}
	rest := ref
	rest, im.digest, _ = strings.Cut(rest, "@")
	im.repository = rest
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		im.repository, im.tag = rest[:i], rest[i+1:]
	}
	return im
}

// tagged is a line with which kustomizations and values files of Helm charts
// name a tag or a digest.
var tagged = regexp.MustCompile(`^[\s-]*["']?(?:newTag|tag|imageTag|digest)["']?\s*:\s*(.*?)\s*,?$`)

// in reports whether a text names the image: whole, or by its tag or digest
// beside the name of its repository.
func (im *image) in(text string) bool {
	if token(text, im.whole) {
		return true
	}
	named := token(text, im.repository) || token(text, path.Base(im.repository))
	if !named {
		return false
	}
	for line := range strings.Lines(text) {
		m := tagged.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil {
			continue
		}
		value, _, _ := strings.Cut(m[1], " #")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		if value != "" && (value == im.tag || value == im.digest) {
			return true
		}
	}
	return false
}

// token reports whether text holds word, and not as a part of a longer one.
func token(text, word string) bool {
	if word == "" {
		return false
	}
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		if !wordy(text, i-1, "@") && !wordy(text, i+len(word), "") && !continues(text, i+len(word)) {
			return true
		}
		from = i + 1
	}
}

// nameBytes are what the name of an image is made of.
const nameBytes = "_-./0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// wordy reports whether the byte at i belongs to the name of an image.
func wordy(text string, i int, more string) bool {
	if i < 0 || i >= len(text) {
		return false
	}
	return strings.IndexByte(nameBytes+more, text[i]) >= 0
}

// continues reports whether a tag or digest follows at i.
func continues(text string, i int) bool {
	return i+1 < len(text) && (text[i] == ':' || text[i] == '@') && wordy(text, i+1, "")
}

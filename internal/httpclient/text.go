// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package httpclient

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Redacted is what stands where a secret was.
const Redacted = "*****"

// Redact replaces every occurrence of the secrets in text, as they are and as
// they look inside a URL, JSON, HTML, base64 and hex, whatever their case.
func Redact(text string, secrets ...string) string {
	var forms []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		quoted, _ := json.Marshal(s)
		forms = append(forms,
			s, url.QueryEscape(s), url.PathEscape(s),
			string(quoted[1:len(quoted)-1]), html.EscapeString(s),
			strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "="),
			strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(s)), "="),
			hex.EncodeToString([]byte(s)))
	}
	// The longest first: a secret may be part of another.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	for _, f := range forms {
		text = replaceFold(text, f)
	}
	return text
}

// replaceFold replaces old in text, ignoring the case of ASCII letters.
func replaceFold(text, old string) string {
	if old == "" || len(old) > len(text) {
		return text
	}
	lowText, lowOld := lower(text), lower(old)
	var b strings.Builder
	for {
		i := strings.Index(lowText, lowOld)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		b.WriteString(Redacted)
		text, lowText = text[i+len(old):], lowText[i+len(old):]
	}
}

// lower maps ASCII only, so that lengths stay the same.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// Clean makes other people's text fit for a message: valid UTF-8, control and
// formatting characters and runs of space turned into one space, at most limit
// bytes, with "…" where something was cut off.
func Clean(text string, limit int) string {
	// What cannot end up in the result is not worth cleaning.
	cut := len(text) > 8*limit
	if cut {
		text = text[:8*limit]
	}
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= limit && !cut {
		return text
	}
	const more = "…"
	end := min(max(limit-len(more), 0), len(text))
	for end > 0 && end < len(text) && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + more
}

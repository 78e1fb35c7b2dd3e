// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package secret holds keys, tokens and passwords in a type that cannot be
// printed. It does not fetch, store or encrypt any.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Hidden is what is printed in place of a secret.
const Hidden = "*****"

// A Text is a secret. However it is printed, logged or encoded, what comes out
// is [Hidden]; only Reveal returns what it holds. The zero Text is empty.
//
// It is held in a function, because packages that print by reflection (fmt for
// an unexported field, %+v of a struct around it) follow strings and pointers,
// call no methods there, and print a function as an address.
type Text struct{ reveal func() string }

// New returns a Text that holds s.
func New(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{reveal: func() string { return s }}
}

// Reveal returns what t holds. It is for the request that needs it, and for
// nothing that lives longer.
func (t Text) Reveal() string {
	if t.reveal == nil {
		return ""
	}
	return t.reveal()
}

// Empty reports whether t holds nothing.
func (t Text) Empty() bool { return t.Reveal() == "" }

// Equal reports whether t and u hold the same, in time that does not tell how
// much of it is.
func (t Text) Equal(u Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(u.Reveal())) == 1
}

// Trim returns t without the space around it.
func (t Text) Trim() Text { return New(strings.TrimSpace(t.Reveal())) }

// String returns Hidden.
func (t Text) String() string { return Hidden }

// GoString returns Hidden.
func (t Text) GoString() string { return Hidden }

// Format writes Hidden, whatever the verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Hidden) }

// MarshalJSON returns Hidden as a JSON string.
func (t Text) MarshalJSON() ([]byte, error) { return []byte(`"` + Hidden + `"`), nil }

// MarshalText returns Hidden.
func (t Text) MarshalText() ([]byte, error) { return []byte(Hidden), nil }

// LogValue returns Hidden.
func (t Text) LogValue() slog.Value { return slog.StringValue(Hidden) }

// UnmarshalText takes the text, so that a configuration can be decoded into t.
func (t *Text) UnmarshalText(text []byte) error {
	*t = New(string(text))
	return nil
}

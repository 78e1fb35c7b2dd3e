// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package notify knows who wants to be told what about a Rollout, in the words
// of Argo's notification ConfigMap and Secret: triggers, templates, services and
// subscriptions. It is also the port of the services. It does not decide when
// something is sent (package outbox does), and it sends nothing itself (the
// packages below do).
package notify

import (
	"context"
	"fmt"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/outbox"
)

// A Service delivers messages.
//
// Send returns nil when the message has arrived, or had arrived before: a
// service that can tell sends nothing twice. Any other error than an [*Error]
// counts as [outbox.Later].
type Service interface {
	Send(ctx context.Context, m *Message) error
}

// A Message is one notice for one recipient, rendered.
type Message struct {
	// Namespace, Name and UID are the Rollout's.
	Namespace, Name, UID string
	Notice               v1alpha1.Notice
	// Part counts the messages of one notice for one recipient.
	Part int32
	// Service is the name that the ConfigMap gives the service.
	Service   string
	Recipient string
	// Text is the template's message; sections are the parts of the template for
	// kinds of service.
	Text     string
	sections map[string]any

	// SendingSince is when an earlier try began to send something that must not
	// be sent twice and whose fate is unknown; zero when there is none.
	SendingSince time.Time
	// Begin must be called before such a thing is sent. When it fails, nothing
	// may be sent.
	Begin func(ctx context.Context) error
	// Files are what goes with the message. It is nil when nothing does.
	Files func(ctx context.Context) ([]File, error)
}

// A File is evidence.
type File struct {
	Name, Type string
	Data       []byte
}

// Key identifies the message: it is the same however often it is tried, and no
// other message has it.
func (m *Message) Key() string {
	return fmt.Sprintf("sluice:%s:%d:%d", m.UID, m.Notice.Number, m.Part)
}

// Incident identifies an aborted attempt, "hash:attempt", at the Rollout.
func (m *Message) Incident(attempt string) string { return "sluice:" + m.UID + ":" + attempt }

// Attempt is the attempt that the notice is about, as "hash:attempt".
func (m *Message) Attempt() string { return outbox.Attempt(m.Notice.Revision, m.Notice.Attempt) }

// Alert identifies the alert that the message raises: one for each aborted
// attempt, however often that is told, and else one for each message.
func (m *Message) Alert() string {
	if m.Notice.Reason == v1alpha1.EventRolloutAborted {
		return m.Incident(m.Attempt())
	}
	return m.Key()
}

// Ended identifies the aborted attempts that the message makes good, or the one
// that it is about.
func (m *Message) Ended() []string {
	attempts := m.Notice.Recovers
	if len(attempts) == 0 {
		attempts = []string{m.Attempt()}
	}
	out := make([]string, len(attempts))
	for i, a := range attempts {
		out[i] = m.Incident(a)
	}
	return out
}

// An Error says why a message did not arrive, and what to do.
type Error struct {
	Fate outbox.Fate
	// Status is the HTTP status, if there was one.
	Status int
	// After is how long the service asked to be left alone.
	After time.Duration
	// Uncertain says that the message may have arrived all the same.
	Uncertain bool
	// Message is for people. It holds no secrets.
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Errorf returns an Error.
func Errorf(fate outbox.Fate, format string, args ...any) *Error {
	return &Error{Fate: fate, Message: fmt.Sprintf(format, args...)}
}

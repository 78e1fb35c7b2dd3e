// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metric is the port to monitoring systems. It takes measurements; it
// never judges them: package analysis does.
package metric

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"sluice.dev/sluice/internal/secret"
)

// A Window is the stretch of time that a reading covers.
type Window struct {
	From, To time.Time
}

// A Reading is the answer to one query.
type Reading struct {
	// Value is what conditions see as `result`: a float64, a []float64 for
	// grouped or vector answers, or any JSON value. It is nil when there is no
	// data.
	Value any
	// NoData says, in words fit for a message, which query returned nothing.
	// It is empty when Value holds data.
	NoData string
	// Window is the interval the value was computed over.
	Window Window
	// Query is what was sent, arguments substituted; it never holds a secret.
	Query string
	// Notes are facts to keep with the measurement, keyed by short names: the
	// groups of a grouped answer, why an absent count was taken as zero, or the
	// events that each query of a formula has counted.
	Notes map[string]string
}

// A Source takes measurements for one metric of one analysis run.
//
// Measure must be safe for concurrent use and must return when ctx ends. A
// successful query that matched nothing is a Reading with NoData set, not an
// error. Every other failure is an *Error.
type Source interface {
	Measure(ctx context.Context, at time.Time) (Reading, error)
}

// A Counter is a Source that can say how many events its queries count in a
// longer stretch of time, by the names that the formula gives them. It returns
// nil if none of them counts any.
type Counter interface {
	Count(ctx context.Context, w Window) (map[string]float64, error)
}

// Class says what kind of failure an Error is, because the reaction differs.
type Class string

// The classes of failure.
const (
	// Unauthorized is 401 and 403: retried at the interval, named at once.
	Unauthorized Class = "Unauthorized"
	// RateLimited is 429: obeys RetryAfter and is not a consecutive error.
	RateLimited Class = "RateLimited"
	// Unavailable is a time-out, a refused connection or a 5xx: backs off.
	Unavailable Class = "Unavailable"
	// Misconfigured is a mistake that asking again will not mend: a bad
	// query, a missing Secret, a field combination that cannot work.
	Misconfigured Class = "Misconfigured"
	// Malformed is an answer that could not be understood.
	Malformed Class = "Malformed"
)

// An Error is a measurement that could not be taken.
type Error struct {
	Class Class
	// Status is the HTTP status code, 0 where there was none.
	Status int
	// Message says what, where, why and what to do; never a secret.
	Message string
	// RetryAfter is how long the provider asked us to wait, 0 if it did not.
	RetryAfter time.Duration
	// Err is the cause, if any.
	Err error
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of class c.
func Errorf(c Class, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Class: c, Message: err.Error(), Err: errors.Unwrap(err)}
}

// A SecretReader returns the data of one Secret as it is now. It returns an
// error that satisfies apierrors.IsNotFound when there is none.
type SecretReader func(ctx context.Context, namespace, name string) (map[string][]byte, error)

// Keys are what a store of secrets outside the cluster holds at one path.
type Keys struct {
	// Origin says where they are from, in words.
	Origin string
	// Version tells them from other keys of the same path.
	Version string
	// Fields by their names in the store.
	Fields map[string]secret.Text
	// Stale says why they are the last good ones and not today's, empty if they
	// are.
	Stale string
}

// A KeyRequest says which Keys are wanted.
type KeyRequest struct {
	// Path in the store, and the namespace of the run that names it. Without a
	// path it is what the administrator set up for Provider.
	Path, Namespace, Provider string
	// Refused is the version of keys that were refused by whom they are for.
	Refused string
}

// A KeyStore is a store of secrets outside the cluster. Its errors are *Error.
type KeyStore interface {
	// Read returns keys, if whoever asks may have them. They may be some time
	// old, unless their version is refused.
	Read(context.Context, KeyRequest) (Keys, error)
	// Serves reports whether the administrator set up keys for a provider.
	Serves(provider string) bool
}

// Env is what a Source may use of the outside.
type Env struct {
	// Secrets reads credentials at every measurement, so that a rotated key
	// is used at the next query.
	Secrets SecretReader
	// Keys is the store of secrets outside the cluster; nil if there is none.
	Keys KeyStore
	// HTTP is the client to send requests with; nil means a default one.
	HTTP *http.Client
	// ControllerNamespace is where shared credentials live.
	ControllerNamespace string
	// RunNamespace is the namespace of the analysis run.
	RunNamespace string
	// PodTemplateHash is the pod-template hash of the revision under analysis,
	// empty if it is not known. It tells which tag of a query is the canary's.
	PodTemplateHash string
	// Getenv reads the process's environment; nil means no variable is set.
	Getenv func(string) string
}

// A Provider makes Sources of one kind. [Define] makes one.
type Provider struct {
	// Name is the key of the provider's block in a metric.
	Name string
	open func(Env, any) (Source, error)
}

// Define returns the Provider called name, whose Sources open makes from the
// provider's block of the API, a C. open checks what the schema cannot and
// must not use the network.
func Define[C any](name string, open func(Env, C) (Source, error)) Provider {
	return Provider{
		Name: name,
		open: func(env Env, c any) (Source, error) {
			config, ok := c.(*C)
			if !ok || config == nil {
				return nil, Errorf(Misconfigured, "provider %q was given a %T", name, c)
			}
			return open(env, *config)
		},
	}
}

// A Registry is a closed set of providers. It has no global instance.
type Registry struct{ providers map[string]Provider }

// NewRegistry returns a Registry of ps. It panics if two share a name.
func NewRegistry(ps ...Provider) *Registry {
	r := &Registry{providers: make(map[string]Provider, len(ps))}
	for _, p := range ps {
		if _, ok := r.providers[p.Name]; ok {
			panic(fmt.Sprintf("metric: provider %q registered twice", p.Name))
		}
		r.providers[p.Name] = p
	}
	return r
}

// Names returns the registered names, sorted.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.providers))
	for n := range r.providers {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Open makes the Source that config, a pointer to the block called name of a
// metric's provider, describes. Its errors are of class Misconfigured.
func (r *Registry) Open(env Env, name string, config any) (Source, error) {
	p, ok := r.providers[name]
	if !ok {
		return nil, Errorf(Misconfigured, "this build has no metric provider %q; it has %v", name, r.Names())
	}
	return p.open(env, config)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package datadog takes measurements from Datadog: API v1 (one query) and v2
// (scalar queries and formulas over them). It says what it saw, what was not
// there and what went wrong, and keeps the three apart. It never judges a
// value, never retries, and never writes a key anywhere but into the request.
package datadog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/httpclient"
	"sluice.dev/sluice/internal/metric"
)

// Provider measures with Datadog.
var Provider = metric.Define(name, newOpener().open)

const name = "datadog"

// An opener holds what all Sources of this process share.
type opener struct {
	client *http.Client
	proofs *proofs
}

func newOpener() *opener {
	return &opener{client: httpclient.New(), proofs: newProofs()}
}

func (o *opener) open(env metric.Env, config v1alpha1.DatadogMetric) (metric.Source, error) {
	spec, err := parse(config)
	if err != nil {
		return nil, err
	}
	client := o.client
	if env.HTTP != nil {
		client = httpclient.Guard(env.HTTP)
	}
	return &source{spec: spec, env: env, client: client, proofs: o.proofs}, nil
}

// A source measures one metric of one run.
type source struct {
	spec   spec
	env    metric.Env
	client *http.Client
	proofs *proofs
}

// Measure asks Datadog once, and a second time when a silent count has to be
// proven to be zero.
func (s *source) Measure(ctx context.Context, at time.Time) (metric.Reading, error) {
	creds, err := s.credentials(ctx, "")
	if err != nil {
		return metric.Reading{}, err
	}
	window := metric.Window{From: at.Add(-s.spec.interval), To: at}
	reading, err := s.read(ctx, s.asker(creds), window)
	if denied(err) && creds.version != "" {
		// The keys may have been rotated since they were read from their store.
		newer, errNewer := s.credentials(ctx, creds.version)
		if errNewer == nil && newer.version != creds.version {
			creds = newer
			reading, err = s.read(ctx, s.asker(creds), window)
		}
	}
	if err != nil {
		return metric.Reading{}, err
	}
	reading.Window, reading.Query = window, s.spec.text()
	if creds.stale != "" {
		if reading.Notes == nil {
			reading.Notes = map[string]string{}
		}
		reading.Notes["keys"] = httpclient.Clean("the last good ones: "+creds.stale, maxWords)
	}
	return reading, nil
}

func (s *source) asker(c credentials) asker {
	return asker{client: s.client, creds: c, timeout: s.spec.timeout}
}

// denied reports whether keys were refused.
func denied(err error) bool {
	e, ok := errors.AsType[*metric.Error](err)
	return ok && e.Class == metric.Unauthorized
}

func (s *source) read(ctx context.Context, a asker, w metric.Window) (metric.Reading, error) {
	if s.spec.version == v1 {
		return s.readSeries(ctx, a, w)
	}
	columns, err := a.scalar(ctx, s.spec.scalar(w))
	if err != nil {
		return metric.Reading{}, err
	}
	if s.spec.formula == "" {
		return s.readQuery(columns), nil
	}
	return s.readFormula(ctx, a, w, columns)
}

// readSeries is API v1: the last point of the first series.
func (s *source) readSeries(ctx context.Context, a asker, w metric.Window) (metric.Reading, error) {
	query := s.spec.queries[0].text
	points, err := a.points(ctx, query, w)
	if err != nil {
		return metric.Reading{}, err
	}
	var r metric.Reading
	if points.series > 1 {
		// v1 has always read the first series only; saying so is what we can
		// add without changing what existing manifests mean.
		r.Notes = map[string]string{"series_ignored": strconv.Itoa(points.series - 1)}
	}
	switch {
	case points.last.known():
		r.Value = points.last.value
	case points.series == 0:
		r.NoData = fmt.Sprintf("query %q returned no series for the last %s", query, short(s.spec.interval))
	default:
		r.NoData = fmt.Sprintf("query %q has no value at its last point in the last %s", query, short(s.spec.interval))
	}
	return r, nil
}

// readQuery is API v2 with a query alone.
func (s *source) readQuery(t table) metric.Reading {
	var r metric.Reading
	if len(t.numbers) > 0 {
		r = reading(t, t.numbers[0].cells)
	}
	if r.Value == nil {
		r.NoData = fmt.Sprintf("query %q returned nothing for the last %s", s.spec.queries[0].text, short(s.spec.interval))
	}
	return r
}

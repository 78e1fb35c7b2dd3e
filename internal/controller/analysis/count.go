// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/analysistemplate"
	"sluice.dev/sluice/internal/metric"
)

// countTimeout bounds a question that nobody waits for.
const countTimeout = 15 * time.Second

// A Counter counts for the record of an attempt.
type Counter struct{ *Reconciler }

// Count asks how many events the queries of one metric of run have counted
// between two times, by the names that the formula gives them. It is for the
// record, once the run has ended, and takes no measurement. It returns nil when
// they count none.
func (r Counter) Count(ctx context.Context, run *v1alpha1.AnalysisRun, name string, from, to time.Time) (map[string]float64, error) {
	values, err := analysistemplate.Resolve(run.Spec.Args, func(ref v1alpha1.SecretKeyRef) (string, error) {
		return secret(ctx, r.Env.Secrets, run.Namespace, ref)
	})
	p := &prepared{spec: &run.Spec, values: values, unresolved: err}
	p.build(r.Reconciler, run)
	src, ok := p.sources[name]
	switch {
	case p.invalid != "":
		return nil, errors.New(p.invalid)
	case !ok:
		return nil, fmt.Errorf("AnalysisRun %s has no metric %q", run.Name, name)
	case src.err != nil:
		return nil, errors.New(values.Redact(src.err.Error()))
	}
	counter, ok := src.Source.(metric.Counter)
	if !ok {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	counts, err := counter.Count(ctx, metric.Window{From: from, To: to})
	if err != nil {
		return nil, errors.New(values.Redact(err.Error()))
	}
	return counts, nil
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	record "sluice.dev/sluice/internal/evidence"
)

// Page writes the record of the attempt that of chooses as it stands now, as a
// page that needs nothing else to be read. Its name is the same at every call.
// There is no page of an attempt that the Rollout's status does not know (any
// more).
func Page(ctx context.Context, cached client.Reader, ro *v1alpha1.Rollout, of func(*v1alpha1.RolloutAttempt) bool, now time.Time) (name string, page []byte, err error) {
	if ro.Status.Sluice == nil {
		return "", nil, nil
	}
	for i := range ro.Status.Sluice.Attempts {
		a := &ro.Status.Sluice.Attempts[i]
		if !of(a) {
			continue
		}
		o, runs, err := objects(ctx, cached, ro)
		if err != nil {
			return "", nil, err
		}
		for j := range runs {
			o.Runs = append(o.Runs, &runs[j])
		}
		r := record.Build(o, a, now)
		page, err := record.HTML(&r)
		if err != nil {
			return "", nil, fmt.Errorf("write the evidence of Rollout %s/%s: %w", ro.Namespace, ro.Name, err)
		}
		return record.Base(&r) + ".html", page, nil
	}
	return "", nil, nil
}

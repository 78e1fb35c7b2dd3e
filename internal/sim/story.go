// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"strings"
	"time"

	"sluice.dev/sluice/internal/rollout"
)

// Line tells the world in one line: the time, the step, where the traffic is,
// the pods available of those wanted, what each Service selects, the phase and
// its message.
func Line(w World) string {
	st := w.Status
	var b strings.Builder
	fmt.Fprintf(&b, "%s step %d/%d", w.Now.Format(time.TimeOnly), st.Step, len(w.Spec.Steps))
	if w.Router != nil {
		fmt.Fprintf(&b, " weights %d/%d", w.Router.Weights.Stable, w.Router.Weights.Canary)
	}
	b.WriteString(" pods")
	for _, r := range sorted(w.Pools) {
		fmt.Fprintf(&b, " %s=%d/%d", r, w.Pools[r].Available, w.Pools[r].Desired)
		if !w.Pools[r].Deadline.IsZero() {
			b.WriteByte('!')
		}
	}
	if w.Spec.StableService || w.Spec.CanaryService {
		fmt.Fprintf(&b, " services %s/%s", none(w.Services.Stable), none(w.Services.Canary))
	}
	fmt.Fprintf(&b, " %s", st.Phase)
	if st.Message != "" {
		fmt.Fprintf(&b, ": %s", st.Message)
	}
	return b.String()
}

func none(r rollout.Revision) string {
	if r == "" {
		return "-"
	}
	return string(r)
}

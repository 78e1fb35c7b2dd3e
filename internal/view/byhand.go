// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/gitops"
)

// handChanges say who changed what, when, and what will become of it.
func handChanges(all []v1alpha1.HandChange, now time.Time) []string {
	var out []string
	for _, h := range all {
		ago := ""
		if d := since(h.At.Time, now); d > 0 {
			ago = " " + duration.HumanDuration(d) + " ago"
		}
		tool := cmp.Or(gitops.Tools(nil).Tool(h.Tool), h.Tool)
		out = append(out, fmt.Sprintf("%s changed %s%s; the next sync of %s undoes what Git says otherwise", gitops.Who(h.Manager), gitops.Fields(h.Fields, h.More), ago, tool))
	}
	return out
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"fmt"
	"hash/fnv"
	"strings"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/rollout"
)

// seal is a hash of what nobody but a controller writes into a status. What
// people's commands change (abort, promoteFull, the pauses and the step) is no
// part of it.
func seal(st *v1alpha1.RolloutStatus) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %q %q %q\n", st.StableRS, st.CurrentPodHash, st.ObservedGeneration, st.Phase, st.Message)
	for i := range st.Conditions {
		c := &st.Conditions[i]
		fmt.Fprintf(h, "%q %q %q %q %d\n", c.Type, c.Status, c.Reason, c.Message, c.LastUpdateTime.Unix())
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// foreign reports whether another controller wrote st last. A record from before
// there were seals is taken as fresh.
func foreign(st *v1alpha1.RolloutStatus) bool {
	if st.CurrentPodHash == "" {
		return false
	}
	return st.Sluice == nil || st.Sluice.Seal != "" && st.Sluice.Seal != seal(st)
}

// adopt takes over what another controller has left. Of our own record only the
// number of the attempt still means something: the steps that were taken since,
// the skips and the verdict in it are those of another time.
func adopt(st *rollout.Status, in *v1alpha1.RolloutStatus) {
	st.Adopted = true
	if in.Sluice != nil {
		st.Attempt = in.Sluice.Attempt
	}
	if why := abortedWhy(in.Message); in.Abort && why != "" {
		st.Verdict = &rollout.Verdict{Message: why, At: fromTime(in.AbortedAt)}
	}
}

// abortedWhy is what the message of an aborted rollout says after the number of
// the revision.
func abortedWhy(message string) string {
	rest, ok := strings.CutPrefix(message, "RolloutAborted: Rollout aborted update to revision ")
	if !ok {
		return ""
	}
	_, why, _ := strings.Cut(rest, ": ")
	return why
}

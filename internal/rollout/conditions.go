// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"strings"
	"time"
)

// A Condition is one claim about the rollout, in the form tools read.
type Condition struct {
	Type, Status, Reason, Message string
	// Updated is when the condition was last touched, Changed when its Status
	// last became another.
	Updated, Changed time.Time
}

// The types of condition.
const (
	CondProgressing = "Progressing"
	CondAvailable   = "Available"
	CondPaused      = "Paused"
	CondHealthy     = "Healthy"
	CondCompleted   = "Completed"
	CondInvalid     = "InvalidSpec"
	CondGateProven  = "GateProven"
)

const (
	isTrue    = "True"
	isFalse   = "False"
	isUnknown = "Unknown"
)

// conditions returns the conditions after this pass, in a fixed order.
func conditions(s *Snapshot, p *Plan) []Condition {
	st := &p.Status
	var want []Condition
	if len(s.Problems) > 0 {
		want = append(want, Condition{Type: CondInvalid, Status: isTrue, Reason: ReasonInvalid, Message: strings.Join(s.Problems, "; ")})
	}
	want = append(want,
		progressing(s, p),
		truth(CondAvailable, available(s), "AvailableReason", "Rollout has minimum availability", "Rollout does not have minimum availability"),
		truth(CondPaused, st.Phase == Paused, ReasonPaused, "Rollout is paused", "Rollout is not paused"),
		truth(CondHealthy, st.Phase == Healthy, "RolloutHealthy", "Rollout is healthy", "Rollout is not healthy"),
		truth(CondCompleted, completed(s, p), ReasonCompleted, "RolloutCompleted", "Rollout is not completed"),
	)
	for i := range want {
		stamp(s, p, &want[i])
	}
	if s.Gate != nil {
		// It is dated by the drill, not by the look at it.
		want = append(want, *s.Gate)
	}
	return want
}

// stamp dates a condition: it keeps the time of one that says the same, but
// for Progressing, which is touched whenever something moved.
func stamp(s *Snapshot, p *Plan, c *Condition) {
	c.Updated, c.Changed = s.Now, s.Now
	for _, old := range s.Status.Conditions {
		if old.Type != c.Type {
			continue
		}
		if old.Status == c.Status {
			c.Changed = old.Changed
		}
		same := old.Status == c.Status && old.Reason == c.Reason && old.Message == c.Message
		if same && (c.Type != CondProgressing || !progressed(s, p)) {
			c.Updated = old.Updated
		}
	}
}

func truth(kind string, claim bool, reason, yes, no string) Condition {
	if claim {
		return Condition{Type: kind, Status: isTrue, Reason: reason, Message: yes}
	}
	return Condition{Type: kind, Status: isFalse, Reason: reason, Message: no}
}

func progressing(s *Snapshot, p *Plan) Condition {
	st := &p.Status
	c := Condition{Type: CondProgressing, Status: isTrue}
	switch {
	case st.Abort:
		c.Status, c.Reason, c.Message = isFalse, ReasonAborted, abortMessage(s, st)
	case expired(s, p):
		c.Status, c.Reason, c.Message = isFalse, ReasonTimedOut, timedOut(p)
	case st.Phase == Paused:
		c.Status, c.Reason, c.Message = isUnknown, ReasonPaused, "Rollout is paused"
	case completed(s, p):
		c.Reason, c.Message = ReasonAvailable, fmt.Sprintf("ReplicaSet of revision %q has successfully progressed.", st.Current)
	case waitsForPods(s, p):
		c.Reason, c.Message = ReasonProgress, waiting(p)
	default:
		c.Reason, c.Message = ReasonProgress, fmt.Sprintf("ReplicaSet of revision %q has the pods that its step needs.", st.Current)
	}
	return c
}

// available reports whether enough pods serve.
func available(s *Snapshot) bool {
	var n int32
	for _, pool := range s.Pools {
		n += pool.Available
	}
	least := s.Spec.Replicas
	if !s.Spec.Routed {
		least -= s.Spec.MaxUnavailable
	}
	return n >= least
}

// completed reports whether the revision that is asked for is stable and all
// of its pods are updated.
func completed(s *Snapshot, p *Plan) bool {
	st := &p.Status
	return st.Stable != "" && st.Current == st.Stable && s.Pools[st.Stable].Available >= s.Spec.Replicas
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
)

// unnotified is the condition that says what people were not told about the
// current revision; nil when there is nothing.
func unnotified(was *v1alpha1.RolloutStatus, current string, now time.Time) *v1alpha1.RolloutCondition {
	if was.Sluice == nil || was.Sluice.Outbox == nil {
		return nil
	}
	var lost []string
	for _, d := range was.Sluice.Outbox.Dead {
		if d.Revision != current {
			continue
		}
		if d.To == v1alpha1.NoticeToRevert {
			lost = append(lost, fmt.Sprintf("the abort was not reverted in Git (notice %d): %s", d.Number, d.Why))
			continue
		}
		to := d.To
		if to == "" {
			to = "anybody"
		}
		lost = append(lost, fmt.Sprintf("%s was not told of %s (notice %d): %s", to, d.Reason, d.Number, d.Why))
	}
	if len(lost) == 0 {
		return nil
	}
	c := &v1alpha1.RolloutCondition{
		Type: v1alpha1.RolloutNotified, Status: corev1.ConditionFalse, Reason: v1alpha1.ReasonNotificationsLost,
		Message: Clip(strings.Join(lost, "; ")), LastUpdateTime: metav1.NewTime(now), LastTransitionTime: metav1.NewTime(now),
	}
	for _, o := range was.Conditions {
		if o.Type != c.Type {
			continue
		}
		c.LastTransitionTime = o.LastTransitionTime
		if o.Message == c.Message {
			c.LastUpdateTime = o.LastUpdateTime
		}
	}
	return c
}

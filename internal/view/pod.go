// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func podOf(p *corev1.Pod, now time.Time) Pod {
	v := Pod{
		Name:   p.Name,
		Status: podStatus(p),
		Age:    since(p.CreationTimestamp.Time, now),
		Of:     len(p.Spec.Containers),
	}
	for _, c := range p.Status.ContainerStatuses {
		v.Restarts += c.RestartCount
		if c.Ready {
			v.Ready++
		}
	}
	return v
}

// podStatus is the word kubectl shows for a pod: its phase, or the reason why
// one of its containers does not run.
func podStatus(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return "Terminating"
	}
	if reason := initReason(p); reason != "" {
		return reason
	}
	for _, c := range p.Status.ContainerStatuses {
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			return c.State.Waiting.Reason
		case c.State.Terminated != nil:
			return terminated(c.State.Terminated)
		}
	}
	switch {
	case p.Status.Reason != "":
		return p.Status.Reason
	case p.Status.Phase == "":
		return "Pending"
	}
	return string(p.Status.Phase)
}

func initReason(p *corev1.Pod) string {
	for _, c := range p.Status.InitContainerStatuses {
		switch {
		case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
			return "Init:" + terminated(c.State.Terminated)
		case c.State.Waiting != nil && c.State.Waiting.Reason != "" && c.State.Waiting.Reason != "PodInitializing":
			return "Init:" + c.State.Waiting.Reason
		}
	}
	return ""
}

func terminated(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// reasonStartError is what a container waits for when the Kubelet refused it.
const reasonStartError = "StartError"

// podPatch is the one write that a pod costs. The status subresource takes
// annotations too, so an annotation is never seen later than the readiness that
// needs it; and a uid in a patch is a precondition.
type podPatch struct {
	Metadata struct {
		UID         types.UID         `json:"uid"`
		Annotations map[string]string `json:"annotations,omitempty"`
	} `json:"metadata"`
	Status corev1.PodStatus `json:"status"`
}

// statusPatch says of the pod what became of it. An error of the start is told;
// without one the pod is ready or, if it is not meant to stay, has succeeded.
func (s *Simulator) statusPatch(pod *corev1.Pod, annotations map[string]string, startErr error) ([]byte, error) {
	var patch podPatch
	patch.Metadata.UID = pod.UID
	patch.Metadata.Annotations = annotations
	ip, err := s.address(pod)
	if err != nil {
		return nil, err
	}
	host := s.nodes.address[pod.Spec.NodeName]
	now := metav1.Now()
	phase := phaseOf(pod, startErr)
	patch.Status = corev1.PodStatus{
		Phase:             phase,
		HostIP:            host,
		HostIPs:           []corev1.HostIP{{IP: host}},
		PodIP:             ip,
		PodIPs:            []corev1.PodIP{{IP: ip}},
		StartTime:         &now,
		Conditions:        conditions(pod, phase, now),
		ContainerStatuses: containerStatuses(pod, phase, startErr, now),
	}
	data, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("write the status of the pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return data, nil
}

// address is the pod's address: the one it has, or a new one.
func (s *Simulator) address(pod *corev1.Pod) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pod.Status.PodIP != "" {
		s.addresses.keep(pod.UID, pod.Status.PodIP)
		return pod.Status.PodIP, nil
	}
	return s.addresses.take(pod.UID)
}

// restarts reports whether the pod is meant to stay, unlike that of a Job.
func restarts(pod *corev1.Pod) bool {
	return pod.Spec.RestartPolicy == corev1.RestartPolicyAlways || pod.Spec.RestartPolicy == ""
}

func phaseOf(pod *corev1.Pod, startErr error) corev1.PodPhase {
	switch {
	case restarts(pod) && startErr == nil:
		return corev1.PodRunning
	case restarts(pod):
		return corev1.PodPending
	case startErr == nil:
		return corev1.PodSucceeded
	default:
		return corev1.PodFailed
	}
}

// conditions are those that a kubelet sets, with the others left as they are: a
// merge patch replaces the whole list.
func conditions(pod *corev1.Pod, phase corev1.PodPhase, now metav1.Time) []corev1.PodCondition {
	ready, reason := corev1.ConditionTrue, ""
	switch phase {
	case corev1.PodRunning:
	case corev1.PodSucceeded:
		ready, reason = corev1.ConditionFalse, "PodCompleted"
	default:
		ready, reason = corev1.ConditionFalse, "ContainersNotReady"
	}
	list := []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue, LastTransitionTime: now},
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue, LastTransitionTime: now},
		{Type: corev1.ContainersReady, Status: ready, Reason: reason, LastTransitionTime: now},
		{Type: corev1.PodReady, Status: ready, Reason: reason, LastTransitionTime: now},
	}
	for _, had := range pod.Status.Conditions {
		known := false
		for i := range list {
			known = known || list[i].Type == had.Type
		}
		if !known {
			list = append(list, had)
		}
	}
	return list
}

func containerStatuses(pod *corev1.Pod, phase corev1.PodPhase, startErr error, now metav1.Time) []corev1.ContainerStatus {
	running := phase == corev1.PodRunning
	list := make([]corev1.ContainerStatus, 0, len(pod.Spec.Containers))
	for _, container := range pod.Spec.Containers {
		list = append(list, corev1.ContainerStatus{
			Name:    container.Name,
			Image:   container.Image,
			ImageID: container.Image,
			Ready:   running,
			Started: &running,
			State:   state(phase, startErr, now),
		})
	}
	return list
}

func state(phase corev1.PodPhase, startErr error, now metav1.Time) corev1.ContainerState {
	switch phase {
	case corev1.PodRunning:
		return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
	case corev1.PodSucceeded:
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Reason: "Completed", StartedAt: now, FinishedAt: now,
		}}
	case corev1.PodFailed:
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 1, Reason: "Error", Message: startErr.Error(), StartedAt: now, FinishedAt: now,
		}}
	default:
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason: reasonStartError, Message: startErr.Error(),
		}}
	}
}

// waitingFor reports whether the pod says already that this error holds it up.
func waitingFor(pod *corev1.Pod, err error) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if w := status.State.Waiting; w != nil && w.Reason == reasonStartError {
			return w.Message == err.Error()
		}
	}
	return false
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// podKey tells pods apart, also two that follow each other under one name.
type podKey struct {
	namespace, name string
	uid             types.UID
}

func keyOf(pod *corev1.Pod) podKey {
	return podKey{pod.Namespace, pod.Name, pod.UID}
}

// changed queues a pod that waits for something from its node: now if it is to
// go, after the delay if it is to run.
func (s *Simulator) changed(obj any) {
	pod, ok := obj.(*corev1.Pod)
	if !ok || !s.nodes.has(pod) {
		return
	}
	switch {
	case pod.DeletionTimestamp != nil:
		s.queue.Add(keyOf(pod))
	case ended(pod) || s.isStarted(pod.UID):
	case pod.Status.Phase == corev1.PodRunning: // from a simulator before this one
		s.queue.Add(keyOf(pod))
	default:
		s.queue.AddAfter(keyOf(pod), s.opts.Delay)
	}
}

// deleted queues a pod that is gone, so that the Kubelet hears of it even if
// somebody removed it by force.
func (s *Simulator) deleted(obj any) {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	if pod, ok := obj.(*corev1.Pod); ok && s.nodes.has(pod) {
		s.queue.Add(keyOf(pod))
	}
}

// ended reports whether the pod will never run again.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// next deals with one pod of the queue, and reports whether there will be more.
func (s *Simulator) next(ctx context.Context) bool {
	key, shutdown := s.queue.Get()
	if shutdown {
		return false
	}
	defer s.queue.Done(key)
	if err := s.sync(ctx, key); err != nil && ctx.Err() == nil {
		s.queue.AddRateLimited(key)
		return true
	}
	s.queue.Forget(key)
	return true
}

// sync does the one thing that the pod needs now. An error means: again later.
func (s *Simulator) sync(ctx context.Context, key podKey) error {
	pod, err := s.pods.Pods(key.namespace).Get(key.name)
	switch {
	case apierrors.IsNotFound(err) || err == nil && pod.UID != key.uid:
		s.end(key.uid)
		return nil
	case err != nil:
		return fmt.Errorf("look up the pod %s/%s: %w", key.namespace, key.name, err)
	case pod.DeletionTimestamp != nil:
		s.end(key.uid)
		return s.remove(ctx, pod)
	case ended(pod) || s.isStarted(key.uid):
		return nil
	default:
		return s.run(ctx, pod)
	}
}

// run makes a pod ready, or says on the pod why it is not.
func (s *Simulator) run(ctx context.Context, pod *corev1.Pod) error {
	annotations, startErr := s.begin(ctx, pod)
	if startErr != nil && waitingFor(pod, startErr) {
		return startErr // the pod says so already
	}
	patch, err := s.statusPatch(pod, annotations, startErr)
	if err != nil {
		return err
	}
	_, err = s.client.CoreV1().Pods(pod.Namespace).
		Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		if startErr == nil {
			s.end(pod.UID)
		}
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil // another pod, or none, under this name: its own event comes
		}
		return fmt.Errorf("report on the pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	if startErr != nil && restarts(pod) {
		return startErr
	}
	return nil
}

// begin asks the Kubelet to start the pod and remembers that it did.
func (s *Simulator) begin(ctx context.Context, pod *corev1.Pod) (map[string]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, errStopped
	}
	var annotations map[string]string
	if s.opts.Kubelet != nil {
		var err error
		if annotations, err = s.opts.Kubelet.Start(ctx, pod); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started[pod.UID] = pod
	return annotations, nil
}

// end undoes begin, if there is something to undo.
func (s *Simulator) end(uid types.UID) {
	s.mu.Lock()
	pod := s.started[uid]
	delete(s.started, uid)
	s.addresses.release(uid)
	s.mu.Unlock()
	if pod != nil && s.opts.Kubelet != nil {
		s.opts.Kubelet.Stop(pod)
	}
}

// remove takes the pod out of the API, as a kubelet does when all containers have
// ended.
func (s *Simulator) remove(ctx context.Context, pod *corev1.Pod) error {
	var now int64
	err := s.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &now,
		Preconditions:      &metav1.Preconditions{UID: &pod.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("remove the pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

func (s *Simulator) isStarted(uid types.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started[uid] != nil
}

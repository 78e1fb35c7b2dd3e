// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// A node is dead to the control plane when its lease is older than leaseDuration.
const (
	leaseDuration = 40 * time.Second
	renewEvery    = 10 * time.Second
)

// schedulablePoll is how often new nodes are looked at until pods may go there.
const schedulablePoll = 50 * time.Millisecond

// fleet is the Nodes of one simulator.
type fleet struct {
	client  kubernetes.Interface
	address map[string]string // by name; not changed after the start
}

// has reports whether the pod is bound to one of the nodes.
func (f *fleet) has(pod *corev1.Pod) bool {
	_, ok := f.address[pod.Spec.NodeName]
	return ok
}

// register makes the i-th Node and its lease. One that is there already is kept.
func (f *fleet) register(ctx context.Context, opts Options, i int) error {
	name := fmt.Sprintf("%s-%03d", opts.Prefix, i)
	address := fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)
	f.address[name] = address
	_, err := f.client.CoreV1().Nodes().Create(ctx, newNode(name, address, opts.Pods), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("register the node %s: %w", name, err)
	}
	return f.renew(ctx, name)
}

func newNode(name, address string, pods int) *corev1.Node {
	now := metav1.Now()
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus) corev1.NodeCondition {
		return corev1.NodeCondition{
			Type: kind, Status: status, Reason: "Simulated",
			LastHeartbeatTime: now, LastTransitionTime: now,
		}
	}
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("1000"),
		corev1.ResourceMemory:           resource.MustParse("1Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             *resource.NewQuantity(int64(pods), resource.DecimalSI),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				corev1.LabelHostname:   name,
				corev1.LabelOSStable:   "linux",
				corev1.LabelArchStable: runtime.GOARCH,
			},
		},
		Status: corev1.NodeStatus{
			Capacity:    capacity,
			Allocatable: capacity,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: address},
				{Type: corev1.NodeHostName, Address: name},
			},
			Conditions: []corev1.NodeCondition{
				condition(corev1.NodeReady, corev1.ConditionTrue),
				condition(corev1.NodeMemoryPressure, corev1.ConditionFalse),
				condition(corev1.NodeDiskPressure, corev1.ConditionFalse),
				condition(corev1.NodePIDPressure, corev1.ConditionFalse),
			},
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion:  "simulated",
				OperatingSystem: "linux",
				Architecture:    runtime.GOARCH,
			},
		},
	}
}

// renewLeases keeps the nodes alive until the context ends. A renewal that fails
// is made up for by the next: a lease outlives three of them.
func (f *fleet) renewLeases(ctx context.Context) {
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for name := range f.address {
			_ = f.renew(ctx, name)
		}
	}
}

// renew sets a lease's time, and makes the lease if it is not there.
func (f *fleet) renew(ctx context.Context, name string) error {
	leases := f.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now := metav1.NowMicro()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"renewTime": now}})
	if err != nil {
		return fmt.Errorf("write the time of the lease of %s: %w", name, err)
	}
	_, err = leases.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		seconds := int32(leaseDuration / time.Second)
		_, err = leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: corev1.NamespaceNodeLease},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity:       &name,
				LeaseDurationSeconds: &seconds,
				RenewTime:            &now,
			},
		}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil // it was made a moment ago, by a try whose answer was lost
		}
	}
	if err != nil {
		return fmt.Errorf("renew the lease of the node %s: %w", name, err)
	}
	return nil
}

// waitSchedulable returns when the control plane has lifted the taint that it
// puts on every new node.
func (f *fleet) waitSchedulable(ctx context.Context) error {
	for {
		list, err := f.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("look at the new nodes: %w", err)
		}
		tainted := ""
		for _, node := range list.Items {
			if _, ours := f.address[node.Name]; ours && len(node.Spec.Taints) > 0 {
				tainted = fmt.Sprintf("%s has the taint %s", node.Name, node.Spec.Taints[0].Key)
			}
		}
		if tainted == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until pods may go to the new nodes (%s): %w", tainted, context.Cause(ctx))
		case <-time.After(schedulablePoll):
		}
	}
}

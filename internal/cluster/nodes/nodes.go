// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodes pretends that a control plane has nodes. It registers Nodes,
// keeps their leases renewed, and does for the pods that the scheduler binds to
// them what a kubelet reports: an address, running, ready, and gone when deleted.
//
// It runs no container. Whoever wants something behind a pod's address brings a
// Kubelet, which is asked to start and to stop each pod; the demo's starts a
// small HTTP server and says in an annotation where it listens, because
// EndpointSlices refuse the loopback address that it really has.
//
// kwok does the same and much more, configured by a language of its own. This
// package is a few hundred lines because rollouts need only three transitions,
// each one write; it needs no further module, no configuration objects in the
// API, and it has a place for the Kubelet, which kwok does not.
package nodes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// Defaults of Options.
const (
	DefaultCount   = 10
	DefaultPods    = 500
	DefaultWorkers = 32
)

// ListenerAnnotation is set on a pod by a Kubelet that starts a real server for
// it: "127.0.0.1:PORT". It is there before the pod is ready.
const ListenerAnnotation = "sluice.dev/listener"

// A Kubelet puts something behind the pods. Calls for different pods come at the
// same time; for one pod they come one after the other.
type Kubelet interface {
	// Start is called once for each pod, after it was bound to a node, and before
	// it is ready. The annotations are put on the pod by the same write that makes
	// it ready. An error leaves the pod waiting, with the error as its container's
	// message, and Start is called again after a while. The context ends when the
	// simulator stops. Start must not change the pod.
	Start(ctx context.Context, pod *corev1.Pod) (annotations map[string]string, err error)

	// Stop is called once for each pod that Start returned without an error for:
	// when the pod is deleted, before it is removed from the API, or when the
	// simulator stops. The pod is removed when it returns, so it is the place to
	// drain connections.
	Stop(pod *corev1.Pod)
}

// Options says how many nodes there are and how their pods behave.
type Options struct {
	// Count is the number of nodes. Zero means DefaultCount.
	Count int
	// Prefix starts the nodes' names; two simulators on one cluster need two.
	// Empty means "node".
	Prefix string
	// Pods is how many pods fit on one node. Zero means DefaultPods.
	Pods int
	// Delay is how long a pod takes from being bound to being ready.
	Delay time.Duration
	// Kubelet is asked for each pod; nil means that every pod becomes ready.
	Kubelet Kubelet
	// Workers is how many pods are dealt with at the same time. Zero means
	// DefaultWorkers.
	Workers int
}

// A Simulator is a set of nodes that live until Stop.
type Simulator struct {
	opts   Options
	client kubernetes.Interface
	pods   corelisters.PodLister
	queue  workqueue.TypedRateLimitingInterface[podKey]
	nodes  fleet

	cancel context.CancelFunc
	wait   sync.WaitGroup
	stop   sync.Once

	mu        sync.Mutex // guards what follows
	started   map[types.UID]*corev1.Pod
	addresses addresses
}

// Start registers the nodes and returns when pods can be scheduled to them. The
// configuration is that of somebody who may write Nodes, Leases and Pods. The
// context bounds the start only. Pods that run already, from a simulator of the
// same prefix that was stopped, are taken over.
func Start(ctx context.Context, config *rest.Config, opts Options) (*Simulator, error) {
	config = rest.CopyConfig(config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make the node simulator's client: %w", err)
	}
	return StartWithClient(ctx, client, opts)
}

// StartWithClient is Start for callers that have a client already, such as a fake
// one.
func StartWithClient(ctx context.Context, client kubernetes.Interface, opts Options) (*Simulator, error) {
	s := newSimulator(client, opts)
	for i := range s.opts.Count {
		if err := s.nodes.register(ctx, s.opts, i); err != nil {
			return nil, err
		}
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	if err := s.watch(ctx, life); err != nil {
		s.Stop()
		return nil, err
	}
	for range s.opts.Workers {
		s.wait.Go(func() {
			for s.next(life) {
			}
		})
	}
	s.wait.Go(func() { s.nodes.renewLeases(life) })
	if err := s.nodes.waitSchedulable(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func newSimulator(client kubernetes.Interface, opts Options) *Simulator {
	if opts.Count == 0 {
		opts.Count = DefaultCount
	}
	if opts.Prefix == "" {
		opts.Prefix = "node"
	}
	if opts.Pods == 0 {
		opts.Pods = DefaultPods
	}
	if opts.Workers == 0 {
		opts.Workers = DefaultWorkers
	}
	retry := workqueue.NewTypedItemExponentialFailureRateLimiter[podKey](100*time.Millisecond, 10*time.Second)
	return &Simulator{
		opts:    opts,
		client:  client,
		queue:   workqueue.NewTypedRateLimitingQueue(retry),
		nodes:   fleet{client: client, address: map[string]string{}},
		started: map[types.UID]*corev1.Pod{},
	}
}

// watch starts following the pods that are bound to a node, and returns when
// those that are there already are known.
func (s *Simulator) watch(ctx, life context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(s.client, 0,
		informers.WithTransform(strip),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermNotEqualSelector("spec.nodeName", "").String()
		}))
	informer := factory.Core().V1().Pods()
	s.pods = informer.Lister()
	_, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    s.changed,
		UpdateFunc: func(_, pod any) { s.changed(pod) },
		DeleteFunc: s.deleted,
	})
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	factory.StartWithContext(life)
	s.wait.Go(func() { <-life.Done(); factory.Shutdown() })
	if !cache.WaitForCacheSync(ctx.Done(), informer.Informer().HasSynced) {
		return fmt.Errorf("list the pods that are there: %w", context.Cause(ctx))
	}
	return nil
}

// strip drops what nobody here looks at, to keep thousands of pods small.
func strip(obj any) (any, error) {
	if pod, ok := obj.(*corev1.Pod); ok {
		pod.ManagedFields = nil
	}
	return obj, nil
}

// Stop ends the simulation: the Kubelet's pods are stopped, leases are no longer
// renewed, and the objects in the API stay as they are. It returns when nothing
// of it runs any more. Further calls do nothing.
func (s *Simulator) Stop() {
	s.stop.Do(func() {
		s.cancel()
		s.queue.ShutDown()
		s.wait.Wait()
		if s.opts.Kubelet == nil {
			return
		}
		var all sync.WaitGroup
		for _, pod := range s.started {
			all.Go(func() { s.opts.Kubelet.Stop(pod) })
		}
		all.Wait()
	})
}

// errStopped tells a worker that its pod is of no interest because of Stop.
var errStopped = errors.New("the node simulator was stopped")

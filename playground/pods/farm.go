// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pods is what runs in the playground's pods: each is a small HTTP
// server on the loopback interface, in this process, that behaves as its image
// tag says (see [Behaviour]). It knows no Kubernetes but the Pod it is given;
// package nodes says when a pod starts and stops, package mesh sends it
// requests.
package pods

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sluice.dev/sluice/internal/cluster/nodes"
)

// DefaultBaseline is the share of replies, in percent, that fail for no reason
// in a healthy version: small enough that windows without a single error
// happen.
const DefaultBaseline = 0.05

// DefaultDrain is how long a stopping pod still answers: longer than the news
// that it stops takes to reach the mesh.
const DefaultDrain = 2 * time.Second

// shutdownTimeout is how long the last requests of a pod may take.
const shutdownTimeout = 5 * time.Second

// Options are what a Farm can be told. The zero value is a Farm with the
// defaults.
type Options struct {
	// Baseline is the share of failing replies of a healthy version, in
	// percent; 0 means DefaultBaseline, a negative one none at all.
	Baseline float64
	// Drain is how long a stopped pod goes on answering; 0 means
	// DefaultDrain, a negative one not at all.
	Drain time.Duration
	// Seed makes the random part repeatable.
	Seed uint64
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// A Farm runs pods. It is safe for concurrent use.
type Farm struct {
	opts Options

	mu       sync.Mutex
	closed   bool
	servers  map[types.UID]*http.Server
	versions map[string]*version // by image
	meters   map[string]*meter   // by repository
	stopping sync.WaitGroup
	done     chan struct{}
}

// New returns a Farm without pods.
func New(o Options) *Farm {
	if o.Baseline == 0 {
		o.Baseline = DefaultBaseline
	}
	if o.Drain == 0 {
		o.Drain = DefaultDrain
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Farm{
		opts:     o,
		servers:  map[types.UID]*http.Server{},
		versions: map[string]*version{},
		meters:   map[string]*meter{},
		done:     make(chan struct{}),
	}
}

// Start opens the pod's server and returns the annotations that say where it
// listens. Starting a pod twice is an error; so is starting one of a closed
// Farm.
func (f *Farm) Start(ctx context.Context, pod *corev1.Pod) (map[string]string, error) {
	if len(pod.Spec.Containers) == 0 {
		return nil, fmt.Errorf("pod %s/%s has no container to run", pod.Namespace, pod.Name)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the listener of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	srv, err := f.admit(pod)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	go func() { _ = srv.Serve(l) }() // ends with ErrServerClosed
	return map[string]string{nodes.ListenerAnnotation: l.Addr().String()}, nil
}

// admit notes the pod and makes its server.
func (f *Farm) admit(pod *corev1.Pod) (*http.Server, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, fmt.Errorf("start pod %s/%s: the farm is closed", pod.Namespace, pod.Name)
	}
	if f.servers[pod.UID] != nil {
		return nil, fmt.Errorf("pod %s/%s runs already", pod.Namespace, pod.Name)
	}
	h := &handler{farm: f, version: f.versionOf(pod.Spec.Containers[0].Image), pod: pod.Name}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	f.servers[pod.UID] = srv
	return srv, nil
}

// versionOf returns what the pods of image share. The lock is held.
func (f *Farm) versionOf(image string) *version {
	if v := f.versions[image]; v != nil {
		return v
	}
	repository, tag := Split(image)
	if f.meters[repository] == nil {
		f.meters[repository] = &meter{}
	}
	v := &version{
		Behaviour: Parse(image),
		tag:       tag,
		share:     f.meters[repository],
		rng:       rand.New(rand.NewPCG(f.opts.Seed, uint64(len(f.versions)))),
	}
	f.versions[image] = v
	return v
}

// Stop lets the pod's server drain and then close. It returns at once; a pod
// that does not run is left alone.
func (f *Farm) Stop(pod *corev1.Pod) {
	f.mu.Lock()
	defer f.mu.Unlock()
	srv := f.servers[pod.UID]
	if srv == nil || f.closed {
		return
	}
	delete(f.servers, pod.UID)
	f.stopping.Go(func() {
		drain := time.NewTimer(f.opts.Drain)
		defer drain.Stop()
		select {
		case <-drain.C:
		case <-f.done:
		}
		shut(srv)
	})
}

// Turn changes how image behaves: its faults end, as when what it depends on was
// repaired, or its error rate becomes the one after "then" in its tag. It does
// nothing to an image that has had no pods yet.
func (f *Farm) Turn(image string) {
	f.mu.Lock()
	v := f.versions[image]
	f.mu.Unlock()
	if v != nil {
		v.turn()
	}
}

// Running returns how many pods are started and not stopped.
func (f *Farm) Running() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.servers)
}

// Close stops all pods and waits until their ports are free.
func (f *Farm) Close() {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	f.closed = true
	close(f.done)
	for uid, srv := range f.servers {
		delete(f.servers, uid)
		f.stopping.Go(func() { shut(srv) })
	}
	f.mu.Unlock()
	f.stopping.Wait()
}

// shut closes srv after its last requests.
func shut(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		_ = srv.Close()
	}
}

// A handler answers the requests of one pod.
type handler struct {
	farm    *Farm
	version *version
	pod     string
}

// ServeHTTP answers after the version's delay, with a 500 where it is to fail.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := h.version.next(h.farm.opts.Now(), h.farm.opts.Baseline)
	t := time.NewTimer(out.delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	status := http.StatusOK
	if out.failed {
		status = http.StatusInternalServerError
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "{\"version\":%q,\"pod\":%q,\"ok\":%t}\n", h.version.tag, h.pod, !out.failed)
}

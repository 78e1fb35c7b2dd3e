// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster runs a real Kubernetes control plane on this machine: etcd,
// kube-apiserver, kube-controller-manager and kube-scheduler, as processes of
// their own, on free ports of 127.0.0.1. The demo, the benchmarks and the
// integration tests run on it.
//
// The program files come from a folder that `go run ./hack/controlplane` builds
// and prints, given as Options.Assets or in KUBEBUILDER_ASSETS. etcd writes with
// fsync to a real disk, requests are authorised by RBAC, ReplicaSets make their
// pods by way of the real controllers: nothing here is simpler than in a cluster
// but the nodes, of which there are none until package nodes brings them.
//
// It does not run containers, it installs no CRD, and it is not for production:
// etcd is open to every user of the machine, and all of it is gone after Stop.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// Options says what to start. The zero value starts what most callers want, as
// long as KUBEBUILDER_ASSETS is set.
type Options struct {
	// Assets is the folder with the program files. Empty means the value of the
	// environment's KUBEBUILDER_ASSETS.
	Assets string

	// Root is the folder in which this cluster gets a folder of its own, which
	// Stop removes. Empty means "run" in SLUICE_CACHE or, without that, in
	// "sluice" in the user's cache folder. It decides the disk that etcd syncs to.
	Root string

	// Audit is how much of each write goes to the audit log: "Metadata",
	// "Request" or "RequestResponse". Reads are recorded with their metadata.
	// Empty means no audit log.
	Audit string

	// Controllers are the names of further controllers that the
	// kube-controller-manager runs, beside those that rollouts need.
	Controllers []string

	// StartTimeout bounds the whole start. Zero means two minutes, which is a
	// limit for broken machines: it takes seconds.
	StartTimeout time.Duration
}

// A Cluster is a running control plane. Its methods may be called from several
// goroutines, except that those which pause, kill and start the API server are
// for one at a time.
type Cluster struct {
	site *site

	mu        sync.Mutex // guards processes and stopped
	processes map[string]*process
	stopped   bool

	stop    sync.Once
	stopErr error
}

// Start starts a control plane and returns when all of it is ready: the API
// server serves, new namespaces get their service account, pods are scheduled.
// The context bounds the start only; after it, the cluster runs until Stop is
// called or, on Linux, this process ends for whatever reason. When Start returns
// an error, nothing is left behind.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	assets, err := findAssets(opts.Assets)
	if err != nil {
		return nil, err
	}
	opts.Assets = assets
	if opts.StartTimeout == 0 {
		opts.StartTimeout = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, opts.StartTimeout)
	defer cancel()

	s, err := newSite(opts)
	if err != nil {
		return nil, err
	}
	c := &Cluster{site: s, processes: map[string]*process{}}
	if err := c.startAll(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// startAll brings the components up, each as soon as what it needs is there.
func (c *Cluster) startAll(ctx context.Context) error {
	if err := c.start(ctx, etcd); err != nil {
		return err
	}
	if err := c.start(ctx, apiServer); err != nil {
		return err
	}
	errs := make(chan error, 2)
	go func() { errs <- c.start(ctx, controllerManager) }()
	go func() { errs <- c.start(ctx, scheduler) }()
	if err := errors.Join(<-errs, <-errs); err != nil {
		return err
	}
	return waitForServiceAccount(ctx, c.Config())
}

// Dir returns the folder of this cluster. Each component's output is in it, in a
// file named after the component with ".log" added.
func (c *Cluster) Dir() string { return c.site.dir.path }

// Kubeconfig returns the path of a kubeconfig file of a cluster administrator. It
// is gone after Stop.
func (c *Cluster) Kubeconfig() string { return c.site.kubeconfig(adminUser) }

// Config returns a client configuration of a cluster administrator, without a
// client-side rate limit. The caller owns it.
func (c *Cluster) Config() *rest.Config {
	config, err := c.ConfigFor(adminUser, mastersGroup)
	if err != nil {
		panic(err) // the same call succeeded when the kubeconfig was written
	}
	return config
}

// EtcdURL returns the address of etcd's client API and of its metrics.
func (c *Cluster) EtcdURL() string { return url("http", c.site.ports.etcd) }

// AuditLog returns the path of the audit log, one JSON event per line. The file
// is there only if Options.Audit asked for it, and after the first request.
func (c *Cluster) AuditLog() string { return c.site.auditLog() }

// Stop kills all processes and removes all files. It returns when they are gone.
// Further calls do nothing and return the same.
func (c *Cluster) Stop() error {
	c.stop.Do(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stopped = true
		for _, p := range c.processes {
			p.kill()
		}
		for _, p := range c.processes {
			<-p.done
		}
		c.stopErr = c.site.dir.remove()
	})
	return c.stopErr
}

func findAssets(dir string) (string, error) {
	if dir == "" {
		dir = os.Getenv("KUBEBUILDER_ASSETS")
	}
	if dir == "" {
		return "", errors.New("no control plane: KUBEBUILDER_ASSETS is not set; " +
			"set it to the folder that `make controlplane` prints as its last line")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("make KUBEBUILDER_ASSETS=%s absolute: %w", dir, err)
	}
	for _, comp := range components {
		if _, err := os.Stat(filepath.Join(dir, comp.name)); err != nil {
			return "", fmt.Errorf("no control plane in %s: %w; "+
				"`make controlplane` builds one and prints its folder as the last line", dir, err)
		}
	}
	return dir, nil
}

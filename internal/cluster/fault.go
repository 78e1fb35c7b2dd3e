// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// PauseAPIServer stops the API server where it is: connections stay open and
// nothing answers, as behind a network that drops packets.
func (c *Cluster) PauseAPIServer() error {
	p, err := c.running(apiServer)
	if err != nil {
		return err
	}
	return p.signal(syscall.SIGSTOP)
}

// ResumeAPIServer lets a paused API server go on.
func (c *Cluster) ResumeAPIServer() error {
	p, err := c.running(apiServer)
	if err != nil {
		return err
	}
	return p.signal(syscall.SIGCONT)
}

// KillAPIServer kills the API server and returns when it is gone: connections are
// reset and new ones refused. etcd keeps everything that was written.
func (c *Cluster) KillAPIServer() error {
	p, err := c.running(apiServer)
	if err != nil {
		return err
	}
	p.kill()
	<-p.done
	return nil
}

// StartAPIServer starts the API server again, on the same address and the same
// etcd, after KillAPIServer. It returns when the API server is ready.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	if _, err := c.running(apiServer); err == nil {
		return errors.New("start the API server again: it runs already")
	}
	return c.start(ctx, apiServer)
}

// running returns the component's process if it has not ended.
func (c *Cluster) running(comp component) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.processes[comp.name]
	if p == nil || !p.alive() {
		return nil, fmt.Errorf("%s is not running", comp.name)
	}
	return p, nil
}

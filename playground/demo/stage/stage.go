// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stage puts up everything that the demo plays on: a real control plane,
// nodes whose pods are small servers, the mesh, the users, a Datadog, and the
// controller as a process of its own. It takes all of it down again. What happens
// on it is package story's.
package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/cluster/nodes"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"

	"sluice.dev/sluice/playground/load"
	"sluice.dev/sluice/playground/mesh"
	"sluice.dev/sluice/playground/pods"
)

// Where things are, as in the guide.
const (
	// Namespace is the application's.
	Namespace = "payments"
	// ControllerNamespace is the controller's and its Secret's.
	ControllerNamespace = "argo-rollouts"
	// Host is the host that users ask for.
	Host = "checkout"
	// SecretName is the Secret with the credentials for Datadog.
	SecretName = "datadog"
)

// Options say what to put up.
type Options struct {
	// Assets is the folder of the control plane's program files.
	Assets string
	// Sluice is the product's program; without it there is no controller.
	Sluice string
	// Factor divides every waiting time; 1 is the guide's own pace.
	Factor float64
	// Rate is the number of users' requests a second; 0 means load.DefaultRate.
	Rate int
	// Say tells a person what is being done; it must be set.
	Say func(format string, args ...any)
}

// A Stage is everything that is up.
type Stage struct {
	Cluster *cluster.Cluster
	Farm    *pods.Farm
	Mesh    *mesh.Mesh
	Load    *load.Generator
	Datadog *datadogtest.Server
	// Kube and Untyped are an administrator's clients.
	Kube    kubernetes.Interface
	Untyped dynamic.Interface

	opts       Options
	bin        string
	nodes      *nodes.Simulator
	controller *Process
	stop       context.CancelFunc
	running    sync.WaitGroup
	meshDone   <-chan struct{}
}

// Up puts the stage up; ctx bounds only that. When it returns an error nothing
// is left.
func Up(ctx context.Context, o Options) (*Stage, error) {
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Stage{opts: o, stop: stop}
	for _, step := range []func(ctx, life context.Context) error{
		s.startCluster, s.install, s.startTraffic, s.startController,
	} {
		if err := step(ctx, life); err != nil {
			return nil, errors.Join(err, s.Down()) //nolint:contextcheck // it is taken down although ctx may have ended
		}
	}
	return s, nil
}

// Config is a client configuration of an administrator.
func (s *Stage) Config() *rest.Config { return s.Cluster.Config() }

// startCluster starts the control plane and its nodes.
func (s *Stage) startCluster(ctx, _ context.Context) (err error) {
	began := time.Now()
	if s.Cluster, err = cluster.Start(ctx, cluster.Options{Assets: s.opts.Assets}); err != nil {
		return fmt.Errorf("start the control plane: %w", err)
	}
	if s.Kube, err = kubernetes.NewForConfig(s.Config()); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if s.Untyped, err = dynamic.NewForConfig(s.Config()); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	version, err := s.Kube.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the API server for its version: %w", err)
	}
	s.Farm = pods.New(pods.Options{Seed: uint64(began.UnixNano())})
	if s.nodes, err = nodes.Start(ctx, s.Config(), nodes.Options{Count: 3, Kubelet: s.Farm}); err != nil {
		return fmt.Errorf("start the nodes: %w", err)
	}
	s.opts.Say("Kubernetes %s with 3 nodes, %.1f s", version.GitVersion, time.Since(began).Seconds())
	return nil
}

// startTraffic starts Datadog, the mesh and the users.
func (s *Stage) startTraffic(ctx, life context.Context) (err error) {
	if err := s.Mesh.Watch(life, s.Config(), Namespace); err != nil {
		return err
	}
	url, done, err := s.Mesh.Serve(life)
	if err != nil {
		return err
	}
	s.meshDone = done
	s.Load = load.New(load.Options{URL: url, Host: Host, Rate: s.opts.Rate})
	s.opts.Say("a mesh at %s and a Datadog at %s", url, s.Datadog.URL())
	return context.Cause(ctx)
}

// Open lets the users in. It is called once, when there is something to reach.
func (s *Stage) Open() {
	life, cancel := context.WithCancel(context.Background())
	stop := s.stop
	s.stop = func() { cancel(); stop() }
	s.running.Go(func() { _ = s.Load.Run(life) }) // its URL is the mesh's
}

// startController starts the product.
func (s *Stage) startController(ctx, _ context.Context) (err error) {
	if s.opts.Sluice == "" {
		return nil
	}
	if s.bin, err = link(s); err != nil {
		return err
	}
	s.controller, err = launchController(s)
	if err != nil {
		return err
	}
	return waitForLeader(ctx, s)
}

// link makes a folder with the product's program under its two names.
func link(s *Stage) (string, error) {
	path, err := filepath.Abs(s.opts.Sluice)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", s.opts.Sluice, err)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find the program, which `make build` makes: %w", err)
	}
	dir := filepath.Join(s.Cluster.Dir(), "bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a folder for the program: %w", err)
	}
	for _, name := range []string{"sluice", "kubectl-argo-rollouts"} {
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("link the program: %w", err)
		}
	}
	return dir, nil
}

// ControllerLog is the path of the controller's log.
func (s *Stage) ControllerLog() string { return filepath.Join(s.Cluster.Dir(), "controller.log") }

// Programs is the folder that holds the product's program under its names.
func (s *Stage) Programs() string { return s.bin }

// Controller is the process of the controller.
func (s *Stage) Controller() *Process { return s.controller }

// Down takes the stage down: no process, no port and no file stays. It may be
// called on a stage that is only partly up, and again.
func (s *Stage) Down() error {
	s.stop()
	s.running.Wait()
	if s.controller != nil {
		s.controller.Stop()
	}
	if s.meshDone != nil {
		<-s.meshDone
	}
	var errs []error
	if s.Farm != nil {
		s.Farm.Close()
	}
	if s.nodes != nil {
		s.nodes.Stop()
	}
	if s.Datadog != nil {
		errs = append(errs, s.Datadog.Close())
		s.Datadog = nil
	}
	if s.Cluster != nil {
		errs = append(errs, s.Cluster.Stop())
	}
	return errors.Join(errs...)
}

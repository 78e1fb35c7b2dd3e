// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rig puts up what a benchmark runs on: a real control plane with an
// audit log, nodes that make pods ready, the CRDs, and the controller that is to
// be measured as a process of its own. It takes all of it down again.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/config/crd"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/cluster/nodes"

	"sluice.dev/sluice/playground/demo/manifests"
)

const (
	// Namespace is where the benchmark's objects are.
	Namespace = "bench"
	// ControllerNamespace is the controller's and its Secret's.
	ControllerNamespace = "argo-rollouts"
	// User is the controller's name in the audit log.
	User = "bench-controller"

	leaderTimeout = time.Minute
	poll          = 50 * time.Millisecond
	controllerLog = "controller.log"
)

// A Contender is a controller that is measured.
type Contender struct {
	// Name is what it is called in the report.
	Name string
	// Path is its program, Args all of its arguments but the kubeconfig.
	Path string
	Args []string
}

// A Rig is everything that is up.
type Rig struct {
	Cluster *cluster.Cluster
	// Client is an administrator's, without a cache.
	Client client.WithWatch

	nodes      *nodes.Simulator
	kubeconfig string
}

// Up puts the rig up without a controller; ctx bounds only that. When it returns
// an error nothing is left.
func Up(ctx context.Context, assets string) (*Rig, error) {
	r := &Rig{}
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) (err error) {
			r.Cluster, err = cluster.Start(ctx, cluster.Options{Assets: assets, Audit: "Metadata"})
			return err
		},
		r.connect, r.install,
		func(ctx context.Context) (err error) {
			r.nodes, err = nodes.Start(ctx, r.Cluster.Config(), nodes.Options{})
			return err
		},
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("put up the rig: %w", err), r.Down())
		}
	}
	return r, nil
}

// connect makes the administrator's client and the controller's kubeconfig.
func (r *Rig) connect(context.Context) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("register types: %w", err)
		}
	}
	var err error
	if r.Client, err = client.NewWithWatch(r.Cluster.Config(), client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	config, err := r.Cluster.ConfigFor(User, "system:masters")
	if err != nil {
		return err
	}
	r.kubeconfig = filepath.Join(r.Cluster.Dir(), "controller.kubeconfig")
	return cluster.WriteKubeconfig(r.kubeconfig, config)
}

// install creates the CRDs and the namespaces, and waits until the kinds are
// served.
func (r *Rig) install(ctx context.Context) error {
	var names []string
	for _, from := range []struct {
		files   fs.FS
		pattern string
	}{{crd.Files, "*.yaml"}, {manifests.Files, "extra/crds.yaml"}} {
		defs, err := definitions(from.files, from.pattern)
		if err != nil {
			return err
		}
		for i := range defs {
			if err := r.Client.Create(ctx, &defs[i]); err != nil {
				return fmt.Errorf("create the CRD %s: %w", defs[i].Name, err)
			}
			names = append(names, defs[i].Name)
		}
	}
	for _, name := range names {
		if err := r.established(ctx, name); err != nil {
			return err
		}
	}
	for _, name := range []string{Namespace, ControllerNamespace} {
		if err := r.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return fmt.Errorf("create the namespace %s: %w", name, err)
		}
	}
	return nil
}

func (r *Rig) established(ctx context.Context, name string) error {
	err := wait.PollUntilContextTimeout(ctx, poll, leaderTimeout, true, func(ctx context.Context) (bool, error) {
		def := &apiextensionsv1.CustomResourceDefinition{}
		if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, def); err != nil {
			return false, err
		}
		for _, c := range def.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("wait until the CRD %s is served: %w", name, err)
	}
	return nil
}

func definitions(files fs.FS, pattern string) ([]apiextensionsv1.CustomResourceDefinition, error) {
	names, err := fs.Glob(files, pattern)
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("find CRDs: no file matches %s", pattern)
	}
	var out []apiextensionsv1.CustomResourceDefinition
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read CRDs: %w", err)
		}
		d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
		for {
			var def apiextensionsv1.CustomResourceDefinition
			if err := d.Decode(&def); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("read the CRDs of %s: %w", name, err)
			}
			if def.Kind == "CustomResourceDefinition" {
				out = append(out, def)
			}
		}
	}
	return out, nil
}

// Launch starts a contender and waits until it leads.
func (r *Rig) Launch(ctx context.Context, c Contender) (*Process, error) {
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", c.Path, err)
	}
	cmd := exec.Command(path, append([]string{}, c.Args...)...) //nolint:noctx // it lives until it is stopped
	cmd.Args = append(cmd.Args, "--kubeconfig="+r.kubeconfig)
	cmd.Env = []string{"POD_NAMESPACE=" + ControllerNamespace}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	p, err := start(cmd, filepath.Join(r.Cluster.Dir(), controllerLog))
	if err != nil {
		return nil, err
	}
	if err := r.waitForLeader(ctx, p); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func (r *Rig) waitForLeader(ctx context.Context, p *Process) error {
	kube, err := kubernetes.NewForConfig(r.Cluster.Config())
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	began := time.Now()
	for {
		lease, err := kube.CoordinationV1().Leases(ControllerNamespace).Get(ctx, v1alpha1.LeaseName, metav1.GetOptions{})
		switch {
		case err == nil && lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "":
			return nil
		case err != nil && !apierrors.IsNotFound(err):
			return fmt.Errorf("read the controller's lease: %w", err)
		case time.Since(began) > leaderTimeout:
			return fmt.Errorf("the controller does not lead after %s; the end of its log:\n%s", leaderTimeout, p.Tail())
		}
		if err := p.Ended(); err != nil {
			return err
		}
		if err := Pause(ctx, poll); err != nil {
			return err
		}
	}
}

// Keep copies the audit log and the controller's log into a folder, under names
// that begin with prefix. It does nothing without a folder.
func (r *Rig) Keep(folder, prefix string) error {
	if folder == "" {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make a folder for logs: %w", err)
	}
	for _, name := range []string{"audit.log", controllerLog} {
		data, err := os.ReadFile(filepath.Join(r.Cluster.Dir(), name))
		if err != nil {
			return fmt.Errorf("keep a log: %w", err)
		}
		if err := os.WriteFile(filepath.Join(folder, prefix+"-"+name), data, 0o600); err != nil {
			return fmt.Errorf("keep a log: %w", err)
		}
	}
	return nil
}

// Down takes the rig down: no process, no port and no file stays. It may be
// called on a rig that is only partly up, and again.
func (r *Rig) Down() error {
	if r.nodes != nil {
		r.nodes.Stop()
	}
	if r.Cluster == nil {
		return nil
	}
	return r.Cluster.Stop()
}

// Pause waits, but not longer than ctx lives.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

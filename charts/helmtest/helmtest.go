// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package helmtest renders and installs the chart in charts/sluice as the
// commands of Helm 3 do. It asserts nothing.
package helmtest

import (
	"context"
	"errors"
	"fmt"
	"log"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/yaml"
)

// A Release is what the command line of Helm says.
type Release struct {
	// Name of the release. Empty means argo-rollouts.
	Name string
	// Namespace of the release. Empty means argo-rollouts.
	Namespace string
	// Set are the arguments of --set.
	Set []string
	// Files are the arguments of --values.
	Files []string
}

const guide = "argo-rollouts"

func (r Release) named() Release {
	if r.Name == "" {
		r.Name = guide
	}
	if r.Namespace == "" {
		r.Namespace = guide
	}
	return r
}

func (r Release) values() (map[string]any, error) {
	options := values.Options{Values: r.Set, ValueFiles: r.Files}
	v, err := options.MergeValues(nil)
	if err != nil {
		return nil, fmt.Errorf("read the values: %w", err)
	}
	return v, nil
}

// Dir is the folder of the chart.
func Dir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "sluice")
}

// Chart loads the chart.
func Chart() (*chart.Chart, error) {
	c, err := loader.Load(Dir())
	if err != nil {
		return nil, fmt.Errorf("load the chart: %w", err)
	}
	return c, nil
}

// A Rendering is what `helm template` prints, and the notes.
type Rendering struct {
	Manifest string
	Notes    string
	Objects  []*unstructured.Unstructured
	Release  *release.Release
}

// Render renders the chart without a cluster.
func Render(r Release) (*Rendering, error) {
	c, err := Chart()
	if err != nil {
		return nil, err
	}
	r = r.named()
	vals, err := r.values()
	if err != nil {
		return nil, err
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ReleaseName, install.Namespace = r.Name, r.Namespace
	install.DryRun, install.ClientOnly, install.Replace = true, true, true
	install.KubeVersion = &chartutil.KubeVersion{Version: "v1.37.2", Major: "1", Minor: "37"}
	rel, err := install.Run(c, vals)
	if err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	objects, err := Objects(rel.Manifest)
	if err != nil {
		return nil, err
	}
	return &Rendering{Manifest: rel.Manifest, Notes: rel.Info.Notes, Objects: objects, Release: rel}, nil
}

// Objects parses the documents of a manifest.
func Objects(manifest string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for doc := range strings.SplitSeq("\n"+manifest, "\n---") {
		obj := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(doc), &obj.Object); err != nil {
			return nil, fmt.Errorf("parse:\n%s\n%w", doc, err)
		}
		if len(obj.Object) > 0 {
			out = append(out, obj)
		}
	}
	return out, nil
}

// Find returns the object of a kind and name, or nil.
func (r *Rendering) Find(kind, name string) *unstructured.Unstructured {
	for _, obj := range r.Objects {
		if obj.GetKind() == kind && obj.GetName() == name {
			return obj
		}
	}
	return nil
}

// A Helm works on one namespace of a cluster.
type Helm struct {
	config    *action.Configuration
	namespace string
	// Wait is how long Install, Upgrade and Rollback wait until all is ready.
	Wait time.Duration
}

// New returns a Helm that works on a namespace with a kubeconfig. What Helm
// logs goes to out.
func New(kubeconfig, namespace string, out *log.Logger) (*Helm, error) {
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig, flags.Namespace = &kubeconfig, &namespace
	config := new(action.Configuration)
	if err := config.Init(flags, namespace, "secret", out.Printf); err != nil {
		return nil, fmt.Errorf("set up Helm: %w", err)
	}
	return &Helm{config: config, namespace: namespace, Wait: time.Minute}, nil
}

// Install is `helm install --wait`.
func (h *Helm) Install(ctx context.Context, c *chart.Chart, r Release) (*release.Release, error) {
	r = r.named()
	vals, err := r.values()
	if err != nil {
		return nil, err
	}
	a := action.NewInstall(h.config)
	a.ReleaseName, a.Namespace, a.Wait, a.Timeout = r.Name, h.namespace, true, h.Wait
	rel, err := a.RunWithContext(ctx, c, vals)
	if err != nil {
		return rel, fmt.Errorf("install: %w", err)
	}
	return rel, nil
}

// Upgrade is `helm upgrade --wait`.
func (h *Helm) Upgrade(ctx context.Context, c *chart.Chart, r Release) (*release.Release, error) {
	r = r.named()
	vals, err := r.values()
	if err != nil {
		return nil, err
	}
	a := action.NewUpgrade(h.config)
	a.Namespace, a.Wait, a.Timeout = h.namespace, true, h.Wait
	rel, err := a.RunWithContext(ctx, r.Name, c, vals)
	if err != nil {
		return rel, fmt.Errorf("upgrade: %w", err)
	}
	return rel, nil
}

// Rollback is `helm rollback --wait` to a revision.
func (h *Helm) Rollback(name string, revision int) error {
	a := action.NewRollback(h.config)
	a.Version, a.Wait, a.Timeout = revision, true, h.Wait
	if err := a.Run(name); err != nil {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

// Uninstall is `helm uninstall --wait`.
func (h *Helm) Uninstall(name string) (*release.UninstallReleaseResponse, error) {
	a := action.NewUninstall(h.config)
	a.Wait, a.Timeout = true, h.Wait
	a.DeletionPropagation = "background"
	response, err := a.Run(name)
	if err != nil {
		return response, fmt.Errorf("uninstall: %w", err)
	}
	return response, nil
}

// History returns the revisions of a release, and none if it is not there.
func (h *Helm) History(name string) ([]*release.Release, error) {
	revisions, err := action.NewHistory(h.config).Run(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	return revisions, nil
}

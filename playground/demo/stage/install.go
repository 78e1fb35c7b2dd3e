// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sluice.dev/sluice/config/crd"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
	"sluice.dev/sluice/internal/pace"

	"sluice.dev/sluice/playground/demo/manifests"
	"sluice.dev/sluice/playground/mesh"
)

// fieldManager signs what the demo writes.
const fieldManager = "sluice-demo"

// resolution is the grain of the Datadog's series, and buckets into how many
// parts it cuts a query's window: one, because a shortened window is short
// enough as it is.
const (
	resolution = 50 * time.Millisecond
	buckets    = 1
)

var crds = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// resources are where the kinds of the manifests are served.
var resources = map[string]schema.GroupVersionResource{
	"CustomResourceDefinition": crds,
	"Service":                  {Version: "v1", Resource: "services"},
	"VirtualService":           {Group: "networking.istio.io", Version: "v1beta1", Resource: "virtualservices"},
	"VaultStaticSecret":        {Group: "secrets.hashicorp.com", Version: "v1beta1", Resource: "vaultstaticsecrets"},
	"AnalysisTemplate":         {Group: "argoproj.io", Version: "v1alpha1", Resource: "analysistemplates"},
	"AnalysisRun":              {Group: "argoproj.io", Version: "v1alpha1", Resource: "analysisruns"},
	"Rollout":                  {Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"},
}

// FirstKeys are the keys that the first Secret holds, SecondKeys those after the
// rotation. They look like Datadog's and open nothing.
var (
	FirstKeys  = datadogtest.Keys{API: "a1b2c3d4e5f60718293a4b5c6d7e8f90", App: "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c"}
	SecondKeys = datadogtest.Keys{API: "99887766554433221100ffeeddccbbaa", App: "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"}
)

// install puts the CRDs, the namespaces and the Secret there.
func (s *Stage) install(ctx, _ context.Context) (err error) {
	s.Datadog, err = datadogtest.New(datadogtest.Options{
		Keys: []datadogtest.Keys{FirstKeys}, Buckets: buckets, Resolution: resolution,
	})
	if err != nil {
		return fmt.Errorf("start the Datadog: %w", err)
	}
	s.Mesh = mesh.New(mesh.Options{Sink: s.Datadog, Seed: 1})
	n, err := applyCRDs(ctx, s)
	if err != nil {
		return err
	}
	for _, name := range []string{ControllerNamespace, Namespace} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := s.Kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create the namespace %s: %w", name, err)
		}
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: SecretName, Namespace: ControllerNamespace},
		StringData: map[string]string{"address": s.Datadog.URL(), "apiKey": FirstKeys.API, "appKey": FirstKeys.App},
	}
	if _, err := s.Kube.CoreV1().Secrets(ControllerNamespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the Secret %s: %w", SecretName, err)
	}
	s.opts.Say("%d CRDs, and the Secret %s/%s with the keys address, apiKey and appKey", n, ControllerNamespace, SecretName)
	return nil
}

// Rotate gives Datadog new keys and takes the old ones away, and writes the new
// ones to the Secret in the other spelling.
func (s *Stage) Rotate(ctx context.Context) error {
	s.Datadog.SetKeys(FirstKeys, SecondKeys)
	secrets := s.Kube.CoreV1().Secrets(ControllerNamespace)
	secret, err := secrets.Get(ctx, SecretName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the Secret %s: %w", SecretName, err)
	}
	secret.Data = nil
	secret.StringData = map[string]string{
		"address": s.Datadog.URL(), "api-key": SecondKeys.API, "app-key": SecondKeys.App,
	}
	if _, err := secrets.Update(ctx, secret, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("write the Secret %s: %w", SecretName, err)
	}
	s.Datadog.SetKeys(SecondKeys)
	return nil
}

// applyCRDs applies our CRDs and the outlines of others', and waits until they
// are served.
func applyCRDs(ctx context.Context, s *Stage) (int, error) {
	ours, err := read(crd.Files, "*.yaml")
	if err != nil {
		return 0, err
	}
	others, err := read(manifests.Files, "extra/crds.yaml")
	if err != nil {
		return 0, err
	}
	all := append(ours, others...)
	for _, o := range all {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		_, err := s.Untyped.Resource(crds).Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		if err != nil {
			return 0, fmt.Errorf("apply the CRD %s: %w", o.GetName(), err)
		}
	}
	for _, o := range all {
		if err := established(ctx, s, o.GetName()); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}

// established waits until a CRD is served.
func established(ctx context.Context, s *Stage, name string) error {
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		crd, err := s.Untyped.Resource(crds).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
		for _, c := range conditions {
			if c, ok := c.(map[string]any); ok && c["type"] == "Established" && c["status"] == "True" {
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

// Apply creates the objects of manifests at the demo's pace, and returns what
// that changed in them.
func (s *Stage) Apply(ctx context.Context, names ...string) ([]pace.Change, error) {
	var changes []pace.Change
	for _, name := range names {
		objs, err := read(manifests.Files, name)
		if err != nil {
			return nil, err
		}
		for _, o := range objs {
			c, err := pace.Apply(o, s.opts.Factor)
			if err != nil {
				return nil, err
			}
			changes = append(changes, c...)
			r, known := resources[o.GetKind()]
			if !known {
				return nil, fmt.Errorf("apply %s: nobody knows where a %s is served", name, o.GetKind())
			}
			_, err = s.Untyped.Resource(r).Namespace(o.GetNamespace()).Create(ctx, o, metav1.CreateOptions{FieldManager: fieldManager})
			if err != nil {
				return nil, fmt.Errorf("apply %s: %w", name, err)
			}
		}
	}
	return changes, nil
}

// Patch merges a change into an object of a kind of the manifests.
func (s *Stage) Patch(ctx context.Context, kind, namespace, name, patch string) error {
	_, err := s.Untyped.Resource(resources[kind]).Namespace(namespace).
		Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("change %s %s: %w", kind, name, err)
	}
	return nil
}

// read returns the objects of the files that match the pattern.
func read(files fs.FS, pattern string) ([]*unstructured.Unstructured, error) {
	names, err := fs.Glob(files, pattern)
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("find manifests: no file matches %s", pattern)
	}
	var objs []*unstructured.Unstructured
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read manifests: %w", err)
		}
		d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
		for {
			o := &unstructured.Unstructured{}
			if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("read the manifest %s: %w", name, err)
			}
			if len(o.Object) > 0 {
				objs = append(objs, o)
			}
		}
	}
	return objs, nil
}

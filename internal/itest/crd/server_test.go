// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package crd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/config/crd"
)

const (
	manager  = "sluice-test"
	tables   = "../../../api/v1alpha1/testdata/"
	patience = time.Minute
)

// api talks to the API server that TestMain starts.
var api client.Client

// stored are the objects that were stored while the CRDs had no schema.
var stored map[string]*unstructured.Unstructured

func TestMain(m *testing.M) {
	code, err := serve(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "crd tests:", err)
		code = 1
	}
	os.Exit(code)
}

// serve starts an API server, stores bad objects under CRDs without a schema,
// upgrades the CRDs to the real ones, and runs the tests.
func serve(m *testing.M) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 0, errors.New("KUBEBUILDER_ASSETS is not set: it must name a folder with etcd and kube-apiserver; `make controlplane` builds one and prints it")
	}
	env := &envtest.Environment{}
	config, err := env.Start()
	if err != nil {
		return 0, fmt.Errorf("start the API server: %w", err)
	}
	defer func() { err = errors.Join(err, env.Stop()) }()
	config.QPS = -1
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)); err != nil {
		return 0, err
	}
	if api, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 0, fmt.Errorf("make a client: %w", err)
	}
	if err := prepare(context.Background()); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// prepare fills the API server.
func prepare(ctx context.Context) error {
	for _, name := range []string{"payments", "argo-rollouts", "stored"} {
		ns := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
		}}
		if err := apply(ctx, ns); err != nil {
			return err
		}
	}
	crds, err := readCRDs()
	if err != nil {
		return err
	}
	for _, c := range crds {
		if err := install(ctx, withoutSchema(c)); err != nil {
			return err
		}
	}
	if err := storeBad(ctx); err != nil {
		return err
	}
	for _, c := range crds {
		if err := install(ctx, c); err != nil {
			return err
		}
	}
	foreign, err := readFile("testdata/foreign.yaml")
	if err != nil {
		return err
	}
	for _, c := range foreign {
		if err := apply(ctx, c); err != nil {
			return err
		}
	}
	return waitForSchemas(ctx)
}

// readCRDs reads the generated CRDs.
func readCRDs() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*apiextensionsv1.CustomResourceDefinition
	for _, name := range names {
		data, err := crd.Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		c := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, c); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// withoutSchema is a CRD that lets everything in.
func withoutSchema(c *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinition {
	c = c.DeepCopy()
	anything := apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(bool)}
	*anything.XPreserveUnknownFields = true
	c.Spec.Versions[0].Schema.OpenAPIV3Schema = &apiextensionsv1.JSONSchemaProps{
		Type:       "object",
		Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": anything, "status": anything},
	}
	if s := c.Spec.Versions[0].Subresources; s != nil {
		s.Scale = nil // by which the API server refuses negative sizes
	}
	return c
}

// install applies a CRD on the server side and waits until it is served.
func install(ctx context.Context, c *apiextensionsv1.CustomResourceDefinition) error {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c)
	if err != nil {
		return err
	}
	delete(object, "status")
	if err := apply(ctx, &unstructured.Unstructured{Object: object}); err != nil {
		return err
	}
	return poll(ctx, "the CRD of "+c.Spec.Names.Kind+" to be served", func() error {
		var got apiextensionsv1.CustomResourceDefinition
		if err := api.Get(ctx, client.ObjectKeyFromObject(c), &got); err != nil {
			return err
		}
		for _, cond := range got.Status.Conditions {
			if cond.Type == apiextensionsv1.Established && cond.Status == apiextensionsv1.ConditionTrue {
				return nil
			}
		}
		return errors.New("not established")
	})
}

// storeBad stores the objects of testdata/bad while nothing stops it.
func storeBad(ctx context.Context) error {
	files, err := filepath.Glob(tables + "bad/*.yaml")
	if err != nil {
		return err
	}
	stored = map[string]*unstructured.Unstructured{}
	for _, file := range files {
		objs, err := readFile(file)
		if err != nil {
			return err
		}
		why, err := firstComment(file)
		if err != nil {
			return err
		}
		if strings.Contains(why, "unknown field") || strings.Contains(why, `Invalid value: "string"`) {
			continue // of no version of the schema
		}
		obj := objs[0]
		obj.SetName(strings.TrimSuffix(filepath.Base(file), ".yaml"))
		if obj.GetKind() != v1alpha1.KindClusterAnalysisTemplate {
			obj.SetNamespace("stored")
		}
		err = poll(ctx, "store "+file, func() error { return api.Create(ctx, obj.DeepCopy()) })
		if err != nil {
			return err
		}
		stored[filepath.Base(file)] = obj
	}
	return nil
}

// waitForSchemas waits until the API server validates by the real CRDs.
func waitForSchemas(ctx context.Context) error {
	for _, file := range []string{"strategy-both", "metric-no-provider", "metric-initial-delay-unparsable", "run-without-metrics", "experiment-duration"} {
		objs, err := readFile(tables + "bad/" + file + ".yaml")
		if err != nil {
			return err
		}
		err = poll(ctx, "the rules of "+objs[0].GetKind(), func() error {
			if api.Create(ctx, objs[0].DeepCopy(), client.DryRunAll) == nil {
				return errors.New("a bad object was accepted")
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// poll calls f until it succeeds.
func poll(ctx context.Context, what string, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, err)
		case <-tick.C:
		}
	}
}

// apply does what kubectl apply --server-side does.
func apply(ctx context.Context, obj *unstructured.Unstructured) error {
	data, err := obj.MarshalJSON()
	if err != nil {
		return err
	}
	err = api.Patch(ctx, obj.DeepCopy(), client.RawPatch(types.ApplyPatchType, data), &client.PatchOptions{
		FieldManager:    manager,
		FieldValidation: metav1.FieldValidationStrict,
	})
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", obj.GetKind(), obj.GetName(), err)
	}
	return nil
}

// readFile reads the objects of a file and gives those without a namespace the
// default one.
func readFile(name string) ([]*unstructured.Unstructured, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	docs := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		obj := &unstructured.Unstructured{}
		if err := docs.Decode(obj); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if len(obj.Object) == 0 {
			continue
		}
		if obj.GetNamespace() == "" && obj.GroupVersionKind().GroupVersion() == v1alpha1.SchemeGroupVersion &&
			obj.GetKind() != v1alpha1.KindClusterAnalysisTemplate {
			obj.SetNamespace("default")
		}
		all = append(all, obj)
	}
}

// firstComment is the text of the comment in the first line of a file.
func firstComment(name string) (string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	text, ok := strings.CutPrefix(line, "# ")
	if !ok {
		return "", fmt.Errorf("%s: the first line must be a comment that says what the message contains", name)
	}
	return text, nil
}

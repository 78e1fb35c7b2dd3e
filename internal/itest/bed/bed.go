// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bed is what integration tests stand on: a real control plane with
// simulated nodes, the CRDs, and the controller in this process. It asserts
// nothing about the product.
package bed

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/config/crd"
	"sluice.dev/sluice/internal/app"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/cluster/nodes"
)

// Patience bounds every wait. It is for broken code, not for slow machines.
const Patience = 2 * time.Minute

//go:embed crds.yaml
var foreign embed.FS

// A Bed is one running control plane and a client of it.
type Bed struct {
	testing.TB
	Cluster *cluster.Cluster
	Client  client.Client
	Nodes   *nodes.Simulator
}

// New starts a control plane with the CRDs installed, and stops it when the
// test ends.
func New(tb testing.TB, options cluster.Options) *Bed {
	tb.Helper()
	b := Bare(tb, options)
	b.install(crd.Files)
	return b
}

// Bare is New without our own CRDs, for tests of what installs them.
func Bare(tb testing.TB, options cluster.Options) *Bed {
	tb.Helper()
	c, err := cluster.Start(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Stop(); err != nil {
			tb.Error(err)
		}
	})
	scheme, err := app.Scheme()
	if err != nil {
		tb.Fatal(err)
	}
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		tb.Fatal(err)
	}
	config := c.Config()
	config.QPS = -1
	cl, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		tb.Fatal(err)
	}
	sim, err := nodes.Start(tb.Context(), c.Config(), nodes.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(sim.Stop)
	b := &Bed{TB: tb, Cluster: c, Client: cl, Nodes: sim}
	b.install(foreign)
	return b
}

// install creates the CRDs of files and waits until they are served.
func (b *Bed) install(files fs.FS) {
	b.Helper()
	names, err := fs.Glob(files, "*.yaml")
	if err != nil || len(names) == 0 {
		b.Fatalf("no CRDs: %v", err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			b.Fatal(err)
		}
		for doc := range strings.SplitSeq(string(text), "\n---\n") {
			def := &apiextensionsv1.CustomResourceDefinition{}
			if err := yaml.Unmarshal([]byte(doc), def); err != nil {
				b.Fatalf("%s: %v", name, err)
			}
			if def.Name == "" {
				continue
			}
			if err := b.Client.Create(b.Context(), def); err != nil {
				b.Fatal(err)
			}
			b.established(def.Name)
			discovered(b, def)
		}
	}
}

// discovered waits until the API server says that it has the kind, which is a
// moment after it is established.
func discovered(b *Bed, def *apiextensionsv1.CustomResourceDefinition) {
	b.Helper()
	kind := schema.GroupKind{Group: def.Spec.Group, Kind: def.Spec.Names.Kind}
	b.Eventually("the API server says that it has "+kind.String(), func() error {
		_, err := b.Client.RESTMapper().RESTMapping(kind, def.Spec.Versions[0].Name)
		return err
	})
}

func (b *Bed) established(name string) {
	b.Helper()
	b.Eventually("CRD "+name+" is served", func() error {
		def := &apiextensionsv1.CustomResourceDefinition{}
		if err := b.Client.Get(b.Context(), client.ObjectKey{Name: name}, def); err != nil {
			return err
		}
		for _, c := range def.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("conditions are %v", def.Status.Conditions)
	})
}

// Controller runs the controller in this process until the returned function
// is called or the test ends.
func (b *Bed) Controller(change ...func(*app.Config)) (stop func()) {
	b.Helper()
	var c app.Config
	c.Flags() // sets the defaults
	c.MetricsPort, c.HealthPort, c.LeaderElect = 0, 0, false
	c.LogFormat, c.LogLevel = "text", os.Getenv("SLUICE_TEST_LOGLEVEL")
	if c.LogLevel == "" {
		c.LogLevel = "error"
	}
	for _, f := range change {
		f(&c)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, b.Cluster.Config(), c) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			b.Errorf("controller: %v", err)
		}
		done <- nil
	}
	b.Cleanup(stop)
	return stop
}

// Namespace creates a namespace.
func (b *Bed) Namespace(name string) {
	b.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := b.Client.Create(b.Context(), ns); err != nil && !apierrors.IsAlreadyExists(err) {
		b.Fatal(err)
	}
}

// Apply applies the documents of a YAML text, with the pairs of old and new
// strings of replace replaced first.
func (b *Bed) Apply(text string, replace ...string) {
	b.Helper()
	text = strings.NewReplacer(replace...).Replace(text)
	for doc := range strings.SplitSeq(text, "\n---\n") {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &obj.Object); err != nil {
			b.Fatalf("%v in:\n%s", err, doc)
		}
		if len(obj.Object) == 0 {
			continue
		}
		err := b.Client.Apply(b.Context(), client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("bed"), client.ForceOwnership)
		if err != nil {
			b.Fatalf("apply %s %s: %v", obj.GetKind(), obj.GetName(), err)
		}
	}
}

// Rollout returns a Rollout as it is now.
func (b *Bed) Rollout(ns, name string) *v1alpha1.Rollout {
	b.Helper()
	ro := &v1alpha1.Rollout{}
	if err := b.Client.Get(b.Context(), client.ObjectKey{Namespace: ns, Name: name}, ro); err != nil {
		b.Fatal(err)
	}
	return ro
}

// Phase waits until the Rollout is in a phase, and returns it.
func (b *Bed) Phase(ns, name string, phase v1alpha1.RolloutPhase) *v1alpha1.Rollout {
	b.Helper()
	var ro *v1alpha1.Rollout
	b.Eventually(fmt.Sprintf("Rollout %s/%s is %s", ns, name, phase), func() error {
		ro = b.Rollout(ns, name)
		if ro.Status.Phase != phase || ro.Status.ObservedGeneration != strconv.FormatInt(ro.Generation, 10) {
			return fmt.Errorf("it is %s: %s (step %v)", ro.Status.Phase, ro.Status.Message, ro.Status.CurrentStepIndex)
		}
		return nil
	})
	return ro
}

// Eventually waits until check has no complaint.
func (b *Bed) Eventually(what string, check func() error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), Patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			b.Fatalf("%s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

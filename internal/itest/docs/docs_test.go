// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package docs_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/app"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/docs"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

func TestDocumentsAreRun(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	for file, fixture := range docs.Sessions {
		t.Run(file, func(t *testing.T) {
			blocks, err := docs.Read(root, file)
			if err != nil {
				t.Fatal(err)
			}
			var s *session
			var change *strings.Replacer
			switch fixture {
			case docs.Release:
				s, change = atAStep(t), strings.NewReplacer()
			case docs.Cluster:
				s, change = empty(t)
			}
			if file == "README.md" {
				t.Run("manifests of all documents", s.manifests)
			}
			if n := s.follow(blocks, change, fixture == docs.Cluster); n == 0 {
				t.Error("nothing of it was run")
			}
		})
	}
}

// follow does what a reader does, and returns how many blocks of commands there
// were.
func (s *session) follow(blocks []docs.Block, change *strings.Replacer, apply bool) int {
	s.Helper()
	n := 0
	for _, b := range blocks {
		_, excepted := docs.Excepted(b)
		switch {
		case excepted:
		case b.Lang == "sh":
			n++
			s.Logf("%s:\n%s", b, s.run(b.String(), change.Replace(b.Text)))
		case b.Lang == "yaml" && apply:
			s.Apply(change.Replace(b.Text))
		}
	}
	return n
}

// manifests checks that every manifest is accepted, with every field known.
func (s *session) manifests(t *testing.T) {
	files, err := docs.Files(root)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		blocks, err := docs.Read(root, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks {
			if _, excepted := docs.Excepted(block); excepted || block.Lang != "yaml" {
				continue
			}
			for doc := range strings.SplitSeq(block.Text, "\n---\n") {
				n++
				if err := s.accepted(t.Context(), doc); err != nil {
					t.Errorf("%s: %v", block, err)
				}
			}
		}
	}
	if n < 14 {
		t.Errorf("there are %d manifests", n)
	}
}

func (s *session) accepted(ctx context.Context, doc string) error {
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(doc), &obj.Object); err != nil {
		return err
	}
	if namespaced, err := s.Client.IsObjectNamespaced(obj); err != nil {
		return err
	} else if namespaced && obj.GetNamespace() == "" {
		obj.SetNamespace("default")
	}
	obj.SetName(obj.GetName() + "-of-a-document") // there may be one of that name
	return client.WithFieldValidation(s.Client, metav1.FieldValidationStrict).Create(ctx, obj, client.DryRunAll)
}

// empty is a cluster without our CRDs. As soon as the document has installed
// them, the controller works, as it would in the pods that the document makes.
// The change makes times shorter, and Datadog's address one on this machine.
func empty(t *testing.T) (*session, *strings.Replacer) {
	t.Helper()
	dd, err := datadogtest.New(datadogtest.Options{Keys: []datadogtest.Keys{{API: "api", App: "app"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dd.Close() })
	s := newSession(bed.Bare(t, cluster.Options{}))
	ctx, stop := context.WithCancel(t.Context())
	controller := make(chan error, 1)
	go func() {
		for !installed(ctx, s.Client) {
		}
		var c app.Config
		c.Flags() // sets the defaults
		c.MetricsPort, c.HealthPort, c.LeaderElect, c.LogLevel = 0, 0, false, "error"
		c.ErrorBackoff = time.Second
		c.Controllers = []string{app.ControllerRollouts, app.ControllerAnalysis} // nobody outside is told anything
		controller <- app.Run(ctx, s.Cluster.Config(), c)
	}()
	users := make(chan struct{})
	go func() {
		defer close(users)
		traffic(ctx, s.Client, dd)
	}()
	t.Cleanup(func() {
		stop()
		<-users
		if err := <-controller; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	return s, strings.NewReplacer(
		"https://api.datadoghq.eu", dd.URL(),
		"initialDelay: 60s", "initialDelay: 1s", "interval: 60s", "interval: 1s", "interval: 5m", "interval: 5s",
		"duration: 2m", "duration: 5s", "duration: 5m", "duration: 1s")
}

// installed waits a moment, or until ctx ends, and reports whether the CRDs are
// there.
func installed(ctx context.Context, c client.Client) bool {
	select {
	case <-ctx.Done():
		return true
	case <-time.After(100 * time.Millisecond):
	}
	crds := &apiextensionsv1.CustomResourceDefinitionList{}
	if c.List(ctx, crds) != nil {
		return false
	}
	served := 0
	for _, crd := range crds.Items {
		if crd.Spec.Group == v1alpha1.SchemeGroupVersion.Group && slices.ContainsFunc(crd.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
			return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
		}) {
			served++
		}
	}
	return served == 5
}

// traffic plays the users of checkout until ctx ends: a fifth of the requests to
// a broken version fail, and one in a thousand of those to others.
func traffic(ctx context.Context, c client.Client, dd *datadogtest.Server) {
	for ctx.Err() == nil {
		var sets appsv1.ReplicaSetList
		if c.List(ctx, &sets, client.InNamespace("payments")) == nil {
			for i := range sets.Items {
				serve(dd, &sets.Items[i])
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func serve(dd *datadogtest.Server, rs *appsv1.ReplicaSet) {
	if rs.Status.ReadyReplicas == 0 {
		return
	}
	failed := 0.1
	for _, c := range rs.Spec.Template.Spec.Containers {
		if strings.HasSuffix(c.Image, "-broken") || fmt.Sprint(c.Env) != "[]" {
			failed = 20
		}
	}
	now, tags := time.Now(), map[string]string{
		"service": "checkout", "kube_pod_label_rollouts_pod_template_hash": rs.Labels[v1alpha1.LabelPodTemplateHash],
	}
	dd.Count("trace.http.request.hits", tags, now, 100)
	dd.Count("trace.http.request.errors", tags, now, failed)
	dd.Distribution("trace.http.request", tags, now, 120)
}

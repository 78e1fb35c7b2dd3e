// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package itest_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
)

var (
	rollouts        = v1alpha1.SchemeGroupVersion.WithKind("Rollout")
	applications    = v1alpha1.SchemeGroupVersion.WithKind("Application")
	virtualServices = schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1beta1", Kind: "VirtualService"}
)

// argoNamespace is where Argo CD has its Applications and settings.
const argoNamespace = "argocd"

// TestMain lets all releases be under way at the same time: they wait for
// controllers and clocks.
func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	flag.Parse()
	if err := flag.Set("test.parallel", "64"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// A stand is a control plane with a Datadog, and the controller as a program of its
// own.
type stand struct {
	*bed.Bed
	datadog *datadogtest.Server
}

func newStand(t *testing.T) *stand {
	t.Helper()
	server, err := datadogtest.New(datadogtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	b := bed.New(t, cluster.Options{})
	b.Datadog(server.URL())
	p := b.Process(filepath.Join(t.TempDir(), "sluice.log"), "--analysis-error-backoff=1s")
	b.Led(p, "")
	return &stand{Bed: b, datadog: server}
}

// guide reads the guide's manifests into files of ns, with the pairs of old and
// new strings of replace replaced.
func guide(t *testing.T, ns string, replace ...string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"analysistemplate.yaml", "rollout.yaml", "services.yaml", "virtualservice.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "internal", "itest", "rollout", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		pairs := append([]string{"namespace: payments", "namespace: " + ns}, replace...)
		files[name] = strings.NewReplacer(pairs...).Replace(string(text))
	}
	return files
}

// quick are the guide's waits, made short.
var quick = []string{
	"initialDelay: 60s", "initialDelay: 1s", "interval: 60s", "interval: 1s",
	"duration: 2m", "duration: 2s", "duration: 5m", "duration: 2s",
}

// bump is the file of the Rollout with another tag.
func bump(files map[string]string, tag string) map[string]string {
	return map[string]string{"rollout.yaml": strings.ReplaceAll(files["rollout.yaml"], "checkout:1.0.0", "checkout:"+tag)}
}

// bad is what the tag of an image ends in whose requests fail.
const bad = "-bad"

// traffic counts requests to the newest revision of the Rollout in ns until the
// test ends. One in ten of those to a bad image fails.
func (s *stand) traffic(ns string) {
	s.Helper()
	end, done := make(chan struct{}), make(chan struct{})
	s.Cleanup(func() { close(end); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case now := <-tick.C:
				ro := &v1alpha1.Rollout{}
				if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: ns, Name: "checkout"}, ro); err == nil {
					s.served(ro, now)
				}
			}
		}
	}()
}

func (s *stand) served(ro *v1alpha1.Rollout, now time.Time) {
	tags := map[string]string{"service": "checkout", "kube_pod_label_rollouts_pod_template_hash": ro.Status.CurrentPodHash}
	s.datadog.Count("trace.http.request.hits", tags, now, 100)
	s.datadog.Distribution("trace.http.request", tags, now, 120)
	failed := 0.0
	if strings.HasSuffix(ro.Spec.Template.Spec.Containers[0].Image, bad) {
		failed = 10
	}
	s.datadog.Count("trace.http.request.errors", tags, now, failed)
}

// held are the guide's steps without its analyses and with a pause that only a
// person ends after each weight.
func held(t *testing.T, ns string) map[string]string {
	t.Helper()
	files := guide(t, ns)
	text := files["rollout.yaml"]
	begin := strings.Index(text, "      # background guard")
	if begin < 0 {
		t.Fatal("the guide's Rollout has no background analysis any more")
	}
	files["rollout.yaml"] = text[:begin] + `      steps:
        - setWeight: 10
        - pause: {}
        - setWeight: 25
        - pause: {}
        - setWeight: 50
        - pause: {}
`
	return files
}

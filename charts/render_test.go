// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
	"sluice.dev/sluice/config/crd"
	"sluice.dev/sluice/internal/app"

	"sluice.dev/sluice/charts/helmtest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func render(t *testing.T, r helmtest.Release) *helmtest.Rendering {
	t.Helper()
	out, err := helmtest.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// noCRDs keep golden files readable; the CRDs have a test of their own.
const noCRDs = "installCRDs=false"

// guide is what the guide tells people to set.
var guide = []string{"dashboard.enabled=true", "controller.metrics.enabled=true"}

var renderings = map[string]helmtest.Release{
	"default":    {Set: []string{noCRDs}},
	"guide":      {Set: append([]string{noCRDs}, guide...)},
	"namespaced": {Name: "canary", Namespace: "payments", Set: []string{noCRDs, "namespaced=true"}},
	"argo":       {Set: []string{noCRDs}, Files: []string{"testdata/argo.yaml"}},
	"everything": {Name: "delivery", Namespace: "platform", Set: []string{noCRDs}, Files: []string{"testdata/everything.yaml"}},
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, rel := range renderings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := render(t, rel)
			got := r.Manifest + "\n---\n# The notes\n" + r.Notes
			file := filepath.Join("testdata/golden", name+".yaml")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run go test . -update in charts and look at the difference: %s", diff)
			}
		})
	}
}

// Every object has only fields that its kind has.
func TestObjectsAreStrictlyValid(t *testing.T) {
	t.Parallel()
	known := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(known); err != nil {
			t.Fatal(err)
		}
	}
	foreign := []string{"ServiceMonitor", "PrometheusRule"}
	for name, rel := range renderings {
		rel.Set = slices.DeleteFunc(slices.Clone(rel.Set), func(s string) bool { return s == noCRDs })
		for _, obj := range render(t, rel).Objects {
			typed, err := known.New(obj.GroupVersionKind())
			if err != nil {
				if !slices.Contains(foreign, obj.GetKind()) {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, typed, true); err != nil {
				t.Errorf("%s: %s %s: %v", name, obj.GetKind(), obj.GetName(), err)
			}
		}
	}
}

func TestTheCRDsAreThoseOfConfig(t *testing.T) {
	t.Parallel()
	kept := render(t, helmtest.Release{})
	deleted := render(t, helmtest.Release{Set: []string{"keepCRDs=false"}})
	entries, err := crd.Files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		want, err := crd.Files.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		copied, err := os.ReadFile(filepath.Join(helmtest.Dir(), "files/crds", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, copied) {
			t.Errorf("files/crds/%s differs from config/crd: run go generate ./api/...", e.Name())
		}
		var wanted map[string]any
		if err := yaml.Unmarshal(want, &wanted); err != nil {
			t.Fatal(err)
		}
		name := (&unstructured.Unstructured{Object: wanted}).GetName()
		got := kept.Find("CustomResourceDefinition", name)
		if got == nil {
			t.Fatalf("%s is not rendered", name)
		}
		if diff := cmp.Diff(wanted["spec"], got.Object["spec"], cmp.Transformer("JSON", canonical)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if got.GetAnnotations()["helm.sh/resource-policy"] != "keep" || got.GetAnnotations()["controller-gen.kubebuilder.io/version"] == "" && hasAnnotations(wanted) {
			t.Errorf("%s has the annotations %v", name, got.GetAnnotations())
		}
		if a := deleted.Find("CustomResourceDefinition", name).GetAnnotations(); a["helm.sh/resource-policy"] != "" {
			t.Errorf("keepCRDs=false: %s has the annotations %v", name, a)
		}
	}
}

func hasAnnotations(o map[string]any) bool {
	return len((&unstructured.Unstructured{Object: o}).GetAnnotations()) > 0
}

// canonical makes numbers of one kind out of integers and floats.
func canonical(v map[string]any) string {
	data, _ := json.Marshal(v)
	return string(data)
}

// Helm stores a release in a Secret, and a Secret holds one MiB.
func TestTheReleaseFitsIntoASecret(t *testing.T) {
	t.Parallel()
	rel := render(t, helmtest.Release{Files: []string{"testdata/everything.yaml"}}).Release
	data, err := json.Marshal(rel)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	n := base64.StdEncoding.EncodedLen(buf.Len())
	t.Logf("the release takes %d KiB", n>>10)
	if n > 512<<10 {
		t.Errorf("the release takes %d bytes; half a MiB is what is left to grow", n)
	}
}

// The controller knows each argument that the chart gives it.
func TestArgumentsAreFlagsOfTheController(t *testing.T) {
	t.Parallel()
	for name, rel := range renderings {
		for _, obj := range render(t, rel).Objects {
			if obj.GetKind() != "Deployment" {
				continue
			}
			var d appsv1.Deployment
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &d); err != nil {
				t.Fatal(err)
			}
			args := d.Spec.Template.Spec.Containers[0].Args
			if args[0] != "controller" {
				t.Errorf("%s: the command is %q", name, args[0])
			}
			var c app.Config
			flags := c.Flags()
			flags.String("namespace", "", "of the Kubernetes client")
			if err := flags.Parse(args[1:]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := c.Validate(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if name == "everything" && (c.Vault.Role != "sluice" || len(c.Vault.Allow) != 2 || c.Vault.Allow[0] != "secret/data/sluice/{{namespace}}/*" || c.Vault.TokenFile != "/var/run/secrets/vault/token") {
				t.Errorf("Vault is %+v", c.Vault)
			}
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rel  helmtest.Release
		want string
	}{
		"the guide's release":            {rel: helmtest.Release{Name: "argo-rollouts"}, want: "argo-rollouts"},
		"a release that holds that name": {rel: helmtest.Release{Name: "team-argo-rollouts"}, want: "team-argo-rollouts"},
		"a release named after us":       {rel: helmtest.Release{Name: "sluice"}, want: "sluice"},
		"any other release":              {rel: helmtest.Release{Name: "delivery"}, want: "delivery-sluice"},
		"a name of one's own":            {rel: helmtest.Release{Name: "delivery", Set: []string{"nameOverride=gate"}}, want: "delivery-gate"},
		"a full name of one's own":       {rel: helmtest.Release{Name: "delivery", Set: []string{"fullnameOverride=gate"}}, want: "gate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.rel.Set = append(tc.rel.Set, noCRDs)
			if r := render(t, tc.rel); r.Find("Deployment", tc.want) == nil {
				t.Errorf("there is no Deployment %s in:\n%s", tc.want, r.Manifest)
			}
		})
	}
}

// A namespaced install makes nothing that is not in its namespace, but for the
// CRDs if it is to install them.
func TestANamespacedInstallHasNoClusterRole(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]string{"our name": "namespaced=true", "Argo's name": "clusterInstall=false"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := render(t, helmtest.Release{Namespace: "payments", Set: []string{set}})
			for _, obj := range r.Objects {
				if obj.GetKind() != "CustomResourceDefinition" && obj.GetNamespace() != "payments" {
					t.Errorf("%s %s is in the namespace %q", obj.GetKind(), obj.GetName(), obj.GetNamespace())
				}
			}
			if !strings.Contains(r.Manifest, "--namespaced") {
				t.Error("the controller is not told")
			}
		})
	}
}

func TestNotesOfADashboardThatIsNotThere(t *testing.T) {
	t.Parallel()
	with, without := render(t, helmtest.Release{Set: append([]string{noCRDs}, guide...)}), render(t, helmtest.Release{Set: []string{noCRDs, guide[1]}})
	if !strings.Contains(with.Notes, "dashboard") || strings.Contains(without.Notes, "dashboard") {
		t.Errorf("with:\n%s\nwithout:\n%s", with.Notes, without.Notes)
	}
	if with.Manifest != without.Manifest {
		t.Error("dashboard.enabled changes more than the notes")
	}
}

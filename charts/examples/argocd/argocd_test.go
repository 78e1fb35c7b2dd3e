// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package argocd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/charts/examples"
	"sluice.dev/sluice/charts/examples/argocd"
)

func routes(t *testing.T, replace ...string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(examples.Path("guide/payments/virtualservice.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := yaml.YAMLToJSON([]byte(strings.NewReplacer(replace...).Replace(string(text))))
	if err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestWhatASyncApplies(t *testing.T) {
	t.Parallel()
	respecting, err := argocd.Read(examples.Path("guide/application.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	careless := *respecting
	careless.Spec.SyncPolicy.Options = nil
	live := routes(t, "weight: 100", "weight: 75", "weight: 0", "weight: 25")
	for name, tc := range map[string]struct {
		app       *argocd.Application
		git, want *unstructured.Unstructured
	}{
		"the weights that are live":                             {app: respecting, git: routes(t), want: live},
		"what is outside the list from Git":                     {app: respecting, git: routes(t, "[checkout]", "[pay]"), want: routes(t, "[checkout]", "[pay]", "weight: 100", "weight: 75", "weight: 0", "weight: 25")},
		"the whole list that is live, as README.md warns":       {app: respecting, git: routes(t, "- name: primary", "- timeout: 3s\n      name: primary"), want: live},
		"Git's weights without the option, in mid-release":      {app: &careless, git: routes(t), want: routes(t)},
		"a changed route without the option, as README.md says": {app: &careless, git: routes(t, "host: checkout-canary", "host: other"), want: routes(t, "host: checkout-canary", "host: other")},
	} {
		got, err := tc.app.Target(tc.git, live)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want.Object, got.Object); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnApplicationThatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(examples.Path("guide/application.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "application.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "jqPathExpressions", "jqPathExpression", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := argocd.Read(file); err == nil || !strings.Contains(err.Error(), "jqPathExpression") {
		t.Errorf("it is read: %v", err)
	}
}

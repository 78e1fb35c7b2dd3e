// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/builtin"
	"sluice.dev/sluice/internal/notify"
	"sluice.dev/sluice/internal/outbox"

	"sluice.dev/sluice/charts/examples"
)

func built(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	all, err := examples.Build("guide")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// render does with a template what the Vault Secrets Operator does: Go's, with
// sprig's functions.
func render(text string, secrets map[string]any) (string, error) {
	tmpl, err := template.New("t").Funcs(sprig.TxtFuncMap()).Parse(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = tmpl.Execute(&out, map[string]any{"Secrets": secrets})
	return out.String(), err
}

func TestTheTemplatesOfSecretsParse(t *testing.T) {
	t.Parallel()
	inVault := map[string]any{"api-key": "the-api-key", "app-key": "the-app-key", "username": "sluice", "password": "the-password"}
	want := map[string]map[string]string{
		"datadog":                           {"address": "https://api.datadoghq.eu", "apiKey": "the-api-key", "appKey": "the-app-key"},
		"argo-rollouts-notification-secret": {"servicenow-username": "sluice", "servicenow-password": "the-password"},
	}
	got := map[string]map[string]string{}
	for _, o := range built(t) {
		if o.GetKind() != "VaultStaticSecret" {
			continue
		}
		name, _, _ := unstructured.NestedString(o.Object, "spec", "destination", "name")
		got[name] = map[string]string{}
		templates, _, _ := unstructured.NestedMap(o.Object, "spec", "destination", "transformation", "templates")
		for key, v := range templates {
			text, err := render(v.(map[string]any)["text"].(string), inVault)
			if err != nil {
				t.Errorf("Secret %s, key %s: %v", name, key, err)
			}
			got[name][key] = text
		}
	}
	same(t, want, got)
}

// What the guide has instead does not parse.
func TestTheGuidesTemplatesDoNotParse(t *testing.T) {
	t.Parallel()
	var o map[string]any
	if err := yaml.Unmarshal(read(t, filepath.Join(guide, "vaultstaticsecret.yaml")), &o); err != nil {
		t.Fatal(err)
	}
	templates, _, _ := unstructured.NestedMap(o, "spec", "destination", "transformation", "templates")
	for _, key := range []string{"apiKey", "appKey"} {
		if _, err := render(templates[key].(map[string]any)["text"].(string), nil); err == nil {
			t.Errorf("%s parses", key)
		}
	}
}

func TestTheNotificationsReachServiceNow(t *testing.T) {
	t.Parallel()
	all := built(t)
	i := slices.IndexFunc(all, func(o *unstructured.Unstructured) bool { return o.GetKind() == "ConfigMap" })
	var cm corev1.ConfigMap
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(all[i].Object, &cm); err != nil {
		t.Fatal(err)
	}
	c := notify.Parse(cm.Namespace, cm.Data, builtin.Notifications(time.Now))
	if cm.Name != notify.ConfigMapName || len(c.Problems) > 0 {
		t.Errorf("%s: %v", cm.Name, c.Problems)
	}
	if _, err := c.Open("servicenow", map[string][]byte{"servicenow-username": []byte("sluice"), "servicenow-password": []byte("the-password")}); err != nil {
		t.Error(err)
	}
	rollout := all[slices.IndexFunc(all, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Rollout" })]
	vars := map[string]any{"rollout": rollout.Object, "notice": map[string]any{"message": "it was aborted", "revision": "6d5f9c"}}
	unstructured.RemoveNestedField(rollout.Object, "status")
	if err := unstructured.SetNestedMap(rollout.Object, map[string]any{"stableRS": "6d5f9c", "sluice": map[string]any{}}, "status"); err != nil {
		t.Fatal(err)
	}
	for reason, want := range map[string]string{
		"RolloutAborted": "it was aborted", "RolloutRetry": "it was aborted", "RolloutRecovered": "revision 6d5f9c is stable", "RolloutCompleted": "",
	} {
		d := outbox.Delivery{Notice: v1alpha1.Notice{Number: 1, Reason: reason, Message: "it was aborted", Revision: "6d5f9c", Attempt: 1}}
		routed, problems := notify.Route([]*notify.Config{c}, d, notify.Subject{Vars: vars})
		if len(problems) > 0 || (want == "") != (len(routed) == 0) {
			t.Errorf("%s goes to %v, %v", reason, routed, problems)
		}
		for _, r := range routed {
			m := &notify.Message{}
			if err := r.Render(m, vars); err != nil || r.Service != "servicenow" || !strings.Contains(m.Text, want) {
				t.Errorf("%s: %s is told %q, %v", reason, r.Service, m.Text, err)
			}
		}
	}
}

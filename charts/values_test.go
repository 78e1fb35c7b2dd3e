// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/charts/helmtest"
)

func TestTheSchemaRefusesAndNamesThePath(t *testing.T) {
	t.Parallel()
	for set, want := range map[string][]string{
		"controller.replicas=two":                                     {"at '/controller/replicas'", "integer"},
		"controller.replicas=-1":                                      {"at '/controller/replicas'"},
		"controller.metrics.enable=true":                              {"at '/controller/metrics'", "'enable' not allowed"},
		"controler.replicas=1":                                        {"'controler' not allowed"},
		"dashboard.enabled=maybe":                                     {"at '/dashboard/enabled'", "boolean"},
		"controller.image.pullPolicy=Sometimes":                       {"at '/controller/image/pullPolicy'"},
		"controller.logging.level=trace":                              {"at '/controller/logging/level'"},
		"controller.containerPorts.metrics=70000":                     {"at '/controller/containerPorts/metrics'", "maximum"},
		"controller.pdb.minAvailable=half":                            {"at '/controller/pdb/minAvailable'"},
		"controller.vault.address=vault:8200":                         {"at '/controller/vault/address'"},
		"controller.vault.datadogPath=secret/datadog":                 {"at '/controller/vault/datadogPath'"},
		"controller.vault.allow={secret/sluice}":                      {"at '/controller/vault/allow/0'"},
		"controller.vault.refresh=60":                                 {"at '/controller/vault/refresh'"},
		"controller.vault.tokenExpirationSeconds=60":                  {"at '/controller/vault/tokenExpirationSeconds'", "600"},
		"secretAccess.names={Datadog}":                                {"at '/secretAccess/names/0'"},
		"secretAccess.namespaces.payments=webhook":                    {"at '/secretAccess/namespaces/payments'", "array"},
		"providerRBAC.providers.nginx=true":                           {"at '/providerRBAC/providers'", "'nginx' not allowed"},
		"namespaced=yes":                                              {"at '/namespaced'"},
		"fullnameOverride=Sluice":                                     {"at '/fullnameOverride'"},
		"controller.extraArgs=--qps=40":                               {"at '/controller/extraArgs'", "array"},
		"networkPolicy.metricsFrom[0]=everybody":                      {"at '/networkPolicy/metricsFrom/0'", "object"},
		"extraObjects[0]=7":                                           {"at '/extraObjects/0'"},
		"controller.image.repository=argoproj/argo-rollouts":          {"controller.image.repository", "Argo Rollouts", "remove controller.image"},
		"controller.image.repository=mirror/argoproj/argo-rollouts":   {"controller.image.repository"},
		"controller.vault.address=https://v":                          {"controller.vault.role is empty"},
		"controller.vault.role=sluice":                                {"controller.vault.address is empty"},
		"controller.metrics.serviceMonitor.enabled=true":              {"controller.metrics.serviceMonitor.enabled needs"},
		"controller.evidence.history=none":                            {"at '/controller/evidence/history'"},
		"controller.evidence.folder=records":                          {"at '/controller/evidence/folder'"},
		"controller.evidence.history=0,controller.evidence.folder=/r": {"controller.evidence.history of at least 1"},
		"namespaced=true,secretAccess.everywhere=true":                {"secretAccess.everywhere needs a ClusterRole"},
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			_, err := helmtest.Render(helmtest.Release{Set: []string{noCRDs, set}})
			if err == nil {
				t.Fatal("it is accepted")
			}
			for _, words := range want {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q is not in: %v", words, err)
				}
			}
		})
	}
}

type schema struct {
	Ref         string            `json:"$ref"`
	Properties  map[string]schema `json:"properties"`
	Additional  any               `json:"additionalProperties"`
	Description string            `json:"description"`
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(helmtest.Dir(), name))
	if err != nil {
		t.Fatal(err)
	}
	if text, err = yaml.YAMLToJSON(text); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// accepted are names that the schema knows for the sake of values files of the
// chart argo-rollouts, or that Helm sets.
var accepted = []string{
	"global", "notifications", "apiVersionOverrides", "kubeVersionOverride", "serviceAnnotations",
	"controller.stepPlugins", "controller.resources.claims",
}

// Each value is in the schema, and each in the schema has a default in
// values.yaml, where people look for them.
func TestTheSchemaKnowsEachValue(t *testing.T) {
	t.Parallel()
	var values map[string]any
	readJSON(t, "values.yaml", &values)
	var s schema
	readJSON(t, "values.schema.json", &s)
	compareNames(t, "", values, s)
}

func compareNames(t *testing.T, path string, values map[string]any, s schema) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, ok := s.Properties[name]; !ok {
			t.Errorf("%s%s of values.yaml is not in the schema", path, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		at, sub := path+name, s.Properties[name]
		value, ok := values[name]
		if !ok {
			if !slices.Contains(accepted, at) && !strings.HasPrefix(at, "dashboard.") && !strings.HasPrefix(at, "providerRBAC.providers.") {
				t.Errorf("%s of the schema is not in values.yaml", at)
			}
			continue
		}
		if len(sub.Properties) > 0 {
			if sub.Additional != false {
				t.Errorf("%s accepts names that nobody knows", at)
			}
			object, ok := value.(map[string]any)
			if !ok {
				t.Errorf("%s is no object in values.yaml", at)
				continue
			}
			compareNames(t, at+".", object, sub)
		}
	}
}

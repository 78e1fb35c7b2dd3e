// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package keys_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/app"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
	"sluice.dev/sluice/internal/vault/vaulttest"
)

const inVault = `          secretRef: {vault: {path: secret/data/sluice/payments/datadog}}`

func (s *stand) control() {
	s.Helper()
	s.Controller(func(c *app.Config) {
		c.ErrorBackoff = time.Second
		c.Vault.Address, c.Vault.Role, c.Vault.TokenFile = s.vault.URL(), "sluice", s.tokenFile
		c.Vault.DatadogPath = "secret/data/argo-rollouts/datadog"
		c.Vault.Allow = []string{"secret/data/sluice/{{namespace}}/*"}
		c.Vault.Refresh, c.Vault.MaxAge = time.Second, 4*time.Second
	})
}

func passed(run *v1alpha1.AnalysisRun) bool {
	return run.Status.Phase == v1alpha1.AnalysisPhaseSuccessful
}

func holds(words ...string) func(*v1alpha1.AnalysisRun) bool {
	return func(run *v1alpha1.AnalysisRun) bool {
		return run.Status.Phase == v1alpha1.AnalysisPhaseRunning && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(run.Status.Message, w) })
	}
}

// TestKeysInVault has no Secret at all: the controller's ServiceAccount token is
// reviewed by the API server, and the keys go from Vault into the query.
func TestKeysInVault(t *testing.T) {
	s := newStand(t, cluster.Options{})
	one, two, three := datadogtest.Keys{API: "api-1", App: "app-1"}, datadogtest.Keys{API: "api-2", App: "app-2"}, datadogtest.Keys{API: "api-3", App: "app-3"}
	s.datadog.SetKeys(one)
	s.put("argo-rollouts/datadog", one)
	s.put("sluice/payments/datadog", one)
	s.put("sluice/orders/datadog", one)
	s.control()

	t.Run("the account of metrics that name none", func(t *testing.T) {
		s.run("own", 3, "")
		if r := result(s.until("own", "passes", passed)); r.Error != 0 || r.Successful != 3 {
			t.Errorf("result is %+v", r)
		}
	})
	t.Run("a path that the template names", func(t *testing.T) {
		s.run("named", 3, inVault)
		if r := result(s.until("named", "passes", passed)); r.Error != 0 {
			t.Errorf("result is %+v", r)
		}
	})
	t.Run("another namespace's path is not asked for", func(t *testing.T) {
		s.run("theirs", 3, strings.Replace(inVault, "payments", "orders", 1))
		s.until("theirs", "holds", holds(`Vault path "secret/data/sluice/orders/datadog" may not be read for a run in the namespace payments`))
		if n := s.vault.Count("secret/data/sluice/orders"); n != 1 { // the write
			t.Errorf("Vault was asked %d times", n-1)
		}
	})
	t.Run("rotated keys are used at the next query", func(t *testing.T) {
		s.run("rotated", 6, inVault)
		s.until("rotated", "has two readings", func(run *v1alpha1.AnalysisRun) bool { return result(run).Count >= 2 })
		s.datadog.SetKeys(one, two) // both are good until the new ones are in Vault
		s.put("sluice/payments/datadog", two)
		s.put("argo-rollouts/datadog", two)
		s.datadog.SetKeys(two)
		if r := result(s.until("rotated", "passes", passed)); r.Error != 0 {
			t.Errorf("a query was lost: %+v", r)
		}
	})
	for name, tc := range map[string]struct {
		mode vaulttest.Mode
		want string
	}{
		"sealed": {vaulttest.Sealed, "Vault is sealed"}, "403": {vaulttest.Forbidden, "403"},
	} {
		t.Run("Vault is "+name+": the last good keys, then a hold, then on", func(t *testing.T) {
			run := "away-" + name
			s.run(run, 12, inVault)
			s.until(run, "has a reading", func(run *v1alpha1.AnalysisRun) bool { return result(run).Count >= 1 })
			s.vault.Fail(vaulttest.Fault{Mode: tc.mode})
			s.until(run, "says that keys are old", func(run *v1alpha1.AnalysisRun) bool {
				return slices.ContainsFunc(result(run).Measurements, func(m v1alpha1.Measurement) bool {
					return m.Phase == v1alpha1.AnalysisPhaseSuccessful && strings.Contains(m.Metadata["keys"], "the last good ones")
				})
			})
			s.until(run, "holds", holds("no keys for the query", s.vault.URL(), tc.want, "older than 4s"))
			s.vault.Clear()
			if r := result(s.until(run, "passes", passed)); r.Failed != 0 {
				t.Errorf("result is %+v", r)
			}
		})
	}
	t.Run("a ServiceAccount that is gone is nobody to Vault, and its successor is somebody", func(t *testing.T) {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "argo-rollouts", Name: "argo-rollouts"}}
		if err := s.Client.Delete(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		s.run("orphan", 40, inVault)
		// The API server remembers for some seconds that a token was good, so a
		// login may still succeed at first.
		orphaned := holds("log in at auth/kubernetes as role sluice", "403", "service account unauthorized")
		s.until("orphan", "holds", func(run *v1alpha1.AnalysisRun) bool {
			s.admin("sys/leases/revoke-prefix/auth/kubernetes/login", nil)
			return orphaned(run)
		})
		s.Eventually("the account can be made again", func() error {
			return client.IgnoreAlreadyExists(s.Client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "argo-rollouts", Name: "argo-rollouts"}}))
		})
		s.show("argo-rollouts", "argo-rollouts") // of the API server's own audience
		s.put("sluice/payments/datadog", three)
		s.datadog.SetKeys(three)
		s.until("orphan", "still holds", holds("403"))
		s.show("argo-rollouts", "argo-rollouts", "vault")
		before := result(s.get("orphan")).Successful
		s.until("orphan", "goes on", func(run *v1alpha1.AnalysisRun) bool { return result(run).Successful > before })
	})
}

// TestKeysInASecret is the guide's path: an operator keeps the Secret in sync.
func TestKeysInASecret(t *testing.T) {
	s := newStand(t, cluster.Options{})
	one, two := datadogtest.Keys{API: "api-1", App: "app-1"}, datadogtest.Keys{API: "api-2", App: "app-2"}
	s.datadog.SetKeys(one)
	secret := func(k datadogtest.Keys) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "argo-rollouts", Name: "datadog"},
			StringData: map[string]string{"address": s.datadog.URL(), "apiKey": k.API, "appKey": k.App},
		}
	}
	s.create(secret(one))
	s.Controller(func(c *app.Config) { c.ErrorBackoff = time.Second })

	s.run("guide", 12, "")
	s.until("guide", "has two readings", func(run *v1alpha1.AnalysisRun) bool { return result(run).Count >= 2 })
	// As an operator does it: the new keys first, the old ones withdrawn later.
	s.datadog.SetKeys(one, two)
	if err := s.Client.Update(t.Context(), secret(two)); err != nil {
		t.Fatal(err)
	}
	s.datadog.SetKeys(two)
	before := result(s.get("guide")).Count
	run := s.until("guide", "has two more readings", func(run *v1alpha1.AnalysisRun) bool { return result(run).Count >= before+2 })
	if r := result(run); r.Error != 0 {
		t.Errorf("a query was lost in the rotation: %+v", r)
	}
	if err := s.Client.Delete(t.Context(), secret(two)); err != nil {
		t.Fatal(err)
	}
	s.until("guide", "holds and says so", holds("Secret argo-rollouts/datadog", "does not exist; create it"))
	s.create(secret(two))
	if r := result(s.until("guide", "passes", passed)); r.Failed != 0 {
		t.Errorf("result is %+v", r)
	}
}

// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package keys_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/itest/bed"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
	"sluice.dev/sluice/internal/vault/vaulttest"
)

// A stand is a control plane, a Datadog, and a Vault that knows the control
// plane's ServiceAccounts.
type stand struct {
	*bed.Bed
	datadog *datadogtest.Server
	vault   *vaulttest.Server
	// tokenFile is where the controller finds its token for Vault.
	tokenFile string
	// tokens are those that were ever in it.
	tokens []string
}

func newStand(t *testing.T, o cluster.Options) *stand {
	t.Helper()
	dd, err := datadogtest.New(datadogtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dd.Close() })
	v := vaulttest.New(vaulttest.Options{})
	t.Cleanup(v.Close)
	s := &stand{Bed: bed.New(t, o), datadog: dd, vault: v, tokenFile: filepath.Join(t.TempDir(), "token")}
	for _, ns := range []string{"argo-rollouts", "payments", "vault"} {
		s.Namespace(ns)
	}
	s.account("vault", "vault")
	s.create(&rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "vault-reviews-tokens"},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:auth-delegator"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "vault", Name: "vault"}},
	})
	s.setUpVault()
	s.account("argo-rollouts", "argo-rollouts")
	s.show("argo-rollouts", "argo-rollouts", "vault")
	return s
}

func (s *stand) create(o client.Object) {
	s.Helper()
	if err := s.Client.Create(s.Context(), o); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) account(namespace, name string) {
	s.Helper()
	s.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
}

// token asks the API server for a token, as the kubelet does.
func (s *stand) token(namespace, name string, audiences ...string) string {
	s.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := s.Client.SubResource("token").Create(s.Context(), account, request); err != nil {
		s.Fatal(err)
	}
	return request.Status.Token
}

// show puts a token where the controller looks for it.
func (s *stand) show(namespace, name string, audiences ...string) {
	s.Helper()
	token := s.token(namespace, name, audiences...)
	s.tokens = append(s.tokens, token)
	if err := os.WriteFile(s.tokenFile, []byte(token), 0o600); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) admin(path string, body any) {
	s.Helper()
	if err := s.vault.Admin(s.Context(), http.MethodPost, path, body); err != nil {
		s.Fatal(err)
	}
}

// setUpVault is what docs/keys.md tells an administrator to do.
func (s *stand) setUpVault() {
	s.Helper()
	config := s.Cluster.Config()
	s.admin("sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	s.admin("sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
	s.admin("auth/kubernetes/config", map[string]any{
		"kubernetes_host": config.Host, "kubernetes_ca_cert": string(config.CAData), "token_reviewer_jwt": s.token("vault", "vault"),
	})
	s.admin("sys/policies/acl/sluice", map[string]any{"policy": `
		path "secret/data/argo-rollouts/datadog" { capabilities = ["read"] }
		path "secret/data/sluice/*"              { capabilities = ["read"] }`})
	s.admin("auth/kubernetes/role/sluice", map[string]any{
		"bound_service_account_names": "argo-rollouts", "bound_service_account_namespaces": "argo-rollouts",
		"audience": "vault", "token_policies": "sluice", "token_ttl": "20m",
	})
}

// put writes an account to Vault.
func (s *stand) put(name string, keys datadogtest.Keys) {
	s.Helper()
	s.admin("secret/data/"+name, map[string]any{"data": map[string]any{"address": s.datadog.URL(), "api-key": keys.API, "app-key": keys.App}})
}

// run starts a run with one metric, which reads how often errors were counted
// under the tag case:name, with the keys that ref names.
func (s *stand) run(name string, count int, ref string) {
	s.Helper()
	s.Apply(fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: AnalysisRun
metadata: {namespace: payments, name: %s}
spec:
  metrics:
    - name: errors
      interval: 1s
      count: %d
      successCondition: result < 10
      failureCondition: result >= 50
      provider:
        datadog:
          apiVersion: v2
          query: "sum:errors{case:%s}.as_count()"
%s`, name, count, name, ref))
}

func (s *stand) get(name string) *v1alpha1.AnalysisRun {
	s.Helper()
	run := &v1alpha1.AnalysisRun{}
	if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: "payments", Name: name}, run); err != nil {
		s.Fatal(err)
	}
	return run
}

func (s *stand) until(name, what string, ok func(*v1alpha1.AnalysisRun) bool) *v1alpha1.AnalysisRun {
	s.Helper()
	var run *v1alpha1.AnalysisRun
	s.Eventually(fmt.Sprintf("run %s %s", name, what), func() error {
		s.datadog.Count("errors", map[string]string{"case": name}, time.Now(), 0.001)
		if run = s.get(name); !ok(run) {
			return fmt.Errorf("it is %s: %s %+v", run.Status.Phase, run.Status.Message, run.Status.MetricResults)
		}
		return nil
	})
	return run
}

// result is the one metric's, and empty before there is one.
func result(run *v1alpha1.AnalysisRun) v1alpha1.MetricResult {
	if len(run.Status.MetricResults) == 0 {
		return v1alpha1.MetricResult{}
	}
	return run.Status.MetricResults[0]
}

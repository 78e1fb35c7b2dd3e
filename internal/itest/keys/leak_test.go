// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package keys_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/api/v1alpha1"
	"sluice.dev/sluice/internal/cluster"
	"sluice.dev/sluice/internal/metric/datadog/datadogtest"
	"sluice.dev/sluice/internal/secret/secrettest"
	"sluice.dev/sluice/internal/secret/secrettest/sweep"
	"sluice.dev/sluice/internal/vault/vaulttest"
)

var (
	inSecret = datadogtest.Keys{API: "planted-secret-api-5f3c1e9a77", App: "planted-secret-app-0b8d2c4e66"}
	inStore  = datadogtest.Keys{API: "planted-vault-api-c41d7be093", App: "planted-vault-app-9e62fa1d58"}
)

// A program is the controller as a process of its own, as talkative as it gets.
type program struct {
	cmd     *exec.Cmd
	log     string
	metrics string
	done    chan struct{}
}

func (s *stand) start() *program {
	s.Helper()
	binary := os.Getenv("SLUICE_BIN")
	if binary == "" {
		s.Fatal("SLUICE_BIN is not set; set it to the path of bin/sluice, which `make build` makes")
	}
	p := &program{log: filepath.Join(s.TempDir(), "controller.log"), metrics: freeAddress(s.TB), done: make(chan struct{})}
	file, err := os.Create(p.log)
	if err != nil {
		s.Fatal(err)
	}
	defer file.Close() // the child has its own
	_, port, _ := net.SplitHostPort(p.metrics)
	p.cmd = exec.Command(binary, "controller", "--kubeconfig="+s.Cluster.Kubeconfig(), //nolint:noctx // it is ended below
		"--loglevel=debug", "--kloglevel=10", "--metricsPort="+port, "--healthzPort=0", "--leader-elect=false", "--analysis-error-backoff=1s",
		"--vault-address="+s.vault.URL(), "--vault-role=sluice", "--vault-token-file="+s.tokenFile, "--vault-refresh=1s", "--vault-max-age=3s",
		"--vault-allow=secret/data/sluice/{{namespace}}/*")
	p.cmd.Env = append(os.Environ(), "POD_NAMESPACE=argo-rollouts", "GOTRACEBACK=crash", "GODEBUG=http2debug=2")
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = file, file, filepath.Dir(p.log)
	if err := p.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // it is made to die
		close(p.done)
	}()
	s.Cleanup(func() {
		_ = p.cmd.Process.Kill() // fails only if it has ended
		<-p.done
	})
	return p
}

func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// crash makes the process panic where it stands, and returns when it is gone.
// The runtime prints every goroutine with its arguments.
func (p *program) crash() syscall.WaitStatus {
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // fails only if it has ended
	<-p.done
	status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status
}

// TestNoKeyIsEverShown plants keys in a Secret and in Vault, has Datadog and
// Vault say them back in every failure, and searches everything that comes of
// it: logs at the highest level, a crash, every object, the audit log, the
// metrics and what the command line prints.
func TestNoKeyIsEverShown(t *testing.T) {
	s := newStand(t, cluster.Options{Audit: "RequestResponse"})
	s.datadog.SetKeys(inSecret, inStore)
	s.put("sluice/payments/datadog", inStore)
	s.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "argo-rollouts", Name: "datadog"},
		StringData: map[string]string{"address": s.datadog.URL(), "apiKey": inSecret.API, "appKey": inSecret.App},
	})
	p := s.start()
	s.release(t)
	s.failures(t)

	keys := map[string]string{
		"the API key of the Secret": inSecret.API, "the application key of the Secret": inSecret.App,
		"the API key of Vault": inStore.API, "the application key of Vault": inStore.App,
	}
	for i, token := range s.vault.Planted() {
		keys[fmt.Sprint("Vault token ", i)] = token
	}
	for i, token := range s.tokens {
		// The signature is what makes it one; the rest is no secret.
		keys[fmt.Sprint("ServiceAccount token ", i)] = token[strings.LastIndexByte(token, '.')+1:]
	}
	scan := secrettest.NewScanner(keys)
	s.scanCommands(scan)
	s.scanMetrics(scan, p.metrics)
	s.scanObjects(scan)
	if status := p.crash(); status.CoreDump() {
		t.Error("the crash left a core, which holds the memory and the keys in it")
	}
	text, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	scan.Bytes("the controller's log and crash", text)
	for _, want := range []string{"SIGQUIT", "goroutine 1 ", "logged in to Vault", "no keys for the query"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the log does not hold %q; it was not as talkative as it can be", want)
		}
	}
	s.scanAudit(scan)
	if err := scan.Dir("the control plane's", s.Cluster.Dir(), func(path string) bool {
		return !strings.HasSuffix(path, ".log") || path == "audit.log"
	}); err != nil {
		t.Fatal(err)
	}
	scan.Report(t, 500_000)
}

// release runs one good release and one that fails, by the keys of the Secret.
func (s *stand) release(t *testing.T) {
	s.Apply(services)
	s.Apply(template)
	s.Apply(shop)
	first := s.Phase("payments", "shop", v1alpha1.RolloutPhaseHealthy)
	for _, mode := range []datadogtest.Mode{datadogtest.EchoKeys, datadogtest.Unauthorized, datadogtest.MalformedJSON} {
		s.datadog.Fail(datadogtest.Fault{Mode: mode, Times: 2})
	}
	s.Apply(shop, "shop:1", "shop:2")
	s.Eventually("the good release is stable", func() error {
		s.datadog.Count("errors", map[string]string{"case": "shop"}, time.Now(), 0.001)
		now := s.Rollout("payments", "shop")
		if now.Status.StableRS == first.Status.StableRS || now.Status.Phase != v1alpha1.RolloutPhaseHealthy {
			return fmt.Errorf("it is %s: %s", now.Status.Phase, now.Status.Message)
		}
		return nil
	})
	s.datadog.Count("errors", map[string]string{"case": "shop"}, time.Now(), 100)
	s.Apply(shop, "shop:1", "shop:3")
	s.Phase("payments", "shop", v1alpha1.RolloutPhaseDegraded)
}

// failures has Datadog and Vault fail with all that they were sent in their
// answers.
func (s *stand) failures(t *testing.T) {
	s.run("echo-secret", 3, "")
	s.run("echo-vault", 6, inVault)
	s.until("echo-vault", "has a reading", func(run *v1alpha1.AnalysisRun) bool { return result(run).Count >= 1 })
	s.datadog.Fail(datadogtest.Fault{Mode: datadogtest.EchoKeys})
	s.until("echo-vault", "holds, and repeats what Datadog said without the keys", holds("403", "*****"))
	s.datadog.Clear()
	s.vault.Fail(vaulttest.Fault{Mode: vaulttest.Echo})
	s.until("echo-vault", "holds, and repeats what Vault said without the token", holds("400", "*****"))
	if err := s.vault.Admin(t.Context(), http.MethodPost, "x", nil); err == nil {
		t.Fatal("Vault does not fail")
	}
	s.vault.Clear()
	s.until("echo-vault", "passes", passed)
	s.until("echo-secret", "passes", passed)
}

// scanCommands looks at what the command line prints, as talkative as it gets.
func (s *stand) scanCommands(scan *secrettest.Scanner) {
	s.Helper()
	for _, line := range []string{
		"get rollout shop -n payments", "status shop -n payments --watch=false", "list rollouts -n payments", "list analysisruns -n payments",
		"describe analysisrun echo-vault -n payments", "describe analysisrun echo-secret -n payments", "version",
	} {
		cmd := exec.CommandContext(s.Context(), os.Getenv("SLUICE_BIN"), append(strings.Fields(line), "--kloglevel=10")...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+s.Cluster.Kubeconfig())
		out, err := cmd.CombinedOutput()
		// The last release failed, which status says with its exit code.
		if err != nil && !strings.HasPrefix(line, "status") || !strings.HasPrefix(line, "version") && !bytes.Contains(out, []byte("Response Body")) {
			s.Errorf("sluice %s: %v; it was not as talkative as it can be:\n%.500s", line, err, out)
		}
		scan.Bytes("sluice "+line, out)
	}
}

func (s *stand) scanMetrics(scan *secrettest.Scanner, address string) {
	s.Helper()
	resp, err := http.Get("http://" + address + "/metrics") //nolint:noctx // on this machine
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Contains(text, []byte("controller_runtime_reconcile_total")) {
		s.Errorf("no metrics: %v", err)
	}
	scan.Bytes("the metrics", text)
}

// scanObjects looks at every object of every kind but the Secret itself.
func (s *stand) scanObjects(scan *secrettest.Scanner) {
	s.Helper()
	seen, err := sweep.Objects(s.Context(), s.Cluster.Config(), scan, sweep.Object{Resource: "secrets", Namespace: "argo-rollouts", Name: "datadog"})
	if err != nil {
		s.Fatal(err)
	}
	for _, r := range []string{"rollouts", "analysisruns", "analysistemplates", "events", "replicasets", "pods", "configmaps"} {
		if seen[r] == 0 {
			s.Errorf("looked at no %s, but at %v", r, seen)
		}
	}
}

// scanAudit looks at every request's body, but those that carry a secret on
// purpose: the test's own writes of the Secret, and tokens on their way to and
// from the API server.
func (s *stand) scanAudit(scan *secrettest.Scanner) {
	s.Helper()
	file, err := os.Open(s.Cluster.AuditLog())
	if err != nil {
		s.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	n := 0
	for lines.Scan() {
		var event struct {
			ObjectRef struct{ Resource, Subresource string } `json:"objectRef"`
			UserAgent string                                 `json:"userAgent"`
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			s.Fatal(err)
		}
		switch ref := event.ObjectRef; {
		case ref.Resource == "tokenreviews", ref.Subresource == "token", ref.Resource == "secrets" && !strings.HasPrefix(event.UserAgent, "sluice"):
		default:
			n++
			scan.Bytes("the audit log", lines.Bytes())
		}
	}
	if err := lines.Err(); err != nil || n < 100 {
		s.Errorf("looked at %d audit events: %v", n, err)
	}
}

const services = `
apiVersion: v1
kind: Service
metadata: {name: shop-stable, namespace: payments}
spec: {selector: {app: shop}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop-canary, namespace: payments}
spec: {selector: {app: shop}, ports: [{port: 80}]}
`

const template = `
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: shop, namespace: payments}
spec:
  metrics:
    - name: errors
      interval: 1s
      count: 3
      successCondition: result < 10
      failureCondition: result >= 50
      provider:
        datadog: {apiVersion: v2, query: "sum:errors{case:shop}.as_count()"}
`

const shop = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop, namespace: payments}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers: [{name: shop, image: "registry.example.com/shop:1"}]
  strategy:
    canary:
      stableService: shop-stable
      canaryService: shop-canary
      steps:
        - setWeight: 50
        - analysis: {templates: [{templateName: shop}]}
`
